"""The tests' Runtime API keeps to the documentation, also where a function does not."""

import http.client
import json
import threading

import pytest

from tests.support.runtime_api import MOST_BYTES, RuntimeApi

BASE = "/2018-06-01/runtime"


class LambdaFunction:
    """What asks the API."""

    def __init__(self, api):
        self._connection = http.client.HTTPConnection(api.address, timeout=10)

    def next(self):
        self._connection.request("GET", f"{BASE}/invocation/next")
        answer = self._connection.getresponse()
        return dict(answer.headers), json.loads(answer.read())

    def post(self, path, body=b"{}", **headers):
        self._connection.request("POST", f"{BASE}/{path}", body, headers)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read()).get("errorType")

    def close(self):
        self._connection.close()


@pytest.fixture
def api():
    with RuntimeApi() as one:
        yield one


@pytest.fixture
def function(api):
    one = LambdaFunction(api)
    yield one
    one.close()


def test_a_call_goes_to_whoever_asks_and_its_answer_back(api, function):
    call = api.send({"a": 1}, seconds=30)
    headers, event = function.next()
    assert (event, headers["Lambda-Runtime-Aws-Request-Id"]) == ({"a": 1}, call.id)
    assert function.post(f"invocation/{call.id}/response", b'"well"') == (202, None)
    assert (call.result().kind, call.result().body) == ("response", "well")


def test_an_error_has_its_type_in_a_header(api, function):
    call = api.send({})
    function.next()
    told = {"Lambda-Runtime-Function-Error-Type": "PhotoRejected"}
    assert function.post(f"invocation/{call.id}/error", b'{"errorMessage": "x"}', **told) == (202, None)
    assert (call.result().kind, call.result().type) == ("error", "PhotoRejected")


def test_a_second_answer_is_refused(api, function):
    call = api.send({})
    function.next()
    function.post(f"invocation/{call.id}/response")
    assert function.post(f"invocation/{call.id}/error") == (403, "InvalidStateTransition")


@pytest.mark.parametrize("asked", [True, False], ids=["of another call", "of a call that was not taken"])
def test_an_answer_to_no_call_is_refused(api, function, asked):
    call = api.send({})
    name = "00000000-0000-0000-0000-000000000000" if asked else call.id
    assert function.post(f"invocation/{name}/response") == (400, "InvalidRequestID")


def test_an_answer_that_is_too_large_ends_the_call_with_an_error(api, function):
    call = api.send({})
    function.next()
    assert function.post(f"invocation/{call.id}/response", b" " * MOST_BYTES + b'""') == (413, "RequestEntityTooLarge")
    assert call.result().type == "Function.ResponseSizeTooLarge"


def test_init_fails_once_and_only_before_the_first_call(api, function):
    body = b'{"errorMessage": "no models", "errorType": "ModelError"}'
    assert function.post("init/error", body) == (202, None)
    assert api.init_error.result().body["errorMessage"] == "no models"
    assert function.post("init/error", body) == (403, "InvalidStateTransition")


def test_init_does_not_fail_after_the_first_call(api, function):
    waiting = threading.Thread(target=function.next, daemon=True)
    waiting.start()
    api.ready()
    other = LambdaFunction(api)
    assert other.post("init/error") == (403, "InvalidStateTransition")
    other.close()
    api.send({})
    waiting.join(10)


def test_an_answer_after_the_deadline_is_none(api, function):
    call = api.send({}, seconds=0.0)
    function.next()
    function.post(f"invocation/{call.id}/response")
    with pytest.raises(AssertionError, match="timed out"):
        call.result()


def test_other_paths_are_not_found(function):
    assert function.post("exit/error")[0] == 404
