"""Photos of a bucket from listing and announcement to a settled event, against real servers."""

import json
import queue
import threading
import uuid
from contextlib import contextmanager
from dataclasses import replace

import pytest

from handler.outbox.metadata import source_metadata
from handler.outbox.paths import report_path
from handler.outbox.reports import read_report
from handler.outbox.writer import OutboxWriter
from handler.service.sources import Bucket
from sources.sqs.source import SqsSource
from sources.stores import aws
from sources.stores.local import FileStore
from tests.support.s3_servers import s3_at
from tests.support.waiting import Counts, eventually

SOON = 30.0
NEVER = 3600.0


@pytest.fixture(params=["moto", "seaweed"])
def stores(request):
    with s3_at(request.getfixturevalue(request.param)) as made:
        yield made


@pytest.fixture
def bucket(stores):
    return Bucket(stores("in"), stores("out"), NEVER, dated=True, on_count=lambda *_: None)


def put(bucket, *paths, data=b"x"):
    return [bucket.inbox.write(path, data) for path in paths]


def settle(bucket, *paths, **report):
    """As the service does when a photo is done."""
    for path in paths:
        newest = max(bucket.inbox.changed(path), bucket.inbox.changed(f"{path}.toml"))
        standing = read_report(bucket.outbox, path)
        etags = tuple(etag for each in (path, f"{path}.toml") if (etag := bucket.inbox.version(each)))
        text = {"outcome": "done", "source": {"sidecar_sha256": etags[1:] and "5c"}, **report}
        OutboxWriter(bucket.outbox).commit(
            path, text, replaces=standing, changed_ns=newest, metadata=source_metadata(etags)
        )


def found(bucket):
    """What a service that starts now finds to be work; it leaves it undone."""
    sources = bucket.source_set(("poll",), once=True)
    seen = []
    for event in sources.source:
        seen.append(event.path)
        sources.source.ack(event)
    sources.source.close()
    return sorted(seen)


def test_what_has_no_report_is_found_whatever_its_key(bucket):
    names = ["a.jpg", "a b+c%25é.jpg", "sub/deep/日本.jpg", "a.jpg.jpg", "sub.json/x.jpg"]
    put(bucket, *names, "sub/.hidden", "x.part", "a.jpg.toml")
    settle(bucket, "a.jpg")
    assert found(bucket) == sorted(set(names) - {"a.jpg"})


def test_a_report_of_another_version_leaves_its_photo_to_be_done(bucket):
    put(bucket, "same.jpg", "new.jpg")
    settle(bucket, "same.jpg", "new.jpg")
    bucket.inbox.write("new.jpg", b"another", replaces=bucket.inbox.version("new.jpg"))
    assert found(bucket) == ["new.jpg"]


def test_a_new_sidecar_makes_its_photo_work_and_an_old_one_does_not(bucket):
    put(bucket, "a.jpg", "b.jpg", "b.jpg.toml", data=b"width = 300")
    settle(bucket, "a.jpg", "b.jpg")
    put(bucket, "a.jpg.toml")  # within the same second, which is all that servers tell
    assert found(bucket) == ["a.jpg"]


def test_a_sidecar_that_is_taken_away_makes_its_photo_work(bucket):
    put(bucket, "a.jpg.toml", "a.jpg", "b.jpg", "b.jpg.toml", data=b"width = 300")
    settle(bucket, "a.jpg", "b.jpg")
    assert found(bucket) == []
    bucket.inbox.delete("a.jpg.toml")
    assert found(bucket) == ["a.jpg"]
    settle(bucket, "a.jpg")
    assert found(bucket) == []


def test_the_sidecar_of_a_photo_that_is_gone_is_no_work(bucket):
    put(bucket, "a.jpg")
    settle(bucket, "a.jpg")
    bucket.inbox.delete("a.jpg")
    put(bucket, "a.jpg.toml", data=b"width = 300")
    assert found(bucket) == []


def test_a_photo_that_is_to_be_replayed_is_found_although_its_report_is_newer(bucket):
    put(bucket, "a.jpg", "b.jpg")
    settle(bucket, "a.jpg", "b.jpg")
    place = report_path("a.jpg")
    standing = bucket.outbox.read(place)
    OutboxWriter(bucket.outbox).replay("a.jpg", json.loads(standing.data), replaces=standing.version)
    assert found(bucket) == ["a.jpg"]
    settle(bucket, "a.jpg")
    assert found(bucket) == []


def test_where_done_photos_are_taken_away_no_date_tells_that_one_is_settled(bucket):
    put(bucket, "done.jpg", "half.jpg")
    settle(bucket, "done.jpg", "half.jpg")
    bucket.outbox.stamp(report_path("half.jpg"), 5)
    assert found(replace(bucket, dated=False)) == ["half.jpg"]


def test_reports_in_a_folder_tell_by_their_mtimes(stores, tmp_path):
    bucket = Bucket(stores("in"), FileStore(tmp_path), NEVER, dated=True, on_count=lambda *_: None)
    put(bucket, "a.jpg", "sub/b.jpg", "sub/c.jpg", "sub/c.jpg.toml")
    settle(bucket, "a.jpg", "sub/b.jpg", "sub/c.jpg")
    assert found(bucket) == []
    bucket.inbox.write("sub/b.jpg", b"another", replaces=bucket.inbox.version("sub/b.jpg"))
    assert found(bucket) == ["sub/b.jpg"]


@contextmanager
def running(bucket, names=("webhook",), attached=True):
    sources, events = bucket.source_set(names), queue.Queue()
    thread = threading.Thread(target=lambda: [events.put(event) for event in sources.source], daemon=True)
    thread.start()
    try:
        yield sources, lambda: events.get(timeout=SOON)
    finally:
        sources.source.close()
        thread.join(SOON)


def until(condition):
    assert eventually(condition, SOON)


def body(bucket, path):
    told = {"bucket": {"name": bucket.inbox.bucket}, "object": {"key": f"{bucket.inbox.prefix}{path}", "eTag": "e1"}}
    record = {"eventVersion": "2.0", "eventSource": "minio:s3", "eventName": "s3:ObjectCreated:Put", "s3": told}
    return json.dumps({"Records": [record]}).encode()


def test_the_webhook_s_bodies_become_events_of_the_inbox(bucket):
    with running(bucket) as (sources, next_event):
        assert sources.accept(body(bucket, "sub/a.jpg"))
        event = next_event()
    assert (event.uri, event.source) == (bucket.inbox.uri("sub/a.jpg"), "webhook")
    assert sources.attached.keys() == {"webhook", "poll"}


def test_only_the_source_webhook_takes_bodies(bucket):
    assert bucket.source_set(("poll",)).accept is None


def test_what_was_in_work_when_a_service_died_is_looked_at_again_whatever_dates_say(bucket):
    put(bucket, "a.jpg")
    settle(bucket, "a.jpg")
    with running(bucket, ("poll",)) as (sources, next_event):
        until(lambda: sources.source.attached() is None)
        sources.recheck({"a.jpg"})
        assert next_event().path == "a.jpg"


class Told:
    """A bucket of moto's whose events go to a queue of its own."""

    def __init__(self, bucket):
        self.counts, self.sqs = Counts(), aws.client("sqs")
        self.bucket = replace(bucket, rescan_seconds=0.2, on_count=self.counts.add)
        self.url = self.sqs.create_queue(QueueName=uuid.uuid4().hex)["QueueUrl"]
        asked = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        told = {"QueueArn": asked["Attributes"]["QueueArn"], "Events": ["s3:ObjectCreated:*"]}
        self._notify({"QueueConfigurations": [told]})

    def _notify(self, configuration):
        aws.client("s3").put_bucket_notification_configuration(
            Bucket=self.bucket.inbox.bucket, NotificationConfiguration=configuration
        )

    def lose(self):
        self.sqs.purge_queue(QueueUrl=self.url)

    def redrive(self, most):
        dead = self.sqs.create_queue(QueueName=uuid.uuid4().hex)["QueueUrl"]
        asked = self.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        policy = json.dumps({"deadLetterTargetArn": asked["Attributes"]["QueueArn"], "maxReceiveCount": most})
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"RedrivePolicy": policy})

    def source(self):
        inbox = self.bucket.inbox
        return SqsSource(
            self.url, inbox.bucket, inbox.prefix, slots=2, client=self.sqs, wait_seconds=1, on_count=self.counts.add
        )

    def close(self):
        self._notify({})
        self.sqs.delete_queue(QueueUrl=self.url)


@pytest.fixture
def told(s3):
    told = Told(Bucket(s3("in"), s3("out"), NEVER, dated=True, on_count=lambda *_: None))
    yield told
    told.close()


def test_what_the_queue_tells_is_worked_on_once_and_what_it_lost_is_found_when_it_is_empty(told):
    put(told.bucket, "lost 1.jpg", "lost 2.jpg")
    told.lose()
    put(told.bucket, *(f"{number}.jpg" for number in range(4)))
    sources = told.bucket.source_set(("sqs",), told.source())
    seen = []
    for event in sources.source:
        seen.append((event.path, event.source))
        settle(told.bucket, event.path)
        sources.source.ack(event)
        if len(seen) == 6:
            sources.source.stop()
    sources.source.close()
    assert sorted(seen[:4]) == [(f"{number}.jpg", "sqs") for number in range(4)]
    assert sorted(seen[4:]) == [("lost 1.jpg", "poll"), ("lost 2.jpg", "poll")]
    assert sources.attached.keys() == {"sqs", "poll"}


def test_the_same_photo_from_the_queue_and_the_webhook_is_in_one_pair_of_hands(told):
    put(told.bucket, "a.jpg")
    sources = told.bucket.source_set(("sqs", "webhook"), told.source())
    sources.accept(body(told.bucket, "a.jpg"))
    events, others = iter(sources.source), queue.Queue()
    first = next(events)
    thread = threading.Thread(target=lambda: others.put(next(events, None)), daemon=True)
    thread.start()
    assert told.counts.reach("events", 2, SOON)
    with pytest.raises(queue.Empty):
        others.get(timeout=0.3)
    assert told.counts["events"] == 2
    settle(told.bucket, "a.jpg")
    sources.source.ack(first)
    second = others.get(timeout=SOON)
    sources.source.ack(second)
    sources.source.close()
    assert {first.source, second.source} == {"sqs", "webhook"}


def test_the_queue_s_limit_of_attempts_is_told(told):
    told.redrive(2)
    put(told.bucket, "a.jpg")
    sources = told.bucket.source_set(("sqs",), told.source())
    assert sources.most_attempts() is None
    sources.source.ack(next(iter(sources.source)))
    assert sources.most_attempts() == 2
    sources.source.close()
