"""The watch on its own: what it reports, and what it does where the system gives no events."""

import logging
import os
import queue
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sources.folder.watcher import FolderWatcher
from tests.sources.folder.folder_helpers import reads_only_what_it_may

ROOT = Path(__file__).parents[3]
SOON = 10.0


class Changes:
    """Keeps what was reported until it is asked for; accepts nothing while `go_on` is not set."""

    def __init__(self):
        self.heard = queue.Queue()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, kind, path):
        assert self.go_on.wait(SOON)
        self.heard.put((kind, path))

    def until(self, *expected):
        while self.heard.get(timeout=SOON) != expected:
            pass


@pytest.fixture
def changes():
    return Changes()


@pytest.fixture
def watcher(tmp_path, changes):
    watcher = FolderWatcher(os.fspath(tmp_path), changes)
    watcher.attach()
    yield watcher
    watcher.close()


def test_files_and_folders_are_reported(tmp_path, changes, watcher):
    (tmp_path / "a.jpg").write_bytes(b"1")
    changes.until("created", "a.jpg")
    changes.until("unfinished", "a.jpg")
    changes.until("changed", "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "b.jpg")
    changes.until("gone", "a.jpg")
    changes.until("created", "b.jpg")
    (tmp_path / "b.jpg").unlink()
    changes.until("gone", "b.jpg")
    (tmp_path / "folder").mkdir()
    changes.until("folder", "folder")
    (tmp_path / "folder").rename(tmp_path / "renamed")
    changes.until("folder", "renamed")


def test_reading_is_not_reported(tmp_path, changes, watcher):
    (tmp_path / "a.jpg").write_bytes(b"1")
    changes.until("changed", "a.jpg")
    (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "last.jpg").touch()
    assert changes.heard.get(timeout=SOON) == ("created", "last.jpg")


def test_a_folder_that_is_heard_again_is_reported_once(tmp_path, changes, watcher):
    (tmp_path / "folder").mkdir()
    for folder in ("", "folder", "", "folder"):
        watcher.watch_folder(folder)
    changes.until("folder", "folder")
    os.mkfifo(tmp_path / "folder" / "a.jpg")
    os.mkfifo(tmp_path / "b.jpg")
    assert [changes.heard.get(timeout=SOON) for _ in range(2)] == [("created", "folder/a.jpg"), ("created", "b.jpg")]


def test_a_folder_that_is_heard_under_two_names_stays_heard_under_the_new_one(tmp_path, changes, watcher):
    (tmp_path / "old").mkdir()
    watcher.watch_folder("old")
    (tmp_path / "old").rename(tmp_path / "new")
    watcher.watch_folder("new")
    changes.until("folder", "new")  # the thread has forgotten the old name by now
    os.mkfifo(tmp_path / "new" / "a.jpg")
    assert changes.heard.get(timeout=SOON) == ("created", "new/a.jpg")


def test_dropped_events_are_reported_once_however_many_folders_are_heard(tmp_path, changes, watcher):
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 100_000:
        pytest.skip(f"{most} events are too many to be made")
    (tmp_path / "folder").mkdir()
    watcher.watch_folder("folder")
    changes.until("folder", "folder")
    changes.go_on.clear()
    for name in ("a.jpg", "b.jpg") * most:  # in turns, because the kernel merges events that are equal
        (tmp_path / name).touch()
    changes.go_on.set()
    changes.until("overflow", "")
    (tmp_path / "last.jpg").touch()
    until_last = list(iter(lambda: changes.heard.get(timeout=SOON), ("created", "last.jpg")))
    assert ("overflow", "") not in until_last


def test_a_root_that_is_removed_is_reported_and_heard_again_when_it_is_back(tmp_path, changes):
    root = tmp_path / "root"
    root.mkdir()
    watcher = FolderWatcher(os.fspath(root), changes)
    watcher.attach()
    root.rmdir()
    changes.until("lost", "")
    with pytest.raises(FileNotFoundError):
        watcher.attach()
    root.mkdir()
    watcher.attach()
    (root / "a.jpg").touch()
    changes.until("created", "a.jpg")
    watcher.close()


def test_attaching_again_keeps_what_works(watcher):
    before = set(threading.enumerate())
    watcher.attach()
    assert set(threading.enumerate()) == before


def test_closing_ends_all_threads_and_reports_nothing(tmp_path, changes):
    before = set(threading.enumerate())
    watcher = FolderWatcher(os.fspath(tmp_path), changes)
    watcher.attach()
    watcher.close()
    assert set(threading.enumerate()) == before
    assert changes.heard.empty()


@pytest.mark.parametrize("free", [0, 1, 2])
def test_without_events_it_polls_and_says_so_once_and_recovers(tmp_path, changes, caplog, free):
    watcher = FolderWatcher(os.fspath(tmp_path), changes)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = _open_files()
    resource.setrlimit(resource.RLIMIT_NOFILE, (_next_free() + free, limits[1]))
    try:
        watcher.attach()
        watcher.attach()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (watcher.mode, _open_files()) == ("polling", before)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "sysctl" in caplog.text
    watcher.attach()
    assert watcher.mode == "events"
    watcher.close()


def test_a_root_that_may_not_be_heard_is_polled_and_costs_no_open_files(tmp_path, changes, caplog):
    (tmp_path / "locked").mkdir(mode=0)
    watcher, before = FolderWatcher(os.fspath(tmp_path / "locked"), changes), _open_files()
    with reads_only_what_it_may():
        watcher.attach()
        watcher.attach()
    assert (watcher.mode, _open_files()) == ("polling", before)
    assert "Permission denied" in caplog.text


def test_a_watch_that_ends_as_soon_as_it_begins_leaves_no_open_files(tmp_path, changes):
    before = _open_files()
    for _ in range(50):
        watcher = FolderWatcher(os.fspath(tmp_path), changes)
        watcher.attach()
        watcher.close()
    assert _open_files() == before


NO_INOTIFY = """
import ctypes, sys, types
ctypes.CDLL = lambda name: types.SimpleNamespace(_name=name)
from sources.folder.watcher import FolderWatcher
watcher = FolderWatcher(sys.argv[1], print)
watcher.attach()
print(watcher.mode)
"""


def test_where_the_system_has_no_inotify_it_polls_and_says_so(tmp_path):
    command = [sys.executable, "-c", NO_INOTIFY, os.fspath(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "polling\n"
    assert "this system has no inotify" in ended.stderr


def _next_free():
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


def _open_files():
    return len(list(Path("/proc/self/fd").iterdir()))
