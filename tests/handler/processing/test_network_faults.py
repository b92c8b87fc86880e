"""What a bad network between us and the buckets comes to: nothing lost, nothing done twice, and it is said."""

import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from handler.outbox.paths import ATTEMPTS, report_path
from handler.outbox.reports import ReportStore
from handler.outbox.writer import OutboxWriter
from handler.service.sources import Bucket
from handler.workers import child
from handler.workers.outcome import Done
from sources.stores.base import Unavailable
from sources.stores.s3 import S3Store
from tests.handler.fakes import MAX_ATTEMPTS
from tests.handler.service.test_sources_bucket import found, put, running, until
from tests.support.fault_proxy import FaultProxy
from tests.support.minio import Minio
from tests.support.s3_servers import s3_at


def test_an_inbox_that_is_away_is_no_photo_s_fault(desks):
    desk = desks("bucket", "folder")
    event = desk.photo("anna.jpg")
    process = replace(
        desk.service(*[lambda job: child.process_photo(job, None)] * 6), inbox=S3Store("no-such-bucket", "in")
    )

    outcomes = [process(replace(event, attempt=attempt + 1)) for attempt in range(2 * MAX_ATTEMPTS)]

    assert {outcome.reason for outcome in outcomes} == {"inbox_unavailable"}
    assert [outcome.retry_in for outcome in outcomes] == [10, 20, 30, 40, 50, 60]
    assert not desk.outbox.exists(report_path("anna.jpg"))
    assert list(desk.outbox.stamps(ATTEMPTS)) == []
    assert isinstance(desk.service()(event), Done)


def test_an_outbox_that_is_away_is_no_photo_s_fault(buckets):
    event = buckets.photo("anna.jpg")
    away = partial(S3Store, "no-such-bucket")
    process = buckets.service()
    lost = replace(process, writer=OutboxWriter(away("out")), report_store=ReportStore(away("out")))
    assert lost(event).reason == "outbox_unavailable"
    assert list(buckets.outbox.stamps(ATTEMPTS)) == []


@pytest.fixture
def proxy(moto):
    with FaultProxy(moto.removeprefix("http://")) as proxy:
        yield proxy


def bucket_of(stores):
    """Looked through every 50 ms."""
    return Bucket(stores("in"), stores("out"), 0.05, dated=True, on_count=lambda *_: None)


@pytest.fixture
def bucket(proxy):
    with s3_at(f"http://{proxy.endpoint}") as stores:
        yield bucket_of(stores)


PATHS = [f"{number}.jpg" for number in range(5)]


@pytest.mark.parametrize("fault", [FaultProxy.BUSY, FaultProxy.BROKEN, "refused", "cut", "late", "slow"])
def test_faults_that_pass_are_not_noticed(proxy, bucket, fault):
    put(bucket, *PATHS)
    proxy.do(fault, times=2)
    assert found(bucket) == PATHS
    assert proxy.harmed == 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (FaultProxy.BUSY, "(503)"),
        (FaultProxy.BROKEN, "(500)"),
        (FaultProxy.SKEWED, "this machine's clock is wrong: set it"),
        ("refused", "Connection was closed"),
        ("cut", "(500)"),  # half an answer of XML is none to boto3
        ("late", "Connection was closed"),
    ],
    ids=["busy", "broken", "skewed", "refused", "cut", "late"],
)
def test_faults_that_stay_are_told_and_once_they_end_nothing_is_lost_or_doubled(proxy, bucket, fault, words):
    put(bucket, *PATHS)
    proxy.do(fault)
    with running(bucket, ("poll",)) as (sources, next_event):
        until(lambda: "cannot be scanned" in (sources.source.attached() or ""))
        assert words in sources.source.attached()
        proxy.do(None)
        assert sorted(next_event().path for _ in PATHS) == PATHS
        until(lambda: sources.source.attached() is None)
        assert sources.source.pending() == 0


def test_a_name_that_is_not_known_any_more_is_told_until_it_is_known_again(proxy, monkeypatch):
    resolve, known = socket.getaddrinfo, threading.Event()

    def answer(host, *more, **others):
        if host != "localhost":
            return resolve(host, *more, **others)
        if not known.is_set():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve("127.0.0.1", *more, **others)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    known.set()
    with s3_at(f"http://localhost:{proxy.endpoint.rpartition(':')[2]}") as stores:
        bucket = bucket_of(stores)
        put(bucket, *PATHS)
        known.clear()
        proxy.hang_up()
        with running(bucket, ("poll",)) as (sources, next_event):
            until(lambda: "localhost" in (sources.source.attached() or ""))
            known.set()
            assert sorted(next_event().path for _ in PATHS) == PATHS
            until(lambda: sources.source.attached() is None)


def test_minio_says_to_a_clock_that_is_wrong_what_the_proxy_says(tmp_path, monkeypatch):
    wrong = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)
    with Minio(tmp_path) as server, server.reached():
        server.client().create_bucket(Bucket="photos")
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: wrong)
        with pytest.raises(Unavailable, match=r"RequestTimeTooSkewed.* this machine's clock is wrong: set it"):
            list(S3Store("photos", "in").list())
