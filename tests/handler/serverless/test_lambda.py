"""The function as Lambda runs it: awslambdaric itself, in a process that may write to /tmp alone."""

import base64
import io
import json
import sys

import pytest
from PIL import Image

from tests.support.lambda_function import BUCKET, EVENTS, PORTRAITS, Bucket, event, function, key_of, message
from tests.support.lambda_room import Room

SEES = """
import json, os, socket
from pathlib import Path

def refused(what):
    try:
        what()
    except OSError as error:
        return error.strerror
    return "allowed"

seen = {
    "uid": os.getuid(),
    "home": os.environ.get("HOME"),
    "here": refused(Path("x").touch),
    "root": refused(Path("/usr/x").touch),
    "dev": refused(Path("/dev/x").touch),
    "tmp": refused(Path("/tmp/x").touch),
    "shm": Path("/dev/shm").exists(),
    "network": refused(lambda: socket.create_connection(("1.1.1.1", 53), timeout=5)),
    "size": os.statvfs("/tmp").f_frsize * os.statvfs("/tmp").f_blocks,
}
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def bucket():
    one = Bucket()
    yield one
    one.close()


@pytest.fixture(scope="module")
def warm(models_dir, bucket):
    """One function that has begun, for all tests that leave it as they found it."""
    with function(models_dir, bucket, DEFAULT_WIDTH=300, DEFAULT_HEIGHT=300) as one:
        one.api.ready()
        yield one


@pytest.fixture
def photos(bucket):
    """Puts so many photos below a prefix; outbox and prefix are empty again afterwards."""
    yield lambda name, number: [bucket.put(f"in/{name}/{each}.jpg") for each in range(number)]
    for prefix in ("in/", "out/"):
        bucket.empty(prefix)


def picture(file):
    with Image.open(io.BytesIO(base64.b64decode(file["image"]))) as image:
        image.load()
        return image.format, image.size


TOLD = {
    "s3-put": 1, "s3-post": 1, "s3-copy": 1, "s3-multipart": 1, "s3-test": 0, "s3-delete": 0, "s3-delete-marker": 0,
    "s3-tagging": 0, "s3-elsewhere": 0, "sns-s3": 1, "sns-test": 0, "eventbridge": 1, "eventbridge-multipart": 1,
    "eventbridge-delete": 0, "eventbridge-tags": 0, "minio-put": 1, "minio-tagging": 0, "rustfs-put": 1,
}  # fmt: skip
"""How many photos of the inbox each of tests/events tells of."""

BATCHES = {
    "sqs-s3": 1, "sqs-sns-s3": 1, "sqs-sns-raw-s3": 1, "sqs-eventbridge": 1, "sqs-sns-eventbridge": 1, "sqs-minio": 1,
    "sqs-s3-test": 0, "sqs-s3-delete": 0, "sqs-several": 1,
}  # fmt: skip
"""How many of them lie there, of those that a batch tells of."""


def said(body):
    """What does not differ from call to call."""
    return [body.get(name) for name in ("outcome", "reason", "ignored", "errorType", "errorMessage")]


def test_lambda_room_is_like_lambda():
    with Room([sys.executable, "-c", SEES], {}, {}) as room:
        assert room.ended() == 0, room.said()
        seen = json.loads(room.said())
    refused = "Read-only file system"
    assert seen == {
        "uid": 993, "home": None, "here": refused, "root": refused, "dev": refused, "tmp": "allowed", "shm": False,
        "network": "Network is unreachable", "size": 512 * 1024 * 1024,
    }  # fmt: skip


@pytest.mark.parametrize("command", [[], ["watch"], ["handler.aws.lambda_handler"]], ids=["none", "watch", "dotted"])
def test_lambda_without_models_fails_at_init(bucket, command):
    with function("/opt/none", bucket, command) as one:
        failed = one.api.init_error.result(timeout=60)
        assert one.room.ended() == 1
    assert "facecraft models fetch" in failed.body["errorMessage"]
    assert failed.type == "ModelError"
    assert one.api.refused == []


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({"INBOX": "/photos"}, "s3://"),
        ({"OUTBOX": None}, "FACECRAFT_OUTBOX"),
        ({"DEFAULT_WIDTH": "wide"}, "FACECRAFT_DEFAULT_WIDTH"),
    ],
    ids=["a folder as inbox", "no outbox", "a bad option"],
)
def test_lambda_invalid_settings_fail_at_init_with_fix(bucket, models, settings, fix):
    with function(models, bucket, **settings) as one:
        failed = one.api.init_error.result(timeout=60)
        assert one.room.ended() == 1
    assert fix in failed.body["errorMessage"]


def test_lambda_full_tmp_does_not_matter(models_dir, bucket):
    with function(models_dir, bucket, tmp="4k") as one:
        assert one.call(event("direct-base64")).body["outcome"] == "done"


def test_lambda_base64_photo_returns_portrait(warm):
    answer = warm.call(event("direct-base64"))
    assert answer.kind == "response", answer.body
    assert (answer.body["outcome"], answer.body["recipe"]["width"]) == ("done", 300)
    assert [picture(file) for file in answer.body["outputs"]] == [("PNG", (300, 300)), ("JPEG", (300, 300))]


def test_lambda_base64_photo_is_not_stored(warm, bucket):
    warm.call(event("direct-base64"))
    assert bucket.keys() == []


def test_lambda_images_over_6_mb_go_to_outbox(warm, bucket, photos):
    photo = base64.b64encode((PORTRAITS / "astronaut.png").read_bytes()).decode()
    large = {"width": 3000, "height": 3000, "max_size_kb": 1000, "oval_mask": False}
    answer = warm.call({"image": photo, "options": large})
    assert answer.kind == "response", answer.body
    keys = [file["uri"].removeprefix(f"s3://{BUCKET}/") for file in answer.body["outputs"]]
    assert sorted(bucket.keys("out/")) == sorted(keys)
    assert bucket.get(keys[0]).startswith(b"\x89PNG")


def test_lambda_rejected_photo_is_an_answer(warm):
    answer = warm.call(event("direct-base64-no-face"))
    assert (answer.kind, answer.body["outcome"], answer.body["reason"]) == ("response", "rejected", "no_face_detected")
    assert answer.body["hint"]


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("direct-s3-outside", "OutsideInbox"),
        ({"image": "no base64!"}, "InvalidImage"),
        ({"image": "aGVsbG8=", "option": {}}, "InvalidEvent"),
        ({"hello": "world"}, "InvalidEvent"),
        ([1, 2], "InvalidEvent"),
        ("text", "InvalidEvent"),
    ],
    ids=["outside", "no base64", "an unknown field", "another event", "a list", "text"],
)
def test_lambda_invalid_call_has_error_of_its_kind(warm, told, kind):
    answer = warm.call(event(told) if told == "direct-s3-outside" else told)
    assert (answer.kind, answer.type) == ("error", kind)
    assert answer.body["errorType"] == kind
    assert len(answer.body["errorMessage"]) > 20


@pytest.mark.parametrize(("name", "number"), TOLD.items(), ids=TOLD)
def test_lambda_event_of_every_sender_is_processed(warm, bucket, photos, name, number):
    key = bucket.put(key_of(name))
    answer = warm.call(event(name))
    assert answer.kind == "response", answer.body
    told = [(each["uri"], each["outcome"]) for each in answer.body["photos"]]
    assert told == [(f"s3://{BUCKET}/{key}", "done")] * number
    assert answer.body["ignored"] == 1 - number
    assert len(bucket.keys("out/reports/")) == number


@pytest.mark.parametrize(("name", "number"), BATCHES.items(), ids=BATCHES)
def test_lambda_queue_batch_is_processed(warm, bucket, photos, name, number):
    key = bucket.put(key_of(name))
    assert warm.call(event(name)).body == {"batchItemFailures": []}
    assert [bucket.report(key)["outcome"] for _ in range(number)] == ["done"] * number
    assert len(bucket.keys("out/reports/")) == number


def test_lambda_unparsable_message_is_returned_alone(warm, bucket, photos):
    key = bucket.put(key_of("sqs-not-understood"))
    answer = warm.call(event("sqs-not-understood"))
    assert answer.body == {"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661975600002"}]}
    assert bucket.report(key)["outcome"] == "done"


def test_lambda_direct_photo_in_inbox_is_stored(warm, bucket, photos):
    key = bucket.put(key_of("direct-s3"))
    answer = warm.call(event("direct-s3"))
    assert (answer.kind, answer.body) == ("response", bucket.report(key))
    assert [file["name"] for file in answer.body["outputs"]] == ["direct-s3/Anna B+é.png", "direct-s3/Anna B+é.jpg"]


def test_lambda_all_sample_events_are_sent():
    sent = {*TOLD, *BATCHES, "sqs-not-understood", "direct-s3", "direct-s3-outside"}
    assert sent | {"direct-base64", "direct-base64-no-face"} == {path.stem for path in EVENTS.iterdir()}


def test_lambda_done_photo_is_not_processed_again(warm, bucket, photos):
    photos("twice", 1)
    first = warm.photo("in/twice/0.jpg").body
    before = bucket.report("in/twice/0.jpg")
    second = warm.photo("in/twice/0.jpg").body
    assert [first["photos"][0]["outcome"], second["photos"][0]["outcome"]] == ["done", "skipped"]
    assert bucket.report("in/twice/0.jpg") == before


@pytest.mark.timeout(300)
def test_lambda_batch_near_deadline_rest_is_returned(warm, bucket, photos):
    keys = photos("batch", 10)
    messages = {f"message-{number}": message(key, number) for number, key in enumerate(keys)}
    answer = warm.call({"Records": [*messages.values()]}, seconds=3)
    assert answer.kind == "response", answer.body
    left = [each["itemIdentifier"] for each in answer.body["batchItemFailures"]]
    done = len(bucket.keys("out/reports/batch/"))
    assert (len(set(left)), done + len(left)) == (len(left), 10)
    again = warm.call({"Records": [messages[name] for name in left]}, seconds=900)
    assert (again.body, len(bucket.keys("out/reports/batch/"))) == ({"batchItemFailures": []}, 10)


def test_lambda_without_s3_call_fails(warm, bucket, photos):
    photos("away", 1)
    warm.s3.do("refused")
    failed = warm.photo("in/away/0.jpg", seconds=60)
    warm.s3.do(None)
    assert (failed.kind, failed.type) == ("error", "RetryLater")
    assert warm.photo("in/away/0.jpg").body["photos"][0]["outcome"] == "done"


def test_lambda_repeated_message_in_batch_is_answered_once(warm, photos):
    one, other = photos("double", 2)
    warm.s3.do("refused")
    answer = warm.call({"Records": [message(one), message(one), message(other, 1)]}, seconds=60)
    warm.s3.do(None)
    assert answer.body == {"batchItemFailures": [{"itemIdentifier": f"message-{number}"} for number in (0, 1)]}


def test_lambda_dead_connections_between_calls_are_replaced(warm, photos):
    photos("thawed", 2)
    assert warm.photo("in/thawed/0.jpg").body["photos"][0]["outcome"] == "done"
    warm.room.frozen()
    warm.s3.hang_up()
    warm.room.thawed()
    assert warm.photo("in/thawed/1.jpg").body["photos"][0]["outcome"] == "done"


def test_lambda_warm_function_needs_no_tmp(warm, photos):
    photos("full", 1)
    warm.call(event("direct-base64"))
    before = warm.room.written()
    filler = warm.room.tmp / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(1024 * 1024))
    answers = warm.photo("in/full/0.jpg"), warm.call(event("direct-base64"))
    filler.unlink()
    assert [answer.kind for answer in answers] == ["response", "response"], answers
    assert answers[0].body["photos"][0]["outcome"] == "done"
    assert warm.room.written() == before


def test_lambda_thousand_calls_keep_memory_and_answers(warm, photos):
    told = [event("direct-base64-no-face"), *[event("s3-test")] * 4, *[{"image": "wrong"}] * 5]
    first = [warm.call(each).body for each in told * 10]
    held = warm.room.memory()
    rest = [warm.call(each).body for each in told * 90]
    assert [said(each) for each in rest] == [said(each) for each in first[:10]] * 90
    assert warm.room.memory() < held + 20


def test_lambda_calls_leave_nothing_behind(warm):
    narrow = event("direct-base64")
    plain = {"image": narrow["image"]}
    before = warm.call(plain).body
    warm.call(narrow)
    after = warm.call(plain).body
    for each in (before, after):
        each.pop("stages_ms")
    assert after == before
