"""What the sources that scan have in common: events and scans put paths into a backlog, workers take them out."""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Final

from sources.events import Event
from sources.scanning.backlog import Backlog, BacklogItem
from sources.scanning.scanner import Batch, ReportsUnavailable, Scanner

Count = Callable[[str, int], None]
"""(name, how many more): `ignored`, `rescan_found`, `watch_overflows`, `events`. Called from any thread."""

_SOON_SECONDS: Final = 5.0
"""Longest pause until the next scan of a root that is missing, or whose events are not reliable."""

_SCAN_COST: Final = 20
"""Scans that come more often than configured may take one part in so many of the time."""

_MAX_FOLDERS: Final = 10_000
"""New folders that are remembered; with more of them, the whole root is scanned instead."""
_log = logging.getLogger(__name__)


def count_nothing(_name: str, _more: int) -> None:
    """For callers that count nothing."""


class ScanningSource(ABC):
    """A source that scans at start and `rescan_seconds` after each scan; see `Backlog` for the order of paths.

    Each path is in progress at most once: it is not yielded again before `ack`, `retry` or `give_up`. Several threads
    may iterate, each over its own `iter(source)`.
    """

    def __init__(
        self,
        scanner: Scanner,
        backlog: Backlog,
        rescan_seconds: float,
        clock: Callable[[], float],
        on_count: Count,
        *,
        once: bool,
    ) -> None:
        """With `once` the root is scanned once, and the iteration ends when all its photos are settled."""
        self._clock = clock
        self._count = on_count
        self._root = scanner.root
        self._backlog = backlog
        self._work = threading.Condition()
        self.once = once
        self.stopped = False
        self._rescanner = Rescanner(scanner, self, rescan_seconds, clock)

    @abstractmethod
    def _check(self, item: BacklogItem) -> Event | None:
        """The event to yield for a path that was taken; None if it is none now, which the backlog is then told."""

    @abstractmethod
    def ack(self, event: Event) -> None:
        """Release the photo."""

    def __iter__(self) -> Iterator[Event]:
        self._rescanner.start()
        return self._events()

    def attached(self) -> str | None:
        """None if the inbox can be listed, else why not and what to do. As of the last scan; never blocks."""
        return self._rescanner.trouble

    def pending(self) -> int:
        """Paths found and not yet yielded."""
        with self._work:
            return len(self._backlog)

    def in_progress(self) -> int:
        """Photos that were yielded, or are about to be, and are not settled."""
        with self._work:
            return self._backlog.in_progress

    def rescan(self) -> bool:
        """Scan the whole root now, and wait for the end of that scan.

        Returns:
            False if the source is stopped, not being iterated yet, or scans only once.
        """
        return self._rescanner.rescan()

    def retry(self, event: Event, error: str, delay: float) -> None:
        """Yield the photo, as it is then, after `delay` seconds, with the next attempt's number."""
        _log.info("Attempt %d at %r failed (%s): next attempt in %g s.", event.attempt, event.path, error, delay)
        with self._work:
            self._backlog.retry(event.path, event.attempt + 1, self._clock() + delay)
            self._work.notify_all()

    def give_up(self, event: Event) -> None:
        """The photo stays where it is, and its report says why."""
        self.ack(event)

    def stop(self) -> None:
        """End the iteration; returns at once."""
        with self._work:
            self.stopped = True
            self._work.notify_all()
        self._rescanner.stop()

    def close(self) -> None:
        """Stop, and join all threads."""
        self.stop()
        self._rescanner.join()

    def _events(self) -> Iterator[Event]:
        while (item := self._take()) is not None:
            event = self._check(item)
            if event is not None and not self.stopped:
                yield event

    def _take(self) -> BacklogItem | None:
        with self._work:
            while not self._is_over():
                if (item := self._backlog.take(self._clock())) is not None:
                    if self._backlog.take_overflow():
                        self._rescanner.request()
                    return item
                due = self._backlog.next_due()
                self._work.wait(None if due is None else min(max(due - self._clock(), 0.0), threading.TIMEOUT_MAX))
        return None

    def _is_over(self) -> bool:
        if self._rescanner.crashed:
            raise RuntimeError(f"The scan of {self._root!r} ended unexpectedly: see the error above, then start again.")
        return self.stopped or (self.once and self._rescanner.over and self._backlog.idle)

    # Called from the scan thread

    def before_scan(self) -> None:  # noqa: B027 - a bucket needs none
        """Called before each scan of the whole root.

        Raises:
            OSError: There is no root.
        """

    def events_reliable(self) -> bool:
        """Whether events report all changes; else the root is scanned more often."""
        return True

    def on_scan(self, running: bool) -> None:
        """A scan begins or ends."""
        with self._work:
            self._backlog.set_scanning(running)

    def on_batch(self, batch: Batch, *, by_rescan: bool, first: bool) -> bool:
        """A scan found this. `by_rescan`: events missed it; `first`: it is part of the scan at start.

        Returns:
            False if the scan is to end here.
        """
        if first and batch.ignored:
            self._count("ignored", batch.ignored)
        with self._work:
            room = self._backlog.add_scanned(batch.paths, self._clock(), by_rescan=by_rescan, versions=batch.versions)
            self._work.notify_all()
            return room and not self.stopped

    def on_scans_over(self) -> None:
        """There will be no more scans."""
        with self._work:
            self._work.notify_all()


class Rescanner:
    """The thread that scans: the whole root at start and at intervals, a folder when it appears.

    Attributes:
        trouble: Why the root cannot be scanned and what to do; None while it can.
        crashed: The thread died of an exception.
        over: There will be no more scans.
    """

    def __init__(self, scanner: Scanner, source: ScanningSource, seconds: float, clock: Callable[[], float]) -> None:
        """`seconds` lie between the end of one scan of the whole root and the start of the next."""
        self.trouble: str | None = f"The inbox {scanner.root!r} has not been listed yet: wait for the first scan."
        self.crashed = self.over = False
        self._scanner = scanner
        self._source = source
        self._seconds = min(seconds, threading.TIMEOUT_MAX)
        self._clock = clock
        self._changed = threading.Condition()
        self._folders: dict[str, None] = {}
        self._next_scan = float("-inf")
        self._begun = self._ended = 0  # scans of the whole root
        self._listed = self._completed = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="rescan", daemon=True)

    def start(self) -> None:
        """Start the thread, once; after `stop` nothing happens."""
        with self._changed:
            if not (self._thread.ident or self._stopped):
                self._thread.start()

    def request(self, folder: str = "") -> None:
        """Scan this folder soon, "" for the whole root; returns at once."""
        with self._changed:
            if folder and len(self._folders) < _MAX_FOLDERS:
                self._folders[folder] = None
            else:
                self._next_scan = float("-inf")
            self._changed.notify_all()

    def rescan(self) -> bool:
        """Scan the whole root now, and wait for the end of that scan; False if there is none."""
        with self._changed:
            number = self._begun + 1  # a scan that runs already may have listed some folders too early
            self.request()
            if self._thread.is_alive():
                self._changed.wait_for(lambda: self._ended >= number or self._stopped or self.over)
            return self._ended >= number

    def mark_listed(self) -> None:
        """The root can be listed: true at the end of a scan at the latest."""
        if self.trouble and self._listed:
            _log.info("The inbox %r can be scanned again.", self._scanner.root)
        self.trouble, self._listed = None, True

    def stop(self) -> None:
        """Returns at once; a running scan ends with its next batch."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self) -> None:
        """Wait for the thread to end."""
        if self._thread.ident:
            self._thread.join()

    def _run(self) -> None:
        crashed = True
        try:
            while (folder := self._next()) is not None:
                self._scan(folder)
            crashed = False
        finally:
            with self._changed:
                self.crashed, self.over = crashed, True
                self._changed.notify_all()
            self._source.on_scans_over()

    def _next(self) -> str | None:
        """Wait for the next folder to scan, "" for the whole root; None when there will be none."""
        with self._changed:
            while not (self._stopped or (self._source.once and self._begun)):
                if self._clock() >= self._next_scan:
                    self._begun += 1
                    self._folders.clear()
                    self._next_scan = float("inf")
                    return ""
                if self._folders:
                    return self._folders.popitem()[0]
                self._changed.wait(min(self._next_scan - self._clock(), threading.TIMEOUT_MAX))
        return None

    def _scan(self, folder: str) -> None:
        self._source.on_scan(True)
        began = self._clock()
        try:
            if folder:
                self._scan_folder(folder)
            else:
                self._scan_root()
        except OSError as error:
            self._failed(error)
        else:
            self._schedule(self._pause(self._clock() - began, whole=not folder))
        finally:
            self._source.on_scan(False)
            with self._changed:
                self._ended += not folder
                self._changed.notify_all()

    def _scan_root(self) -> None:
        self._source.before_scan()  # watches are set before the listing: nothing may fall between the two
        first = not self._completed
        for batch in self._scanner.scan():
            if not self._source.on_batch(batch, by_rescan=not first, first=first):
                break
            while (folder := self._new_folder()) is not None:  # new folders do not wait for the end of a long scan
                self._scan_folder(folder)
        else:
            self._completed = True
        self.mark_listed()

    def _scan_folder(self, folder: str) -> None:
        for batch in self._scanner.scan(folder):
            if not self._source.on_batch(batch, by_rescan=False, first=False):
                return

    def _new_folder(self) -> str | None:
        with self._changed:
            return self._folders.popitem()[0] if self._folders else None

    def _pause(self, took: float, *, whole: bool) -> float:
        """Seconds until the next scan of the whole root; without reliable events shorter, as far as its cost allows."""
        if self._source.once or self._source.events_reliable():
            return self._seconds if whole else threading.TIMEOUT_MAX
        return min(self._seconds, max(_SOON_SECONDS, took * _SCAN_COST))

    def _failed(self, error: OSError) -> None:
        delay = min(self._seconds, _SOON_SECONDS)
        what, remedy = "reports in the outbox cannot be listed", "make them readable"
        if not isinstance(error, ReportsUnavailable):
            what, remedy = f"inbox {self._scanner.root!r} cannot be scanned", self._scanner.remedy
        then = "then repeat the command" if self._source.once else f"it is tried again every {delay:g} s"
        trouble = f"The {what} ({error}): {remedy}; {then}."
        if trouble != self.trouble:
            _log.warning("%s", trouble)
        self.trouble = trouble
        self._schedule(delay)

    def _schedule(self, delay: float) -> None:
        with self._changed:
            self._next_scan = min(self._next_scan, self._clock() + delay)
