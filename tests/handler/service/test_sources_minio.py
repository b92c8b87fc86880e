"""MinIO with its notifications, and a service that dies and stays away in between: each photo has one report."""

import threading
from collections import Counter

import pytest

from handler.http.events import EventsRoute
from handler.http.server import ServerThread, make_app
from handler.outbox.paths import report_path
from handler.outbox.writer import OutboxWriter
from handler.service.sources import Bucket
from sources.stores.s3 import S3Store
from tests.support.minio import Minio
from tests.support.ports import free_port
from tests.support.waiting import eventually

SOON = 60.0
TOKEN = "7Hq2vX"  # noqa: S105 - of the tests
ODD = [
    "a+b c/é%25.jpg",
    "100%.jpg",
    "日本語/写真.jpg",
    "back\\slash.jpg",
    "tab\tnew\nline.jpg",
    "n" * 240,
    "q?x=1&y=2#z",
]


class Service:
    """The handler's sources and its HTTP side; its work is to write a report where none stands."""

    def __init__(self, bucket, port, worked):
        self.sources = bucket.source_set(("webhook",))
        self._bucket, self._worked = bucket, worked
        self._server = ServerThread(
            make_app(self, EventsRoute(self.sources.accept, self.unready, TOKEN)), "127.0.0.1", port
        )
        self._slot = threading.Thread(target=self._work, daemon=True)

    def unready(self):
        return [trouble for trouble in [self.sources.source.attached()] if trouble]

    def health(self):
        return True, {}

    def status(self):
        return {}

    def metrics(self):
        return b"", "text/plain"

    def __enter__(self):
        self._server.start()
        self._slot.start()
        return self

    def __exit__(self, *_):
        """It dies: what it was told and did not do is forgotten."""
        self.sources.source.close()
        self._slot.join(SOON)
        self._server.stop()

    def _work(self):
        for event in self.sources.source:
            outbox, place = self._bucket.outbox, report_path(event.path)
            if not outbox.exists(place):
                newest = self._bucket.inbox.changed(event.path)
                self._worked[event.path] += 1
                OutboxWriter(outbox).commit(event.path, {"outcome": "done"}, changed_ns=newest)
            self.sources.source.ack(event)


@pytest.fixture
def minio(tmp_path):
    port = free_port()
    with Minio(tmp_path, f"http://127.0.0.1:{port}/events", TOKEN) as server, server.reached():
        server.client().create_bucket(Bucket="photos")
        server.notify("photos")
        server.hook_port = port
        yield server


def reports(bucket):
    return {path for path in bucket.outbox.list("reports")}


def until_all(bucket, names):
    wanted = {report_path(name) for name in names}
    assert eventually(lambda: wanted <= reports(bucket), SOON, 0.05), sorted(wanted - reports(bucket))


def test_nothing_is_lost_and_nothing_done_twice_by_a_service_that_dies_twice(minio):
    bucket = Bucket(S3Store("photos", "in"), S3Store("photos", "out"), 1.0, dated=True, on_count=lambda *_: None)
    worked, parts = Counter(), [[f"{part}/{number}.jpg" for number in range(40)] for part in range(3)]
    parts[1] += ODD
    for index, names in enumerate(parts):
        with Service(bucket, minio.hook_port, worked):
            for name in names[:20]:
                bucket.inbox.write(name, b"x")
            if index == len(parts) - 1:
                until_all(bucket, names[:20])
        for name in names[20:]:  # it is away
            bucket.inbox.write(name, b"x")
    with Service(bucket, minio.hook_port, worked):
        bucket.inbox.write("the last one.jpg", b"x")
        until_all(bucket, [name for names in parts for name in names] + ["the last one.jpg"])
    assert worked == dict.fromkeys([*(name for names in parts for name in names), "the last one.jpg"], 1)
