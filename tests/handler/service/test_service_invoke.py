"""Calls of the real service, with real models."""

import base64
import hashlib
import io
import json
import threading
from collections import Counter

import pytest
from PIL import Image

from tests.handler.service_runner import SOON, Watch

SMALL, CAT = "sally_ride_small.jpg", "no_face_cat.png"


@pytest.fixture(scope="module")
def portraits(pytestconfig):
    return pytestconfig.rootpath / "tests" / "portraits"


@pytest.fixture(scope="module")
def service(tmp_path_factory, models_dir):
    with Watch(tmp_path_factory.mktemp("calls"), models_dir, RESTORE="off") as watch:
        status, headers, answer = watch.invoke({})
        assert (status, headers["x-amzn-ErrorType"], answer["Type"]) == (503, "ServiceException", "Service")
        assert "models are loading" in answer["Message"]
        yield watch.ready()


def image(photo):
    return base64.b64encode(photo.read_bytes()).decode()


def together(*tasks):
    """What each of them gives, done at once."""
    given = [None] * len(tasks)
    threads = [
        threading.Thread(target=lambda number=number, task=task: given.__setitem__(number, task()))
        for number, task in enumerate(tasks)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    return given


def test_a_photo_in_base64_is_answered_with_its_portrait_and_not_stored(service, portraits):
    status, headers, report = service.invoke({"image": image(portraits / SMALL), "options": {"width": 200}})

    assert (status, headers["X-Amz-Function-Error"], report["outcome"]) == (200, None, "done")
    for output in report["outputs"]:
        data = base64.b64decode(output["image"])
        assert hashlib.sha256(data).hexdigest() == output["sha256"]
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.size == (output["width"], output["height"]) == (200, 648)
    assert {path.name for path in service.outbox.iterdir()} == {".facecraft"}


def test_a_photo_without_a_face_is_an_answer_too(service, portraits):
    status, headers, report = service.invoke({"image": image(portraits / CAT)})
    assert (status, headers["X-Amz-Function-Error"]) == (200, None)
    assert (report["outcome"], report["reason"]) == ("rejected", "no_face_detected")


def test_what_is_no_call_is_a_function_s_error_that_says_what_to_send(service):
    status, headers, error = service.invoke({"image": "***"})
    assert (status, headers["X-Amz-Function-Error"], error["errorType"]) == (200, "Unhandled", "InvalidImage")
    assert "base64 -w0" in error["errorMessage"]


def test_the_log_of_a_call_ends_with_its_photo_and_itself(service, portraits):
    _, headers, _ = service.invoke({"image": image(portraits / SMALL)}, X_Amz_Log_Type="Tail")

    lines = [json.loads(line) for line in base64.b64decode(headers["X-Amz-Log-Result"]).splitlines()]
    assert [line["event"] for line in lines] == ["photo.done", "invocation.done"]
    assert {line["request_id"] for line in lines} == {headers["x-amzn-RequestId"]}


def test_of_twenty_calls_at_once_four_are_taken_and_the_others_are_told_to_come_again(service, portraits):
    event = {"image": image(portraits / SMALL)}

    answers = together(*[lambda: service.invoke(event)] * 20)

    statuses = Counter(status for status, *_ in answers)
    assert statuses.keys() == {200, 429}
    assert statuses[200] >= 4
    assert {answer["outcome"] for status, _, answer in answers if status == 200} == {"done"}
    assert {headers["Retry-After"] for status, headers, _ in answers if status == 429} == {"1"}
    assert service.invoke(event)[0] == 200


def test_photos_of_the_inbox_and_calls_go_on_beside_each_other(service, portraits):
    event = {"image": image(portraits / SMALL)}
    uris = [service.drop(portraits / SMALL, f"beside/{number}.jpg") for number in range(3)]

    answers = together(*[lambda: service.invoke(event)] * 3)

    assert [answer["outcome"] for *_, answer in answers] == ["done"] * 3
    assert [service.settled(uri)["outcome"] for uri in uris] == ["done"] * 3


def test_metrics_and_status_count_calls(service):
    lines = service.get("/metrics")[1].splitlines()
    (done,) = (line for line in lines if line.startswith('facecraft_invocations_total{end="done"}'))
    assert (float(done.split()[1]) >= 1, inflight(service)) == (True, 0)
    assert service.ask("/status")[1]["invocations"] == {"inflight": 0, "limit": 4}


def test_a_stop_finishes_the_calls_that_were_taken(service, portraits):
    """The last one that uses the service."""
    event = {"image": image(portraits / SMALL)}
    accepted = [service.invoke(event, X_Amz_Invocation_Type="Event") for _ in range(3)]
    answers = []
    last = threading.Thread(target=lambda: answers.append(service.invoke(event)))
    last.start()
    service.until("/status", lambda *_: inflight(service) >= 2 or answers)

    assert service.stop() == 0

    last.join(SOON)
    assert [status for status, *_ in (*accepted, *answers)] == [202, 202, 202, 200]
    ended = {line["request_id"] for line in service.rest() if line["event"] == "invocation.done"}
    assert {headers["x-amzn-RequestId"] for _, headers, _ in (*accepted, *answers)} <= ended


def inflight(service):
    lines = service.get("/metrics")[1].splitlines()
    return float(next(line for line in lines if line.startswith("facecraft_invocations_inflight ")).split()[1])


@pytest.mark.parametrize(("key", "sent", "status"), [(None, None, 403), ("k3y", "k3x", 403), ("k3y", "k3y", 503)])
def test_where_others_reach_it_only_the_key_opens(tmp_path, key, sent, status):
    settings = {"HOST": "0.0.0.0"} | ({"API_KEY": key} if key else {})  # noqa: S104 - what is tested
    with Watch(tmp_path, tmp_path / "none", **settings) as watch:
        answered, _, answer = watch.invoke({}, **({"X_API_Key": sent} if sent else {}))
        text = f"{answer} {watch.process.args} {watch.stop()} {watch.rest()}"

    assert answered == status
    assert key is None or key not in text
    assert status != 403 or "FACECRAFT_API_KEY" in answer["Message"]


def test_a_photo_of_the_inbox_is_called_for_by_its_uri_and_stored_as_ever(s3, tmp_path, models_dir, portraits):
    inbox, outbox = s3("in"), s3("out")
    settings = {"INBOX": inbox, "OUTBOX": outbox, "SOURCES": "poll", "RESTORE": "off", "RESCAN_SECONDS": 3600}
    with Watch(tmp_path, models_dir, **settings) as watch:
        watch.ready()
        inbox.write("anna.jpg", (portraits / SMALL).read_bytes())
        status, _, report = watch.invoke({"image": inbox.uri("anna.jpg")})
        _, headers, error = watch.invoke({"image": "s3://elsewhere/anna.jpg"})

    assert (status, report["outcome"], report["outputs"][0]["name"]) == (200, "done", "anna.png")
    assert (outbox.exists("anna.png"), outbox.exists("reports/anna.jpg.json")) == (True, True)
    assert (headers["X-Amz-Function-Error"], error["errorType"]) == ("Unhandled", "OutsideInbox")
