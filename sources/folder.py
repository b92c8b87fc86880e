"""Photos that appear in a folder: events bring them soon, scans bring what events missed."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sources.base import Event
from sources.files import file_uri
from sources.ignore import ignored_folder, ignored_name, photo_of, why_folder_ignored, why_ignored
from sources.look import Look, NoPhoto, has_trailer, look_at
from sources.rescan import Rescans
from sources.scan import Batch, Scanner, SettledIn
from sources.schedule import Item, Schedule
from sources.watch import Kind, Report, Watch, Watcher

Count = Callable[[str, int], None]
"""(name, how many more): `ignored`, `rescan_found`, `watch_overflows`, `events`. Called from any thread."""

_log = logging.getLogger(__name__)


def _uncounted(_name: str, _more: int) -> None:
    pass


class FolderSource:
    """Yields a photo when it is complete: by its own trailer at once, else after `settle_seconds` without change.

    Scans at start and `rescan_seconds` after each scan. A path is in one pair of hands at a time: it is not yielded
    again before `ack` or `retry`; what changed meanwhile is then looked at again. With `once` the iteration ends when
    all is settled. Several threads may iterate, each over its own `iter(source)`. Not more than `most` paths are
    remembered at a time (about 0.5 KB each), but for `once`, which scans but once.
    """

    def __init__(  # noqa: PLR0913 - each is a setting or a seam of its own, and all but the root go by name
        self,
        root: Path,
        *,
        settle_seconds: float,
        rescan_seconds: float,
        settled_in: SettledIn,
        once: bool = False,
        most: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
        on_count: Count = _uncounted,
        watcher: Callable[[str, Report], Watch] = Watcher,
    ) -> None:
        self._root = os.fspath(root.absolute())
        self._settled_in = settled_in
        self._once = once
        self._clock = clock
        self._count = on_count
        self._watch = watcher(self._root, self._heard)
        self._schedule = Schedule(settle_seconds, sys.maxsize if once else most)
        self._work = threading.Condition()
        self.stopped = False
        scanner = Scanner(self._root, settled_in, self._watch.hear)
        self._rescans = Rescans(scanner, None if once else self._watch, self, rescan_seconds, clock)

    def __iter__(self) -> Iterator[Event]:
        self._rescans.start()
        return self._events()

    @property
    def mode(self) -> str:
        """`events`, or `polling` where they may not tell of everything, so that the rescan comes more often."""
        return self._watch.mode

    def attached(self) -> str | None:
        """None if the inbox can be listed, else why not and what to do. As of the last scan; never blocks."""
        return self._rescans.trouble

    def pending(self) -> int:
        """Paths found and not yet yielded."""
        with self._work:
            return len(self._schedule)

    def ack(self, event: Event) -> None:
        """Let go of the photo; if it has changed since it was yielded and no report covers that, it is work again."""
        with self._work:
            before = self._schedule.settling(event.path)
        after = self._look(event.path) if before else None
        changed = after is not None and after != before and not self._settled(event.path, after)
        with self._work:
            self._schedule.settle(event.path, self._clock(), changed=changed)
            self._work.notify_all()

    def retry(self, event: Event, error: str, delay: float) -> None:
        """Yield the photo, as it is then, after `delay` seconds, with the next attempt's number."""
        _log.info("Attempt %d at %r did not end well (%s): again in %g s.", event.attempt, event.path, error, delay)
        with self._work:
            self._schedule.retry(event.path, event.attempt + 1, self._clock() + delay)
            self._work.notify_all()

    def stop(self) -> None:
        """End the iteration; returns at once."""
        with self._work:
            self.stopped = True
            self._work.notify_all()
        self._rescans.stop()

    def close(self) -> None:
        """Stop, and join all threads."""
        self.stop()
        self._rescans.join()
        self._watch.close()

    # What is yielded

    def _events(self) -> Iterator[Event]:
        while (item := self._take()) is not None:
            event = self._judge(item)
            if event is not None and not self.stopped:
                yield event

    def _take(self) -> Item | None:
        with self._work:
            while not self._over():
                if (item := self._schedule.take(self._clock())) is not None:
                    if self._schedule.room_again():
                        self._rescans.want()
                    return item
                self._work.wait(self._until(self._schedule.next_time()))
        return None

    def _over(self) -> bool:
        if self._rescans.crashed:
            raise RuntimeError(f"The scan of {self._root!r} ended unexpectedly: see the error above, then start again.")
        return self.stopped or (self._once and self._rescans.over and self._schedule.idle)

    def _until(self, due: float | None) -> float | None:
        return None if due is None else min(max(due - self._clock(), 0.0), threading.TIMEOUT_MAX)

    def _judge(self, item: Item) -> Event | None:
        look = self._look(item.path)
        ready = look is not None and self._ready(item, look)
        with self._work:
            if look is None:
                self._schedule.drop(item)
            elif ready:
                self._schedule.hold(item, look)
            else:
                self._schedule.wait(item, self._clock())
            self._work.notify_all()
        if look is None or not ready:
            return None
        if item.by_rescan:
            self._count("rescan_found", 1)
            self._watch.missed(item.path)
        return Event(file_uri(f"{self._root}/{item.path}"), item.path, look.version, item.attempt, known=item.known)

    def _ready(self, item: Item, look: Look) -> bool:
        if self._schedule.ripe(item, look, self._clock()):
            return True
        try:
            # Looked at again: what changed while it was read is still being written.
            return look.size > 0 and has_trailer(self._root, item.path) and self._look(item.path) == look
        except OSError:  # it waits for quiet; then whoever reads it finds the same and reports it
            return False

    def _look(self, path: str) -> Look | None:
        try:
            return look_at(self._root, path)
        except NoPhoto:
            self._count("ignored", 1)
        except OSError as error:
            _log.warning("%r cannot be looked at (%s): check the disk or mount; tried at each rescan.", path, error)
        return None

    def _settled(self, path: str, look: Look) -> bool:
        folder, _, name = path.rpartition("/")
        try:
            return self._settled_in(folder)(name, look.changed_ns)
        except OSError as error:  # its report is asked for by name before any work, so doubt costs one look
            _log.warning("Whether %r is settled cannot be told (%s): it is looked at again.", path, error)
            return False

    # What is heard

    def _heard(self, kind: Kind, path: str) -> None:
        if kind == "overflow":
            self._count("watch_overflows", 1)
        if kind in ("overflow", "lost"):
            self._rescans.want()
        elif kind == "folder":
            self._heard_folder(path)
        else:
            self._heard_file(kind, path)

    def _heard_folder(self, path: str) -> None:
        above, _, name = path.rpartition("/")
        if why_folder_ignored(path):
            self._count("ignored", int(ignored_folder(name) is not None and not why_folder_ignored(above)))
            return
        self._rescans.want(path)

    def _heard_file(self, kind: Kind, path: str) -> None:
        folder, _, name = path.rpartition("/")
        if kind == "created" and ignored_name(name) and not why_folder_ignored(folder):
            self._count("ignored", 1)
        photo = photo_of(path) or path
        if why_ignored(photo):
            return
        self._count("events", 1)
        with self._work:
            if kind == "gone" and photo == path:
                self._schedule.forget(path)
            else:
                self._schedule.announce(photo, self._clock(), unfinished=kind == "unfinished")
            self._work.notify_all()

    # What is found

    def scanning(self, running: bool) -> None:
        """For the scan's thread."""
        with self._work:
            self._schedule.scanning(running)

    def found(self, batch: Batch, *, by_rescan: bool, first: bool) -> bool:
        """For the scan's thread."""
        if first and batch.ignored:
            self._count("ignored", batch.ignored)
        with self._work:
            room = self._schedule.found(batch.paths, self._clock(), by_rescan=by_rescan)
            self._work.notify_all()
            return room and not self.stopped

    def ended(self) -> None:
        """For the scan's thread."""
        with self._work:
            self._work.notify_all()
