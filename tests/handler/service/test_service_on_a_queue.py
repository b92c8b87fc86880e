"""The service as a process of its own on buckets and a queue, with light workers: each photo is processed once."""

import json
import signal
import threading
from contextlib import contextmanager

import pytest

from tests.chaos.__main__ import PORTRAIT
from tests.chaos.audit import done_twice
from tests.chaos.light import SLOW_SECONDS
from tests.chaos.services import LIGHT, Services
from tests.sources.sqs.sqs_helpers import ACCESS, Cloud
from tests.support.fault_proxy import FaultProxy
from tests.support.waiting import eventually

SOON = 120
VISIBILITY_SECONDS = 5


class Desk:
    """A bucket whose events go to a queue, and a service on both, which goes through a proxy."""

    def __init__(self, folder, cloud, proxy):
        self.cloud, self.proxy = cloud, proxy
        self.queue = cloud.queue(VisibilityTimeout=VISIBILITY_SECONDS)
        self.bucket = cloud.bucket(self.queue)
        reached = {"AWS_ENDPOINT_URL": f"http://{proxy.endpoint}", "AWS_DEFAULT_REGION": ACCESS["region_name"]}
        reached |= {name.upper(): value for name, value in ACCESS.items() if name != "region_name"}
        self.services = Services(
            folder, LIGHT, folder / "no models", reached, WORKERS=2, RESCAN_SECONDS=5,
            INBOX=f"s3://{self.bucket}/in", OUTBOX=f"s3://{self.bucket}/out", SQS_QUEUE_URL=self.queue.url,
        )  # fmt: skip

    def put(self, *names):
        for name in names:
            self.cloud.s3.put_object(Bucket=self.bucket, Key=f"in/{name}", Body=PORTRAIT.read_bytes() + name.encode())

    def reports(self):
        found = self.cloud.s3.list_objects_v2(Bucket=self.bucket, Prefix="out/reports/").get("Contents", [])
        return sorted(each["Key"].removeprefix("out/reports/").removesuffix(".json") for each in found)

    def in_work(self):
        found = self.cloud.s3.list_objects_v2(Bucket=self.bucket, Prefix="out/.facecraft/attempts/")
        return found["KeyCount"]

    def until(self, true):
        assert eventually(true, SOON, 0.2), self.reports()

    def until_reported(self, names):
        self.until(lambda: self.reports() == sorted(names))

    def closing_lines(self):
        text = "".join(log.read_text() for log in self.services.logs)
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"].startswith("photo.") and line["event"] != "photo.error"]


@pytest.fixture
def desk(tmp_path):
    with started(tmp_path) as desk:
        yield desk


@contextmanager
def started(folder):
    cloud = Cloud()
    try:
        with FaultProxy(cloud.endpoint.removeprefix("http://")) as proxy:
            desk = Desk(folder, cloud, proxy)
            with desk.services as services:
                services.start()
                yield desk
    finally:
        cloud.close()


@pytest.mark.timeout(300)
def test_photos_that_take_longer_than_a_message_s_time_are_processed_once_each(desk):
    assert SLOW_SECONDS > VISIBILITY_SECONDS
    names = [f"slow-{number}.jpg" for number in range(4)]
    desk.put(*names)
    desk.until_reported(names)

    assert desk.queue.comes_to((0, 0))
    assert desk.services.stop() == 0
    assert [line["event"] for line in desk.closing_lines()] == ["photo.done"] * len(names)


@pytest.mark.timeout(300)
def test_what_a_killed_service_had_in_hand_is_no_dead_letter(desk):
    """A bucket shows only after half a minute that a service is dead; its messages come again long before."""
    dead, names = desk.queue.redrive(5), ["slow-1.jpg", "slow-2.jpg"]
    desk.put(*names)
    desk.until(lambda: desk.in_work() == len(names))
    assert desk.services.stop(signal.SIGKILL) == -signal.SIGKILL
    desk.services.start()
    desk.until_reported(names)

    assert desk.queue.comes_to((0, 0))
    assert desk.services.stop() == 0
    assert dead.counts() == (0, 0)
    assert [line["event"] for line in desk.closing_lines() if line["event"] == "photo.done"] == ["photo.done"] * 2


@pytest.mark.timeout(300)
def test_a_bad_way_to_queue_and_bucket_loses_nothing_and_does_nothing_twice(desk):
    harms = [FaultProxy.BUSY, FaultProxy.BROKEN, FaultProxy.SKEWED, "refused", "cut", "late", "slow", "stuck"]
    names, pause = [], threading.Event()
    for index, harm in enumerate(harms):
        some = [f"{index}/{number}.jpg" for number in range(4)]
        desk.put(*some)
        pause.wait(1)  # while there is work
        desk.proxy.do(harm)
        pause.wait(2)
        desk.proxy.do(None)
        names += some
    desk.until_reported(names)

    assert desk.queue.comes_to((0, 0))
    assert desk.services.stop() == 0
    assert done_twice(desk.services.logs) == []
    assert {line["outcome"] for line in desk.closing_lines()} <= {"done", "skipped", "retried"}
