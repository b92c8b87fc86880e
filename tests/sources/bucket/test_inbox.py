"""Which keys are photos."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.bucket.inbox import BucketInbox
from sources.notifications.notification import ObjectCreated
from tests.sources.notifications.payloads import ODD, direct, record, sns, test_event

INBOX = BucketInbox("photos", "in")


def created(key, bucket="photos"):
    return ObjectCreated(bucket, key, None, "e1", "0A", 7)


@pytest.mark.parametrize("prefix", ["in", "in/"])
def test_a_key_below_the_prefix_is_a_photo(prefix):
    photo = BucketInbox("photos", prefix).photo(created("in/a+b c/é%25.jpg"))
    assert (photo.uri, photo.path) == ("s3://photos/in/a+b c/é%25.jpg", "a+b c/é%25.jpg")
    assert (photo.version, photo.sequencer) == ("e1", "0A")


def test_without_a_prefix_the_bucket_is_the_inbox():
    assert BucketInbox("photos", "").photo(created("anna.jpg")).path == "anna.jpg"


@pytest.mark.parametrize(
    ("key", "bucket", "held"),
    [("in/a", "photos", True), ("in", "photos", False), ("inn/a", "photos", False), ("in/a", "others", False)],
)
def test_only_what_is_below_the_prefix_is_in_the_inbox(key, bucket, held):
    assert BucketInbox("photos", "in").contains(created(key, bucket)) is held


def test_a_sidecar_is_news_of_its_photo():
    photo = BucketInbox("photos", "in").photo(created("in/anna.jpg.toml"))
    assert (photo.uri, photo.path, photo.version) == ("s3://photos/in/anna.jpg", "anna.jpg", "")
    assert photo.sequencer is None


@pytest.mark.parametrize("key", ["in/", "in/sales/", "in/.toml", "in/.hidden.jpg", "in/@eaDir/a.jpg", "in/a.jpg.part",
                                 "in/a/.toml"])  # fmt: skip
def test_folders_and_what_is_unfinished_are_no_photos(key):
    assert BucketInbox("photos", "in").photo(created(key)) is None


@pytest.mark.parametrize("body", [direct(record()), json.dumps(direct(record())), sns(direct(record()))])
def test_parse_body_gives_photos_of_the_inbox(body):
    notification = INBOX.parse(body)

    assert [photo.path for photo in notification.photos] == [ODD.removeprefix("in/")]
    assert (notification.ignored, notification.error) == (0, None)


def test_parse_other_objects_and_events_are_counted():
    body = direct(record("in/a.tmp"), record("out/anna.png"), record(name="ObjectRemoved:Delete"), record("in/b.jpg"))

    notification = INBOX.parse(body)
    assert ([photo.path for photo in notification.photos], notification.ignored) == (["b.jpg"], 3)
    assert INBOX.parse(test_event()).ignored == 1


def test_parse_partly_malformed_body_keeps_the_rest():
    notification = INBOX.parse(direct(record("in/anna.jpg"), record(version="3.0")))

    assert [photo.path for photo in notification.photos] == ["anna.jpg"]
    assert "only 2.x is understood" in notification.error


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_parse_any_body_raises_nothing(body):
    assert INBOX.parse(body).photos == ()
