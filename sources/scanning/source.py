"""What the sources that scan have in common: who hears and who scans put paths in, who works takes them out."""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from sources.events import Event
from sources.scanning.backlog import Backlog, BacklogItem
from sources.scanning.batch import Batch
from sources.scanning.rescan import Attached, Rescanner, Scans

Count = Callable[[str, int], None]
"""(name, how many more): `ignored`, `rescan_found`, `watch_overflows`, `events`. Called from any thread."""

_log = logging.getLogger(__name__)


def count_nothing(_name: str, _more: int) -> None:
    """For whoever counts nothing."""


class ScanningSource(ABC):
    """A source that scans at start and `rescan_seconds` after each scan; see `Backlog` for what comes when.

    A path is in one pair of hands at a time: it is not yielded again before `ack` or `retry`. Several threads may
    iterate, each over its own `iter(source)`.
    """

    def __init__(
        self,
        scanner: Scans,
        watch: Attached | None,
        backlog: Backlog,
        rescan_seconds: float,
        clock: Callable[[], float],
        on_count: Count,
    ) -> None:
        """Without a watch it is scanned once, and the iteration ends when all is settled."""
        self._clock = clock
        self._count = on_count
        self._once = watch is None
        self._root = scanner.root
        self._backlog = backlog
        self._work = threading.Condition()
        self.stopped = False
        self._rescans = Rescanner(scanner, watch, self, rescan_seconds, clock)

    @abstractmethod
    def _judge(self, item: BacklogItem) -> Event | None:
        """The event to yield for an item that was taken, or None if it is none now; tells the schedule which."""

    @abstractmethod
    def ack(self, event: Event) -> None:
        """Let go of the photo."""

    def __iter__(self) -> Iterator[Event]:
        self._rescans.start()
        return self._events()

    def attached(self) -> str | None:
        """None if the inbox can be listed, else why not and what to do. As of the last scan; never blocks."""
        return self._rescans.trouble

    def pending(self) -> int:
        """Paths found and not yet yielded."""
        with self._work:
            return len(self._backlog)

    def in_hand(self) -> int:
        """Photos that were yielded, or are about to be, and are not settled."""
        with self._work:
            return self._backlog.held

    def retry(self, event: Event, error: str, delay: float) -> None:
        """Yield the photo, as it is then, after `delay` seconds, with the next attempt's number."""
        _log.info("Attempt %d at %r did not end well (%s): again in %g s.", event.attempt, event.path, error, delay)
        with self._work:
            self._backlog.retry(event.path, event.attempt + 1, self._clock() + delay)
            self._work.notify_all()

    def give_up(self, event: Event) -> None:
        """The photo lies where it lay, and its report says why."""
        self.ack(event)

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

    # What is yielded

    def _events(self) -> Iterator[Event]:
        while (item := self._take()) is not None:
            event = self._judge(item)
            if event is not None and not self.stopped:
                yield event

    def _take(self) -> BacklogItem | None:
        with self._work:
            while not self._over():
                if (item := self._backlog.take(self._clock())) is not None:
                    if self._backlog.room_again():
                        self._rescans.want()
                    return item
                self._work.wait(self._until(self._backlog.next_time()))
        return None

    def _over(self) -> bool:
        if self._rescans.crashed:
            raise RuntimeError(f"The scan of {self._root!r} ended unexpectedly: see the error above, then start again.")
        return self.stopped or (self._once and self._rescans.over and self._backlog.idle)

    def _until(self, due: float | None) -> float | None:
        return None if due is None else min(max(due - self._clock(), 0.0), threading.TIMEOUT_MAX)

    # What is found

    def scanning(self, running: bool) -> None:
        """For the scan's thread."""
        with self._work:
            self._backlog.scanning(running)

    def found(self, batch: Batch, *, by_rescan: bool, first: bool) -> bool:
        """For the scan's thread."""
        if first and batch.ignored:
            self._count("ignored", batch.ignored)
        with self._work:
            room = self._backlog.found(batch.paths, self._clock(), by_rescan=by_rescan, versions=batch.versions)
            self._work.notify_all()
            return room and not self.stopped

    def ended(self) -> None:
        """For the scan's thread."""
        with self._work:
            self._work.notify_all()
