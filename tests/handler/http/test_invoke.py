"""The Invoke API as its clients see it: raw, and through boto3."""

import base64
import gzip
import json
import logging
import re
import socket
import uuid

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from handler.http.invoke import PATH
from tests.handler.http.test_server import ask
from tests.handler.serverless.invoke_desk import Desk
from tests.support.waiting import eventually

KEY = "9Kc4tZ"
LIMIT = 6 * 1024 * 1024
HALF = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{" % PATH.encode()


@pytest.fixture
def desk():
    with Desk() as desk:
        yield desk


@pytest.fixture
def client(desk):
    return boto3_client(desk.url)


def boto3_client(url):
    """As for AWS, but for the address."""
    return boto3.client(
        "lambda", endpoint_url=url, region_name="eu-central-1",
        aws_access_key_id="x", aws_secret_access_key="x", config=Config(retries={"total_max_attempts": 1}),  # noqa: S106
    )  # fmt: skip


def test_invoke_answer_has_lambda_s_headers(desk):
    status, headers, body = desk.post({"a": [1, "é"]})

    assert (status, json.loads(body)) == (200, {"echo": {"a": [1, "é"]}})
    assert (headers["Content-Type"], headers["X-Amz-Executed-Version"]) == ("application/json", "$LATEST")
    assert str(uuid.UUID(headers["x-amzn-RequestId"])) == headers["x-amzn-RequestId"]
    assert {"X-Amz-Function-Error", "X-Amz-Log-Result"}.isdisjoint(headers)


def test_invoke_function_gets_request_id_and_remaining_time_in_own_thread(desk):
    _, headers, _ = desk.post()

    assert desk.function.calls == [headers["x-amzn-RequestId"]]
    assert 0 < desk.function.remaining[0] <= 10
    assert desk.function.threads[0].startswith("call")


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
def test_invoke_any_content_type_is_accepted(desk, content_type):
    assert desk.post(b'{"a":1}', Content_Type=content_type)[2] == b'{"echo": {"a": 1}}'


def test_invoke_without_body_is_empty_event(desk):
    assert json.loads(desk.post(b"")[2]) == {"echo": {}}


def test_invoke_function_error_answers_200_with_payload(desk):
    status, headers, body = desk.post({"fail": "InvalidImage"})

    assert (status, headers["X-Amz-Function-Error"], headers["X-Amz-Executed-Version"]) == (200, "Unhandled", "$LATEST")
    assert json.loads(body) == {
        "errorMessage": "send a photo: é",
        "errorType": "InvalidImage",
        "requestId": headers["x-amzn-RequestId"],
        "stackTrace": [],
    }


def test_invoke_unexpected_error_has_stack_trace(desk):
    _, headers, body = desk.post({"divide": 0})

    error = json.loads(body)
    assert (headers["X-Amz-Function-Error"], error["errorType"]) == ("Unhandled", "ZeroDivisionError")
    assert any("invoke_desk.py" in line for line in error["stackTrace"])


def test_invoke_dry_run_answers_204_without_call(desk):
    status, headers, body = desk.post({"a": 1}, X_Amz_Invocation_Type="DryRun")

    assert (status, body, desk.function.calls) == (204, b"", [])
    assert "x-amzn-RequestId" in headers


def test_invoke_event_type_answers_202_and_runs_later(desk):
    status, headers, body = desk.post({"hold": 1}, X_Amz_Invocation_Type="Event")

    assert (status, body) == (202, b"")
    assert desk.function.begun.acquire(timeout=10)
    assert desk.function.calls == [headers["x-amzn-RequestId"]]


@pytest.mark.parametrize("name", ["X_Amz_Invocation_Type", "X_Amz_Log_Type"])
def test_invoke_unknown_header_value_answers_400(desk, name):
    status, kind, message = desk.refused(**{name: "Later"})

    assert (status, kind) == (400, "InvalidParameterValueException")
    assert f"{name.replace('_', '-')}: 'Later' is not one of " in message


@pytest.mark.parametrize("body", [b"{", b"\xff", b"NaN", b"[" * 200_000, b" ", b"1" * 5000, b"image=x"])
def test_invoke_body_that_is_not_json_answers_400(desk, body):
    status, kind, message = desk.refused(body)

    assert (status, kind) == (400, "InvalidRequestContentException")
    assert message.startswith("Could not parse request body into json: ")
    assert desk.function.calls == []


def test_invoke_error_has_aws_form(desk):
    _, headers, body = desk.post(b"{")

    told = json.loads(body)
    assert (sorted(told), told["Type"], headers["Content-Type"]) == (
        ["Type", "message"], "User", "application/json; charset=utf-8"
    )  # fmt: skip
    assert "x-amzn-RequestId" in headers


def test_invoke_body_over_6_mb_answers_413(desk):
    full = b'{"a":"' + b"x" * (LIMIT - 8) + b'"}'
    assert (len(full), desk.post(full)[0]) == (LIMIT, 200)

    status, kind, message = desk.refused(full + b" ")

    assert (status, kind) == (413, "RequestTooLargeException")
    assert "at most 6291456 bytes" in message


def test_invoke_compressed_body_counts_decompressed(desk):
    assert desk.post(gzip.compress(b'{"a": 1}'), Content_Encoding="gzip")[2] == b'{"echo": {"a": 1}}'
    assert desk.refused(gzip.compress(b" " * (LIMIT + 1)), Content_Encoding="gzip")[0] == 413
    assert desk.refused(b"{}", Content_Encoding="gzip")[:2] == (400, "InvalidRequestContentException")


def test_invoke_while_unready_answers_503(desk):
    desk.reasons = ["models are loading", "the outbox is full"]

    status, headers, body = desk.post()

    assert (status, headers["Retry-After"], headers["x-amzn-ErrorType"]) == (503, "5", "ServiceException")
    assert json.loads(body) == {"Type": "Service", "Message": "not ready: models are loading; the outbox is full"}


def test_invoke_over_concurrency_limit_answers_429():
    with Desk(limit=2) as desk:
        threads, answers = desk.hold(2)

        status, headers, body = desk.post()
        told = json.loads(body)
        assert (status, headers["Retry-After"], headers["x-amzn-ErrorType"]) == (429, "1", "TooManyRequestsException")
        assert told["Reason"] == "ConcurrentInvocationLimitExceeded"
        assert told["message"].startswith("2 calls run or wait already; try again, or raise FACECRAFT_MAX_CONCURRENT")
        desk.function.go_on.release(2)
        for thread in threads:
            thread.join(10)

        assert [status for status, *_ in answers] == [200, 200]
        assert (desk.post()[0], desk.calls.in_flight) == (200, 0)


@pytest.mark.parametrize("wrong", [{"body": b"{"}, {"X_Amz_Invocation_Type": "DryRun"}, {"X_Amz_Log_Type": "x"}])
def test_invoke_refused_request_frees_its_slot(wrong):
    with Desk(limit=1) as desk:
        for _ in range(3):
            assert desk.post(**wrong)[0] in (204, 400)
        assert desk.post()[0] == 200


def test_invoke_timed_out_call_is_answered_and_holds_its_slot_until_it_ends():
    with Desk(limit=1, seconds=0.05) as desk:
        _, headers, body = desk.post({"hold": 1})

        assert json.loads(body) == {
            "errorMessage": f"RequestId: {headers['x-amzn-RequestId']} Error: Task timed out after 0.05 seconds",
            "errorType": "Sandbox.Timedout",
            "requestId": headers["x-amzn-RequestId"],
            "stackTrace": [],
        }
        assert (headers["X-Amz-Function-Error"], desk.post()[0]) == ("Unhandled", 429)
        desk.function.go_on.release()
        desk.calls.drain()
        assert (desk.calls.in_flight, desk.counted("timed_out")) == (0, 1)


def test_invoke_client_gone_before_body_frees_its_slot(caplog):
    with Desk(limit=1) as desk:
        with socket.create_connection(("127.0.0.1", desk.server.port), timeout=10) as client:
            client.sendall(HALF)
        assert eventually(lambda: desk.post()[0] == 200)
    assert (desk.function.remaining[1:], caplog.records) == ([], [])


def test_invoke_client_gone_during_call_affects_no_other(desk):
    with socket.create_connection(("127.0.0.1", desk.server.port), timeout=10) as client:
        client.sendall(b'POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{"hold":1}' % PATH.encode())
        assert desk.function.begun.acquire(timeout=10)
    desk.function.go_on.release()

    assert desk.post()[0] == 200
    desk.calls.drain()
    assert desk.calls.in_flight == 0


def test_invoke_stalled_body_answers_408():
    with Desk(read_seconds=0.05, limit=1) as desk:
        with socket.create_connection(("127.0.0.1", desk.server.port), timeout=10) as client:
            client.sendall(HALF)
            assert client.recv(12) == b"HTTP/1.1 408"
        assert desk.post()[0] == 200


def test_invoke_after_drain_answers_503(desk):
    desk.calls.drain()
    assert desk.refused() == (503, "ServiceException", "not ready: the service is stopping")


def test_invoke_unauthorised_is_refused_before_body_is_read():
    with Desk(loopback=False) as desk, socket.create_connection(("127.0.0.1", desk.server.port), timeout=10) as client:
        client.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 6000000\r\n\r\n" % PATH.encode())
        assert client.recv(12) == b"HTTP/1.1 403"


def test_invoke_key_is_accepted_and_never_shown():
    with Desk(loopback=False, key=KEY) as desk:
        assert desk.post(X_API_Key=KEY)[0] == 200
        status, kind, message = desk.refused(X_API_Key=KEY.lower())
        assert (status, kind) == (403, "AccessDeniedException")
        assert KEY not in message


def test_invoke_boto3_sends_key_as_readme_says(pytestconfig):
    readme = (pytestconfig.rootpath / "handler" / "README.md").read_text("utf-8")
    (hook,) = re.findall(r"^client\.meta\.events\.register\(.*\)$", readme, re.MULTILINE)
    with Desk(loopback=False, key=KEY) as desk:
        client = boto3_client(desk.url)
        eval(hook, {"client": client, "key": KEY})  # noqa: S307 - our own README
        assert client.invoke(FunctionName="function", Payload=b"{}")["StatusCode"] == 200


def test_invoke_web_page_is_refused(desk):
    assert desk.refused(Origin="https://example.com", Content_Type="text/plain")[:2] == (403, "AccessDeniedException")
    assert desk.refused(Host="rebound.example.com")[:2] == (403, "AccessDeniedException")


def test_invoke_cors_preflight_is_not_allowed(desk):
    asked = {"Origin": "https://example.com", "Access_Control_Request_Method": "POST"}
    status, headers, _ = desk.post(method="OPTIONS", **asked)
    assert (status, [name for name in headers if name.startswith("Access-Control")]) == (405, [])


@pytest.mark.parametrize(("method", "path", "status"), [("GET", PATH, 405), ("POST", f"{PATH}/x", 404)])
def test_invoke_other_path_or_method_is_refused_in_json(desk, method, path, status):
    answer, _, body = ask(desk.server, method, path)
    assert (answer, sorted(json.loads(body))) == (status, ["detail", "error", "hint"])


def test_invoke_calls_are_counted_and_timed(desk):
    for body in ({}, {"fail": "X"}, {"divide": 0}, b"{"):
        desk.post(body)

    assert [desk.counted(end) for end in ("done", "failed", "refused", "throttled")] == [1, 2, 1, 0]
    assert b"facecraft_invocation_seconds_count 3.0" in desk.metrics.render()[0]


def test_invoke_boto3_reads_answer_and_log_tail(client, caplog):
    caplog.set_level(logging.INFO)
    answer = client.invoke(FunctionName="function", Payload=b'{"log": ["one", "two"]}', LogType="Tail")

    assert (answer["StatusCode"], answer["ExecutedVersion"], "FunctionError" in answer) == (200, "$LATEST", False)
    assert json.load(answer["Payload"]) == {"echo": {"log": ["one", "two"]}}
    lines = [json.loads(line) for line in base64.b64decode(answer["LogResult"]).splitlines()]
    assert [line["event"] for line in lines] == ["one", "two", "invocation.done"]
    assert lines[-1]["request_id"] == answer["ResponseMetadata"]["RequestId"]


def test_invoke_boto3_reads_function_error(client):
    answer = client.invoke(FunctionName="function", Payload=b'{"fail": "OutsideInbox"}')
    assert (answer["FunctionError"], json.load(answer["Payload"])["errorType"]) == ("Unhandled", "OutsideInbox")


@pytest.mark.parametrize(("kind", "status"), [("Event", 202), ("DryRun", 204)])
def test_invoke_boto3_reads_answers_without_body(client, kind, status):
    answer = client.invoke(FunctionName="function", Payload=b"{}", InvocationType=kind)
    assert (answer["StatusCode"], answer["Payload"].read()) == (status, b"")


@pytest.mark.parametrize(
    ("state", "payload", "code"),
    [("well", b"{", "InvalidRequestContentException"), ("full", b"{}", "TooManyRequestsException"),
     ("loading", b"{}", "ServiceException"), ("well", b" " * (LIMIT + 1), "RequestTooLargeException")],
)  # fmt: skip
def test_invoke_boto3_knows_errors(desk, client, state, payload, code):
    while state == "full" and desk.calls.take_slot():
        pass
    desk.reasons = ["models are loading"] if state == "loading" else []

    with pytest.raises(getattr(client.exceptions, code)) as caught:
        client.invoke(FunctionName="function", Payload=payload)

    assert caught.value.response["Error"]["Message"] not in (None, "")
    assert isinstance(caught.value, ClientError)
