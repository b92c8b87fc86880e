"""Which keys are photos."""

import pytest

from sources.bucket.inbox import BucketInbox
from sources.notifications.announcement import ObjectCreated


def announced(key, bucket="photos"):
    return ObjectCreated(bucket, key, None, "e1", "0A", 7)


@pytest.mark.parametrize("prefix", ["in", "in/"])
def test_a_key_below_the_prefix_is_a_photo(prefix):
    photo = BucketInbox("photos", prefix).photo(announced("in/a+b c/é%25.jpg"))
    assert (photo.uri, photo.path) == ("s3://photos/in/a+b c/é%25.jpg", "a+b c/é%25.jpg")
    assert (photo.version, photo.sequencer) == ("e1", "0A")


def test_without_a_prefix_the_bucket_is_the_inbox():
    assert BucketInbox("photos", "").photo(announced("anna.jpg")).path == "anna.jpg"


@pytest.mark.parametrize(
    ("key", "bucket", "held"),
    [("in/a", "photos", True), ("in", "photos", False), ("inn/a", "photos", False), ("in/a", "others", False)],
)
def test_only_what_is_below_the_prefix_is_in_the_inbox(key, bucket, held):
    assert BucketInbox("photos", "in").holds(announced(key, bucket)) is held


def test_a_sidecar_is_news_of_its_photo():
    photo = BucketInbox("photos", "in").photo(announced("in/anna.jpg.toml"))
    assert (photo.uri, photo.path, photo.version) == ("s3://photos/in/anna.jpg", "anna.jpg", "")
    assert photo.sequencer is None


@pytest.mark.parametrize("key", ["in/", "in/sales/", "in/.toml", "in/.hidden.jpg", "in/@eaDir/a.jpg", "in/a.jpg.part",
                                 "in/a/.toml"])  # fmt: skip
def test_folders_and_what_is_unfinished_are_no_photos(key):
    assert BucketInbox("photos", "in").photo(announced(key)) is None
