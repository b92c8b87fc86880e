"""What a bucket's source yields of what is announced and what is found."""

import queue
import threading
from collections import Counter
from contextlib import contextmanager

import pytest

from sources.bucket.source import BucketSource
from sources.scanning.scanner import Batch
from tests.sources.folder.folder_helpers import until

SOON = 10.0


class Listing:
    """A scanner that finds what it was given; each scan waits until it is let."""

    root = "s3://bucket/in"
    remedy = "check its name"

    def __init__(self, paths=(), error=None):
        self.paths = list(paths)
        self.error = error
        self.scans = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def scan(self, folder=""):
        self.scans += 1
        if self.error:
            raise self.error
        yield Batch()
        assert self.go_on.wait(SOON)
        yield Batch(list(self.paths), 1, dict.fromkeys(self.paths, "listed"))


class Run:
    def __init__(self, listing, **options):
        self.counts = Counter()
        options = {"rescan_seconds": 3600.0, **options}
        self.source = BucketSource(listing, lambda path: f"s3://bucket/in/{path}", on_count=self.count, **options)
        self.events = queue.Queue()
        self.thread = threading.Thread(target=self.iterate, daemon=True)

    def count(self, name, more):
        self.counts[name] += more

    def iterate(self):
        for event in self.source:
            self.events.put(event)
        self.events.put(None)

    def next(self):
        return self.events.get(timeout=SOON)


@contextmanager
def running(listing, **options):
    run = Run(listing, **options)
    run.thread.start()
    try:
        yield run
    finally:
        run.source.close()
        run.thread.join(SOON)


def test_what_is_announced_is_yielded_with_version_and_source():
    with running(Listing()) as run:
        assert run.source.announce("a b.jpg", "e1")
        event = run.next()
    assert (event.uri, event.path, event.version, event.source) == (
        "s3://bucket/in/a b.jpg",
        "a b.jpg",
        "e1",
        "webhook",
    )


def test_what_only_a_scan_found_is_yielded_too_and_the_names_passed_over_are_counted():
    with running(Listing(["a.jpg"])) as run:
        event = run.next()
        until(lambda: run.source.attached() is None)
    assert (event.path, event.version, event.source) == ("a.jpg", "listed", "poll")
    assert run.counts == {"ignored": 1}


def test_the_same_announcement_a_hundred_times_is_one_event():
    listing = Listing()
    listing.go_on.clear()
    with running(listing) as run:
        first = _announced(run, "a.jpg", "e1")
        for _ in range(100):
            assert run.source.announce("a.jpg", "e1")
        run.source.ack(first)
        listing.go_on.set()
        run.source.announce("last.jpg", "e1")
        assert run.next().path == "last.jpg"


def test_another_version_that_is_announced_meanwhile_is_another_event():
    with running(Listing()) as run:
        first = _announced(run, "a.jpg", "e1")
        run.source.announce("a.jpg", "e2")
        assert run.events.empty()
        run.source.ack(first)
        assert run.next().version == "e2"


def _announced(run, path, version):
    run.source.announce(path, version)
    return run.next()


def test_what_is_retried_comes_again_as_the_next_attempt():
    with running(Listing()) as run:
        run.source.retry(_announced(run, "a.jpg", "e1"), "no luck", 0.0)
        again = run.next()
    assert (again.attempt, again.version, again.source) == (2, "e1", "webhook")


def test_more_than_there_is_room_for_is_refused_but_not_what_is_known():
    source = BucketSource(Listing(), str, rescan_seconds=1.0, max_paths=2)
    assert [source.announce(f"{number}.jpg") for number in range(3)] == [True, True, False]
    assert source.announce("0.jpg")


def test_once_it_is_stopped_nothing_is_accepted():
    source = BucketSource(Listing(), str, rescan_seconds=1.0)
    source.stop()
    assert not source.announce("a.jpg")


def test_beside_a_busy_queue_nothing_is_taken_that_only_a_scan_found():
    idle = threading.Event()
    listing = Listing(["found.jpg"])
    with running(listing, rescan_seconds=0.05, idle=idle.is_set) as run:
        until(lambda: listing.scans > 2)
        assert _announced(run, "told.jpg", "e").path == "told.jpg"
        assert run.events.empty()
        idle.set()
        assert run.next().path == "found.jpg"
    assert run.counts["rescan_found"] == 1


def test_it_is_attached_as_soon_as_the_inbox_answers():
    listing = Listing()
    listing.go_on.clear()
    with running(listing) as run:
        until(lambda: run.source.attached() is None)
        listing.go_on.set()


def test_an_inbox_that_does_not_answer_is_told_with_the_remedy():
    with running(Listing(error=PermissionError("s3:ListBucket is missing"))) as run:
        until(lambda: "s3:ListBucket is missing" in run.source.attached())
        assert "check its name" in run.source.attached()


@pytest.mark.parametrize("paths", [[], ["a.jpg", "b.jpg"]])
def test_once_ends_when_all_is_settled(paths):
    source = BucketSource(Listing(paths), str, rescan_seconds=1.0, once=True)
    seen = []
    for event in source:
        seen.append(event.path)
        source.ack(event)
    source.close()
    assert seen == paths
