"""From a POST's body to what is announced."""

import json
import logging
from collections import Counter
from urllib.parse import quote_plus

import pytest

from sources.bucket.inbox import BucketInbox
from sources.bucket.webhook import Webhook


def body(*told, name="ObjectCreated:Put"):
    """What MinIO sends for these buckets and keys."""
    return json.dumps(
        {"Records": [
            {"eventVersion": "2.0", "eventSource": "minio:s3", "eventName": f"s3:{name}",
             "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key), "eTag": "e1"}}}
            for bucket, key in told
        ]}
    ).encode()  # fmt: skip


class Desk:
    def __init__(self, prefix="in", room=3):
        self.counts, self.announced, self.room = Counter(), [], room
        self.webhook = Webhook(BucketInbox("photos", prefix), self.announce, self.count)

    def announce(self, path, version):
        if len(self.announced) >= self.room:
            return False
        self.announced.append((path, version))
        return True

    def count(self, name, more):
        self.counts[name] += more

    def post(self, *told, **options):
        return self.webhook.accept(body(*told, **options))


def test_photos_below_the_prefix_are_announced_by_their_path():
    desk = Desk()
    assert desk.post(("photos", "in/a+b c/é%25.jpg"), ("photos", "in/x.jpg"))
    assert desk.announced == [("a+b c/é%25.jpg", "e1"), ("x.jpg", "e1")]


def test_a_sidecar_announces_its_photo_in_no_known_version():
    desk = Desk()
    assert desk.post(("photos", "in/a.jpg.toml"))
    assert desk.announced == [("a.jpg", "")]


@pytest.mark.parametrize("key", ["in/", "in/sub/", "in/.hidden/a.jpg", "in/a.part", "in2/a.jpg", "in", "IN/a.jpg"])
def test_what_is_no_photo_of_ours_is_noted_and_counted(key):
    desk = Desk()
    assert desk.post(("photos", key))
    assert (desk.announced, desk.counts["ignored"]) == ([], 1)


@pytest.mark.parametrize("name", ["ObjectCreated:PutTagging", "ObjectRemoved:Delete"])
def test_what_makes_no_object_announces_none(name):
    desk = Desk()
    assert desk.post(("photos", "in/a.jpg"), name=name)
    assert desk.announced == []


def test_another_bucket_is_noted_counted_and_logged_once(caplog):
    desk = Desk()
    with caplog.at_level(logging.WARNING):
        assert all([desk.post(("other", "in/a.jpg")) for _ in range(5)])
    assert (desk.announced, desk.counts["ignored"], len(caplog.records)) == ([], 5, 1)
    assert "'in/a.jpg' in 'other' is not below s3://photos/in: narrow the notification" in caplog.text


def test_what_is_not_understood_is_noted_so_that_nothing_waits_behind_it(caplog):
    desk = Desk()
    with caplog.at_level(logging.WARNING):
        assert all([desk.webhook.accept(body) for body in (b"", b"{", b"\xff\xfe", b"[" * 100_000)])
    assert len(caplog.records) == 1


def test_where_there_is_no_room_the_rest_is_taken_and_the_body_is_wanted_again():
    desk = Desk(room=1)
    assert not desk.post(("photos", "in/a.jpg"), ("photos", "in/b.jpg"), ("other", "x"))
    assert desk.announced == [("a.jpg", "e1")]
    assert desk.counts["ignored"] == 1
