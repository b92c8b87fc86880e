"""Calls in their threads: how each ends, what is said of it, and that none is lost at the end."""

import json
import logging
import threading

import pytest

from handler.serverless.calls import CallExecutor, ExecutorStopped, FunctionCall
from handler.telemetry.log import Tail
from handler.telemetry.metrics import Metrics
from tests.handler.serverless.invoke_desk import SOON, Played


@pytest.fixture
def function():
    return Played()


@pytest.fixture
def calls(function):
    calls = CallExecutor(function, 2, Metrics())
    yield calls
    function.go_on.release(2)
    calls.drain()


@pytest.fixture
def said(caplog):
    """Its records are the closing lines."""
    caplog.set_level(logging.INFO, "handler.serverless.calls")
    return caplog


def ended(calls, event, kind="RequestResponse", seconds=SOON, tail=None):
    """Its answer, or its error."""
    assert calls.take_slot()
    return calls.submit(FunctionCall(event, "id-1", kind, seconds, tail))


def test_submit_answer_is_json_with_one_closing_line(calls, said):
    tail = Tail()
    assert ended(calls, {"a": "é"}, tail=tail).result(SOON) == b'{"echo": {"a": "\\u00e9"}}'

    line = json.loads(tail.text())
    assert (line["level"], line["event"], line["request_id"]) == ("INFO", "invocation.done", "id-1")
    assert (line["invocation_type"], line["reason"], line["seconds"] >= 0) == ("RequestResponse", None, True)


@pytest.mark.parametrize(("kind", "level"), [("RequestResponse", "WARNING"), ("Event", "ERROR")])
def test_submit_function_error_is_logged_louder_for_event_calls(calls, said, kind, level):
    assert ended(calls, {"fail": "RetryLater"}, kind).exception(SOON).kind == "RetryLater"

    *_, line = said.records
    assert (line.levelname, line.message, line.reason) == (level, "invocation.failed", "RetryLater")
    assert (line.why, line.exc_info) == ("send a photo: é", None)


def test_submit_unexpected_error_is_logged_with_traceback(calls, said):
    assert isinstance(ended(calls, {"divide": 0}).exception(SOON), ZeroDivisionError)

    (line,) = said.records
    assert (line.levelname, line.message, line.exc_info[0]) == ("ERROR", "invocation.failed", ZeroDivisionError)


def test_submit_event_call_is_logged_when_accepted(calls, function, said):
    ended(calls, {"hold": 1}, "Event")
    assert function.begun.acquire(timeout=SOON)
    assert [line.message for line in said.records] == ["invocation.accepted"]


@pytest.mark.parametrize(("kind", "end"), [("RequestResponse", "timed_out"), ("Event", "done")])
def test_submit_late_answer_is_timed_out_only_for_request_response(calls, said, kind, end):
    ended(calls, {}, kind, seconds=0).result(SOON)
    assert said.records[-1].message == f"invocation.{end}"


def test_submit_slot_is_free_when_answer_is_there(calls):
    for _ in range(5):
        ended(calls, {}).result(SOON)
    assert ended(calls, {"fail": "X"}).exception(SOON)
    assert (calls.in_flight, calls.take_slot(), calls.take_slot(), calls.take_slot()) == (0, True, True, False)
    calls.free_slot()
    calls.free_slot()


def test_drain_waits_for_all_calls(calls, function):
    answers = [ended(calls, {"hold": 1}, kind) for kind in ("Event", "RequestResponse")]
    for _ in answers:
        assert function.begun.acquire(timeout=SOON)
    ending = threading.Thread(target=calls.drain)
    ending.start()
    assert ending.is_alive()
    function.go_on.release(2)
    ending.join(SOON)

    assert [answer.result(0) for answer in answers] == [b'{"echo": {"hold": 1}}'] * 2
    with pytest.raises(ExecutorStopped):
        calls.submit(FunctionCall({}, "id-2", "Event", SOON))


def test_submit_tail_collects_own_call_only(calls, function):
    tails = [Tail(), Tail()]
    held = ended(calls, {"hold": 1}, tail=tails[0])
    assert function.begun.acquire(timeout=SOON)
    ended(calls, {"log": ["mine"]}, tail=tails[1]).result(SOON)
    function.go_on.release()
    held.result(SOON)

    assert ["mine" in tail.text() for tail in tails] == [False, True]
