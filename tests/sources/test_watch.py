"""The watch on its own: what it reports, and what it does where the system gives no events."""

import logging
import os
import queue
import resource
import threading
from pathlib import Path

import pytest

from sources.watch import Watcher

SOON = 10.0


class Ear:
    """Keeps what was reported until it is asked for."""

    def __init__(self):
        self.heard = queue.Queue()

    def __call__(self, kind, path):
        self.heard.put((kind, path))

    def until(self, *expected):
        while self.heard.get(timeout=SOON) != expected:
            pass


@pytest.fixture
def ear():
    return Ear()


@pytest.fixture
def watcher(tmp_path, ear):
    watcher = Watcher(os.fspath(tmp_path), ear)
    watcher.attach()
    yield watcher
    watcher.close()


def test_files_and_folders_are_reported(tmp_path, ear, watcher):
    (tmp_path / "a.jpg").write_bytes(b"1")
    ear.until("created", "a.jpg")
    ear.until("unfinished", "a.jpg")
    ear.until("changed", "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "b.jpg")
    ear.until("gone", "a.jpg")
    ear.until("created", "b.jpg")
    (tmp_path / "b.jpg").unlink()
    ear.until("gone", "b.jpg")
    (tmp_path / "folder").mkdir()
    ear.until("folder", "folder")
    (tmp_path / "folder").rename(tmp_path / "renamed")
    ear.until("folder", "renamed")


def test_reading_is_not_reported(tmp_path, ear, watcher):
    (tmp_path / "a.jpg").write_bytes(b"1")
    ear.until("changed", "a.jpg")
    (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "last.jpg").touch()
    assert ear.heard.get(timeout=SOON) == ("created", "last.jpg")


def test_a_root_that_is_removed_is_reported_and_heard_again_when_it_is_back(tmp_path, ear):
    root = tmp_path / "root"
    root.mkdir()
    watcher = Watcher(os.fspath(root), ear)
    watcher.attach()
    root.rmdir()
    ear.until("lost", "")
    with pytest.raises(FileNotFoundError):
        watcher.attach()
    root.mkdir()
    watcher.attach()
    (root / "a.jpg").touch()
    ear.until("created", "a.jpg")
    watcher.close()


def test_attaching_again_keeps_what_works(watcher):
    before = set(threading.enumerate())
    watcher.attach()
    assert set(threading.enumerate()) == before


def test_closing_ends_all_threads(tmp_path, ear):
    before = set(threading.enumerate())
    watcher = Watcher(os.fspath(tmp_path), ear)
    watcher.attach()
    watcher.close()
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("free", [0, 1, 2])
def test_without_events_it_polls_and_says_so_once_and_recovers(tmp_path, ear, caplog, free):
    watcher = Watcher(os.fspath(tmp_path), ear)
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


def _next_free():
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


def _open_files():
    return len(list(Path("/proc/self/fd").iterdir()))
