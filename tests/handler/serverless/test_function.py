"""What calls of the function are answered: events of buckets, batches of a queue, photos of the inbox."""

import json
import math
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.config.settings import CommonSettings
from handler.outbox.attempts import Attempts
from handler.outbox.paths import report_path
from handler.serverless.function import FunctionError, Invocation, LambdaFunction
from handler.workers.pool import PoolUnavailable
from handler.workers.worker_process import WorkerDied
from sources.stores.local import FileStore
from tests.handler.fakes import MAX_ATTEMPTS, FakePool, done, process_between, refused
from tests.sources.notifications.payloads import bridge, direct, minio, record, sns_record, test_event

REQUEST = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"


def call(left=math.inf, request=REQUEST):
    return Invocation(request, lambda: left)


def functions(inbox, outbox, *answers):
    """A function between these stores, its models played."""
    attempts = Attempts(outbox, always_alone=True)
    process = process_between(inbox, outbox, attempts, *answers)
    return LambdaFunction(CommonSettings(), process.pool, process), attempts, process.pool


class Cloud:
    """An inbox and an outbox in a bucket, and functions between them."""

    def __init__(self, inbox, outbox):
        self.inbox, self.outbox, self.begun = inbox, outbox, []

    def function(self, *answers):
        function, attempts, self.pool = functions(self.inbox, self.outbox, *answers)
        self.begun.append(attempts)
        return function

    def photo(self, path, data=b"a photo"):
        self.inbox.write(path, data)
        return self.inbox.uri(path)

    def record(self, path, **more):
        one = record(self.inbox.prefix + path, **more)
        one["s3"]["bucket"]["name"] = self.inbox.bucket
        return one

    def message(self, name, *paths, receives=1, body=None):
        return {
            "messageId": name,
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": json.dumps(direct(*map(self.record, paths))) if body is None else body,
            "attributes": {"ApproximateReceiveCount": str(receives), "SentTimestamp": "1545082649183"},
            "messageAttributes": {},
            "md5OfBody": "098f6bcd4621d373cade4e832627b4f6",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:photos",
            "awsRegion": "eu-central-1",
        }

    def report(self, path):
        return json.loads(self.outbox.read(report_path(path)).data)


@pytest.fixture
def cloud(s3):
    cloud = Cloud(s3("in"), s3("out"))
    yield cloud
    for attempts in cloud.begun:
        attempts.close()


def failures(answer):
    assert list(answer) == ["batchItemFailures"]
    return [each.pop("itemIdentifier") for each in answer["batchItemFailures"] if len(each) == 1]


# Batches of a queue


def test_batch_all_done_has_no_failures(cloud):
    messages = [cloud.message(name, f"{name}.jpg") for name in ("m1", "m2")]
    for name in ("m1", "m2"):
        cloud.photo(f"{name}.jpg")

    assert cloud.function(done, refused)({"Records": messages}, call()) == {"batchItemFailures": []}
    assert [cloud.report(f"{name}.jpg")["outcome"] for name in ("m1", "m2")] == ["done", "rejected"]


def test_batch_retryable_message_fails_once(cloud):
    for name in "abc":
        cloud.photo(f"{name}.jpg")
    messages = [cloud.message("m1", "a.jpg"), cloud.message("m2", "b.jpg", "c.jpg"), cloud.message("m2", "b.jpg")]
    function = cloud.function(done, OSError("full"), OSError("full"))

    assert failures(function({"Records": messages}, call())) == ["m2"]
    assert failures(function({"Records": messages[1:]}, call())) == []


def test_batch_done_photo_is_not_processed_again(cloud):
    cloud.photo("anna.jpg")
    function = cloud.function()
    for _ in range(2):
        assert function({"Records": [cloud.message("m1", "anna.jpg")]}, call()) == {"batchItemFailures": []}

    assert len(cloud.pool.jobs) == 1


def test_batch_last_attempt_ends_in_report(cloud):
    cloud.photo("anna.jpg")
    event = {"Records": [cloud.message("m1", "anna.jpg")]}

    answers = [cloud.function(WorkerDied("killed"))(event, call()) for _ in range(MAX_ATTEMPTS)]
    assert [failures(answer) for answer in answers] == [["m1"]] * (MAX_ATTEMPTS - 1) + [[]]
    assert (cloud.report("anna.jpg")["outcome"], cloud.report("anna.jpg")["attempt"]) == ("failed", MAX_ATTEMPTS)


def test_batch_near_deadline_rest_is_returned(cloud):
    left = [10.0]

    def slow(job):
        left[0] = 0.5
        return done(job)

    for name in "abc":
        cloud.photo(f"{name}.jpg")
    messages = [cloud.message(name, f"{name}.jpg") for name in "abc"]
    answer = cloud.function(slow)({"Records": messages}, Invocation(REQUEST, lambda: left[0]))
    assert failures(answer) == ["b", "c"]
    assert cloud.report("a.jpg")["outcome"] == "done"


def test_batch_most_received_message_is_first(cloud):
    for name in "abc":
        cloud.photo(f"{name}.jpg")
    messages = [
        cloud.message(name, f"{name}.jpg", receives=receives) for name, receives in zip("abc", (1, 4, 2), strict=True)
    ]
    function = cloud.function()
    function({"Records": messages}, call())

    assert [job.path for job in cloud.pool.jobs] == ["b.jpg", "c.jpg", "a.jpg"]


@pytest.mark.parametrize("body", ["no JSON", "", "[1]", '{"foo": 1}', None])
def test_batch_unparsable_message_is_returned_then_dropped(cloud, caplog, body):
    message = cloud.message("m1", receives=1) | {"body": body}
    assert failures(cloud.function()({"Records": [message]}, call())) == ["m1"]
    assert "message.not_understood" in caplog.text

    message["attributes"]["ApproximateReceiveCount"] = "10"
    assert failures(cloud.function()({"Records": [message]}, call())) == []


def test_batch_partly_parsed_message_photos_are_processed(cloud):
    cloud.photo("anna.jpg")
    odd = json.dumps(direct(cloud.record("anna.jpg"), cloud.record("b.jpg", version="3.0")))

    assert failures(cloud.function()({"Records": [cloud.message("m1", body=odd)]}, call())) == ["m1"]
    assert cloud.report("anna.jpg")["outcome"] == "done"


def test_batch_hanging_photo_does_not_delay_answer(cloud):
    go = threading.Event()

    def hang(job):
        go.wait(30)
        return done(job)

    for name in "ab":
        cloud.photo(f"{name}.jpg")
    messages = [cloud.message(name, f"{name}.jpg") for name in "ab"]
    answer = cloud.function(hang)({"Records": messages}, call(left=1.5))
    go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("slot-"):  # it writes the portrait, while the server is there
            thread.join(30)
    assert failures(answer) == ["a", "b"]


ids = st.text("abc", min_size=1, max_size=2)
bodies = st.sampled_from(["no JSON", "{}", '{"Event": "s3:TestEvent"}', json.dumps(direct(record("other/x.jpg")))])
odd_records = st.fixed_dictionaries(
    {"eventSource": st.just("aws:sqs"), "messageId": ids, "body": bodies | st.none() | st.integers()},
    optional={"attributes": st.dictionaries(st.just("ApproximateReceiveCount"), st.text("0123456789x", max_size=3))},
)


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    """A function whose inbox is never asked."""
    from sources.stores.s3 import S3Store

    function, *_ = functions(S3Store("photos", "in"), FileStore(tmp_path_factory.mktemp("out")))
    return function


@settings(deadline=None)
@given(st.lists(odd_records, min_size=1, max_size=6))
def test_batch_answer_names_own_messages_once(idle, records):
    answer = idle({"Records": records}, call())

    named = failures(json.loads(json.dumps(answer)))
    assert len(named) == len(set(named))
    assert set(named) <= {one["messageId"] for one in records}


# Other events


@pytest.mark.parametrize(
    "wrapped", [direct, sns_record, lambda one: sns_record(direct(one))], ids=["s3", "sns", "both"]
)
def test_event_answer_lists_outcomes_of_photos(cloud, wrapped):
    uri = cloud.photo("sales/anna.jpg")

    answer = cloud.function()(wrapped(cloud.record("sales/anna.jpg")), call())
    report = cloud.outbox.uri("reports/sales/anna.jpg.json")
    assert answer == {"photos": [{"uri": uri, "outcome": "done", "reason": None, "report": report}], "ignored": 0}


def test_event_from_eventbridge_is_parsed(cloud):
    cloud.photo("anna.jpg")
    event = bridge(key=f"{cloud.inbox.prefix}anna.jpg")
    event["detail"]["bucket"]["name"] = cloud.inbox.bucket

    assert cloud.function(refused)(event, call())["photos"][0]["reason"] == "no_face_detected"


def test_event_retryable_failure_raises(cloud):
    cloud.photo("anna.jpg"), cloud.photo("otto.jpg")
    event = direct(cloud.record("anna.jpg"), cloud.record("otto.jpg"))
    function = cloud.function(OSError("the disk is full"), done)

    with pytest.raises(FunctionError, match=r"anna.jpg: outbox_unavailable: the disk is full; call again") as caught:
        function(event, call())
    assert caught.value.kind == "RetryLater"
    assert [each["outcome"] for each in function(event, call())["photos"]] == ["done", "skipped"]


def test_event_short_retry_is_awaited(cloud):
    cloud.photo("anna.jpg")

    answer = cloud.function(PoolUnavailable("all are busy"), done)(direct(cloud.record("anna.jpg")), call())
    assert [each["outcome"] for each in answer["photos"]] == ["done"]


def test_event_without_time_raises_retry_later(cloud):
    with pytest.raises(FunctionError, match="raise the function's timeout"):
        cloud.function()(direct(cloud.record("anna.jpg")), call(left=0.5))


def test_event_gone_photo_or_other_object_is_no_error(cloud, caplog):
    caplog.set_level("INFO")
    event = direct(cloud.record("gone.jpg"), cloud.record("a.tmp"), record("elsewhere.jpg"))

    answer = cloud.function()(event, call())
    assert ([each["outcome"] for each in answer["photos"]], answer["ignored"]) == (["vanished"], 2)
    assert answer["photos"][0]["report"] is None
    assert "event.ignored" not in caplog.text
    assert cloud.function()(test_event(), call()) == {"photos": [], "ignored": 1}
    assert "event.ignored" in caplog.text


@pytest.mark.parametrize("event", [{"foo": 1}, {}, {"Records": "x"}, [], None, "text", 7, {"Records": [{"a": 1}]}])
def test_event_unparsable_raises(cloud, event):
    with pytest.raises(FunctionError, match=r'\{"image": "<base64>"\}') as caught:
        cloud.function()(event, call())
    assert caught.value.kind == "InvalidEvent"


def test_event_partly_parsed_raises_after_its_photos(cloud):
    cloud.photo("anna.jpg")
    with pytest.raises(FunctionError, match="is understood; its other photos are done"):
        cloud.function()(direct(cloud.record("anna.jpg"), cloud.record("b.jpg", version="3.0")), call())
    assert cloud.report("anna.jpg")["outcome"] == "done"


def test_event_without_inbox_raises(tmp_path, cloud):
    (tmp_path / "in").mkdir()
    in_folder, attempts, _ = functions(FileStore(tmp_path / "in"), FileStore(tmp_path / "out"))
    cloud.begun.append(attempts)
    for function in (LambdaFunction(CommonSettings(), FakePool()), in_folder):
        for event in (direct(record()), minio(), {"Records": [cloud.message("m1", "a.jpg")]}, {"image": "s3://a/b"}):
            with pytest.raises(FunctionError, match="set FACECRAFT_INBOX and FACECRAFT_OUTBOX") as caught:
                function(event, call())
            assert caught.value.kind == "NoInbox"


values = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["aws:s3", "aws:sqs", "2.1"])
names = st.sampled_from(
    ["Records", "eventSource", "eventName", "eventVersion", "s3", "bucket", "object", "key", "name", "body", "Sns",
     "Message", "Type", "detail", "detail-type", "source", "messageId", "Event", "EventName", "Key", "options"]
)  # fmt: skip
events = st.recursive(
    values | st.builds(record, st.just("elsewhere.jpg")) | st.just(test_event()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=8,
)


@settings(deadline=None, max_examples=300)
@given(events)
def test_function_any_event_is_answered_or_raises_with_fix(idle, event):
    try:
        answer = json.loads(json.dumps(idle(event, call())))
    except FunctionError as error:
        assert error.kind == "InvalidEvent"
        assert str(error)
        return
    if "batchItemFailures" in answer:
        assert set(failures(answer)) <= {one["messageId"] for one in event["Records"]}
    else:
        assert answer.keys() == {"photos", "ignored"}
        assert (answer["photos"], answer["ignored"] > 0) == ([], True)


# A photo of the inbox, by its URI


def test_direct_photo_in_inbox_is_answered_with_report(cloud):
    uri, function = cloud.photo("sales/a+b %é.jpg"), cloud.function()

    answers = [function({"image": uri}, call()) for _ in range(2)]
    assert answers[0] == answers[1] == cloud.report("sales/a+b %é.jpg")
    assert answers[0]["outputs"][0]["name"] == "sales/a+b %é.png"


def test_direct_rejected_photo_is_an_answer(cloud):
    assert cloud.function(refused)({"image": cloud.photo("anna.jpg")}, call())["reason"] == "no_face_detected"


def test_direct_failed_photo_is_answered_with_report(cloud):
    uri = cloud.photo("anna.jpg")
    function = cloud.function(*[WorkerDied("killed")] * MAX_ATTEMPTS)
    for _ in range(MAX_ATTEMPTS - 1):
        with pytest.raises(FunctionError, match="processing_crashed: killed; call again"):
            function({"image": uri}, call())

    assert function({"image": uri}, call())["outcome"] == "failed"


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("anna.jpg", "NotFound", "put the photo there first"),
        ("anna.jpg.toml", "InvalidImage", "not of a photo: rename it"),
        ("", "InvalidImage", "is the name of a folder"),
        (".hidden.jpg", "InvalidImage", "rename it"),
    ],
)
def test_direct_uri_that_is_no_photo_raises(cloud, path, kind, words):
    with pytest.raises(FunctionError, match=words) as caught:
        cloud.function()({"image": cloud.inbox.uri(path)}, call())
    assert caught.value.kind == kind


@pytest.mark.parametrize("uri", ["s3://other/in/anna.jpg", "s3://{0.bucket}/in2/anna.jpg", "s3://{0.bucket}/anna.jpg"])
def test_direct_uri_outside_inbox_raises(cloud, uri):
    with pytest.raises(FunctionError, match=r"outside_inbox.*put the photo below s3://") as caught:
        cloud.function()({"image": uri.format(cloud.inbox)}, call())
    assert caught.value.kind == "OutsideInbox"


@pytest.mark.parametrize("uri", ["s3://", "s3://bucket", "s3://b/", "s3:///key"])
def test_direct_uri_without_key_raises(cloud, uri):
    with pytest.raises(FunctionError, match="write s3://BUCKET/KEY"):
        cloud.function()({"image": uri}, call())


def test_direct_options_for_photo_in_inbox_raise(cloud):
    with pytest.raises(FunctionError, match=r"anna.jpg.toml.*facecraft-width=800"):
        cloud.function()({"image": cloud.photo("anna.jpg"), "options": {"width": 800}}, call())


def test_function_concurrent_calls_do_not_interfere(cloud):
    function, answers = cloud.function(), {}

    def one(number):
        answers[number] = function({"image": cloud.photo(f"{number}.jpg", b"%d" % number)}, call())

    threads = [threading.Thread(target=one, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[number]["source"]["uri"] for number in range(6)] == [
        cloud.inbox.uri(f"{number}.jpg") for number in range(6)
    ]
