"""What events missed or nobody announced: the scans of the folder source."""

import logging
import os
import threading
from pathlib import Path

import pytest

from sources.folder.scanner import FolderScanner
from tests.sources.folder.folder_helpers import SOON, Deaf, Run, jpeg, reads_only_what_it_may, until
from tests.support.waiting import Counts


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


class SlowCounts(Counts):
    """Makes the thread that reads events wait, so that they pile up in the kernel."""

    def __init__(self):
        super().__init__()
        self.go_on = threading.Event()
        self.go_on.set()

    def add(self, name, more):
        assert self.go_on.wait(SOON)
        super().add(name, more)


class FailingCounts(Counts):
    """The first event ends the thread that reads events."""

    def add(self, name, more):
        super().add(name, more)
        if name == "events" and self[name] == 1:
            raise RuntimeError


def touched(path):
    path.touch()
    return path.stat().st_ctime_ns


def paths(root, done_in=lambda folder: lambda name, changed: False):
    return sorted(path for batch in FolderScanner(os.fspath(root), done_in).scan() for path in batch.paths)


def test_the_scan_at_start_yields_what_is_not_settled(inbox):
    (inbox / "sales").mkdir()
    for name in ("anna.jpg", "sales/bert.jpg", "sales/done.jpg", ".hidden.jpg"):
        (inbox / name).write_bytes(jpeg())
    run = Run(inbox)
    run.reports.settle("sales/done.jpg", (inbox / "sales" / "done.jpg").stat().st_ctime_ns)
    with run:
        assert run.paths(2) == {"anna.jpg", "sales/bert.jpg"}
        run.attached()
        assert run.reports.asked == ["", "sales"]
        assert run.counts["ignored"] == 1
        assert run.counts["rescan_found"] == 0
        assert run.drained()


def test_a_half_written_photo_at_start_is_waited_for(inbox):
    (inbox / "anna.jpg").write_bytes(jpeg()[:-50])
    with Run(inbox, settle_seconds=3600.0) as run:
        run.attached()
        assert run.drained()
        (inbox / "anna.jpg").write_bytes(jpeg())
        assert run.next().path == "anna.jpg"


def test_a_newer_sidecar_makes_a_settled_photo_work(inbox):
    (inbox / "anna.jpg").write_bytes(jpeg())
    done_at = (inbox / "anna.jpg").stat().st_ctime_ns
    until(lambda: touched(inbox / "anna.jpg.toml") > done_at)
    seen = {}

    def settled(name, changed_ns):
        seen[name] = changed_ns
        return changed_ns == done_at

    assert paths(inbox, lambda folder: settled) == ["anna.jpg"]
    assert seen == {"anna.jpg": (inbox / "anna.jpg.toml").stat().st_ctime_ns}


def test_the_rescan_finds_what_events_missed_and_counts_it(inbox):
    with Run(inbox, rescan_seconds=0.1, watcher=Deaf) as run:
        run.attached()
        (inbox / "anna.jpg").write_bytes(jpeg())
        event = run.next()
        assert run.counts["rescan_found"] == 1
        run.reports.settle("anna.jpg", (inbox / "anna.jpg").stat().st_ctime_ns)
        run.source.ack(event)
        assert run.drained()


def test_the_rescan_leaves_alone_what_is_held_or_waits_for_its_retry(inbox):
    with Run(inbox, rescan_seconds=0.05, watcher=Deaf) as run:
        run.attached()
        for name in ("a.jpg", "b.jpg"):
            (inbox / name).write_bytes(jpeg())
        first, _second = run.next(), run.next()
        run.source.retry(first, "later", 3600.0)
        assert run.drained()


def test_after_more_events_than_the_kernel_keeps_all_photos_are_found(inbox):
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 20_000:
        pytest.skip(f"{most} events are too many to be made")
    photos, data = {f"{number}.jpg" for number in range(most // 2)}, jpeg()
    with Run(inbox, SlowCounts()) as run:
        run.attached()
        run.counts.go_on.clear()
        for name in photos:
            (inbox / name).write_bytes(data)  # two events at least
        run.counts.go_on.set()
        assert run.counted("watch_overflows")
        assert run.paths(len(photos)) == photos
        (inbox / "last.jpg").write_bytes(data)
        assert run.next().path == "last.jpg"


def test_an_inbox_that_vanishes_and_returns_is_watched_again(inbox):
    with Run(inbox, rescan_seconds=0.1) as run:
        run.attached()
        inbox.rmdir()
        until(lambda: run.source.attached() is not None)
        assert "mount it" in run.source.attached()
        inbox.mkdir()
        run.attached()
        until(lambda: run.source.mode == "events")
        (inbox / "anna.jpg").write_bytes(jpeg())
        assert run.next().path == "anna.jpg"


def test_a_reader_of_events_that_died_is_replaced_at_the_next_rescan(inbox, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    with Run(inbox, FailingCounts()) as run:
        run.attached()
        (inbox / "anna.jpg").write_bytes(jpeg())
        until(lambda: "folder-events" not in {thread.name for thread in threading.enumerate()})
        (inbox / "bert.jpg").write_bytes(jpeg())
        run.source.rescan()
        assert run.paths(2) == {"anna.jpg", "bert.jpg"}
        assert run.counts["rescan_found"] == 2
        (inbox / "carl.jpg").write_bytes(jpeg())
        assert run.next().path == "carl.jpg"
        assert run.counts["rescan_found"] == 2


def test_an_inbox_that_was_replaced_is_watched_again(inbox, tmp_path):
    with Run(inbox) as run:
        run.attached()
        inbox.rename(tmp_path / "old")
        inbox.mkdir()
        run.source.rescan()
        until(lambda: run.reports.asked.count("") > 1)
        (inbox / "anna.jpg").write_bytes(jpeg())
        assert run.next().path == "anna.jpg"


def test_an_inbox_that_is_missing_at_start_is_waited_for(tmp_path):
    with Run(tmp_path / "late", rescan_seconds=0.05) as run:
        until(lambda: "late" in run.source.attached() and "mount it" in run.source.attached())
        (tmp_path / "late").mkdir()
        (tmp_path / "late" / "anna.jpg").write_bytes(jpeg())
        assert run.next().path == "anna.jpg"


def test_reports_that_cannot_be_listed_are_a_trouble_and_not_an_end(inbox):
    (inbox / "anna.jpg").write_bytes(jpeg())
    answers = [OSError(5, "Input/output error"), lambda name, ns: False]

    def done_in(folder):
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    with Run(inbox, done_in=done_in, rescan_seconds=0.05, watcher=Deaf) as run:
        assert run.next().path == "anna.jpg"
        answers.extend([lambda name, ns: True] * 1000)


def test_an_outbox_that_is_away_is_not_blamed_on_the_inbox(inbox):
    def done_in(folder):
        raise FileNotFoundError(2, "No such file or directory", "/outbox")

    with Run(inbox, done_in=done_in, rescan_seconds=0.05, watcher=Deaf) as run:
        until(lambda: "reports in the outbox cannot be listed" in (run.source.attached() or ""))
        assert "/outbox" in run.source.attached()


def test_an_unreadable_folder_is_told_once_and_skipped(inbox, caplog):
    (inbox / "locked").mkdir(mode=0)
    (inbox / "anna.jpg").write_bytes(jpeg())
    scanner = FolderScanner(os.fspath(inbox), lambda folder: lambda name, ns: False)
    with reads_only_what_it_may():
        for _ in range(2):
            assert [batch.paths for batch in scanner.scan()] == [["anna.jpg"]]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_folder_that_may_not_be_read_is_no_reason_to_distrust_events(inbox):
    (inbox / "locked").mkdir(mode=0)
    with reads_only_what_it_may(), Run(inbox) as run:
        assert run.attached().source.mode == "events"


def test_a_new_folder_does_not_wait_for_the_end_of_a_long_scan(inbox):
    for name in ("first", "second"):
        (inbox / name).mkdir()
        (inbox / name / "old.jpg").write_bytes(jpeg())
    reached, go_on = [], {"first": threading.Event(), "last": threading.Event()}

    def done_in(folder):
        if folder in ("first", "second"):
            reached.append(folder)
            assert go_on["first" if len(reached) == 1 else "last"].wait(SOON)
        return lambda name, changed_ns: name == "old.jpg"

    with Run(inbox, done_in=done_in) as run:
        until(lambda: reached)
        (inbox / "new").mkdir()
        (inbox / "new" / "anna.jpg").write_bytes(jpeg())
        (inbox / "heard.jpg").write_bytes(jpeg())
        assert run.next().path == "heard.jpg"  # so the event of the new folder, which came before, was heard too
        go_on["first"].set()
        assert run.next().path == "new/anna.jpg"
        go_on["last"].set()


def test_folders_that_move_and_change_places_are_heard_under_their_new_names(inbox, tmp_path):
    for name in ("a", "b", "b/deep", "out"):
        (inbox / name).mkdir()
    with Run(inbox) as run:
        run.attached().reports.asked.clear()
        (inbox / "out").rename(tmp_path / "out")
        (inbox / "a").rename(inbox / "c")
        (inbox / "b").rename(inbox / "a")
        (inbox / "c").rename(inbox / "b")
        until(lambda: {"a", "b", "a/deep"} <= set(run.reports.asked))
        (inbox / "new").mkdir()
        until(lambda: "new" in run.reports.asked)  # so the scans of the others, and their watches, are complete
        for path in ("a/1.jpg", "b/2.jpg", "a/deep/3.jpg"):
            (inbox / path).write_bytes(jpeg())
        (tmp_path / "out" / "4.jpg").write_bytes(jpeg())
        assert run.paths(3) == {"a/1.jpg", "b/2.jpg", "a/deep/3.jpg"}
        assert run.drained()


def test_loops_and_links_out_are_not_scanned(inbox, tmp_path):
    (tmp_path / "out.jpg").write_bytes(jpeg())
    (inbox / "in.jpg").write_bytes(jpeg())
    for name, target in (
        ("out.jpg", tmp_path / "out.jpg"),
        ("loop", inbox),
        ("self.jpg", "self.jpg"),
        ("l.jpg", "in.jpg"),
    ):
        (inbox / name).symlink_to(target)
    os.mkfifo(inbox / "pipe.jpg")
    assert paths(inbox) == ["in.jpg", "l.jpg"]


def test_a_scan_that_ends_unexpectedly_is_told_to_whoever_iterates(inbox):
    raised = []
    previous, threading.excepthook = threading.excepthook, lambda args: raised.append(args.exc_type)
    try:
        run = Run(inbox, done_in=lambda folder: 1 / 0)
        with pytest.raises(RuntimeError, match="ended unexpectedly"):
            next(iter(run.source))
    finally:
        threading.excepthook = previous
        run.source.close()
    assert raised == [ZeroDivisionError]


def test_once_yields_all_that_is_not_settled_and_ends(inbox):
    (inbox / "a.jpg").write_bytes(jpeg())
    (inbox / "b.txt").write_text("no picture, so it waits for quiet")
    run = Run(inbox, once=True)
    seen = []
    for event in run.source:
        seen.append((event.path, event.attempt))
        if event.path == "a.jpg" and event.attempt == 1:
            run.source.retry(event, "again", 0.01)
        else:
            run.source.ack(event)
    assert sorted(seen) == [("a.jpg", 1), ("a.jpg", 2), ("b.txt", 1)]
    run.source.close()


def test_once_waits_for_what_is_held(inbox):
    (inbox / "a.jpg").write_bytes(jpeg())
    with Run(inbox, once=True) as run:
        event = run.next()
        assert not run.source.rescan()  # the only scan is over
        run.source.retry(event, "again", 0.0)
        run.source.ack(run.next())
        assert run.next() is None


@pytest.mark.parametrize("exists", [True, False])
def test_once_ends_where_there_is_nothing(tmp_path, exists):
    inbox = tmp_path / "inbox"
    if exists:
        inbox.mkdir()
    run = Run(inbox, once=True, rescan_seconds=0)
    assert list(run.source) == []
    assert (run.source.attached() is None) == exists
    run.source.close()
