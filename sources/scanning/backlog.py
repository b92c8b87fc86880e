"""Which paths are to be checked and when, and which are in progress. Pure: no I/O, no threads, the caller passes the
time (in seconds)."""

import heapq
import sys
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from types import MappingProxyType


@dataclass(slots=True)
class BacklogItem:
    """A path that is queued or waits.

    Attributes:
        path: Below the root.
        queued_at: Since when it is work.
        attempt: From 1.
        by_rescan: A rescan found it after all events had missed it.
        from_event: An event named it, not only a scan.
        version: From the event or the listing; "" where neither shows it.
        snapshot: The file's state when it was last checked.
        unchanged_since: When that state was first seen.
        not_before: Earliest time of a retry.
    """

    path: str
    queued_at: float
    attempt: int = 1
    by_rescan: bool = False
    from_event: bool = False
    version: str = ""
    snapshot: object | None = None
    unchanged_since: float = 0.0
    not_before: float = 0.0


@dataclass(slots=True)
class _InProgress:
    """A path that was taken. `snapshot`: its state when it was yielded; `follow_up`: an event named it since."""

    item: BacklogItem
    snapshot: object | None = None
    follow_up: BacklogItem | None = None


class Backlog:
    """Every path is in one place only: queued, waiting for a time, or in progress. So no path is processed twice at
    once.

    Paths from events and paths from scans alternate, so that 100,000 old photos do not delay the next new one.
    Beyond `max_paths` it only remembers that there are more: a later scan finds them again.
    """

    def __init__(self, settle_seconds: float, max_paths: int = sys.maxsize) -> None:
        self._settle_seconds = settle_seconds
        self._max_paths = max_paths
        self._overflowed = False
        self._from_events: OrderedDict[str, BacklogItem] = OrderedDict()
        self._from_scans: OrderedDict[str, BacklogItem] = OrderedDict()
        self._waiting: dict[str, BacklogItem] = {}
        self._due: list[tuple[float, int, BacklogItem]] = []
        self._in_progress: dict[str, _InProgress] = {}
        self._numbers = count()
        self._done_during_scan: set[str] | None = None
        self._scans_next = False

    def __len__(self) -> int:
        """Paths that are queued or wait, without those in progress."""
        return len(self._from_events) + len(self._from_scans) + len(self._waiting)

    @property
    def in_progress(self) -> int:
        """Paths that were taken and not yet released."""
        return len(self._in_progress)

    @property
    def idle(self) -> bool:
        """Nothing queued, waiting or in progress."""
        return not (len(self) or self._in_progress)

    def add_event(self, path: str, now: float, *, unfinished: bool = False, version: str = "") -> bool:
        """Queue a path that an event named.

        Args:
            path: Below the root.
            now: The time.
            unfinished: The file is still being written: a path that waits for its quiet time goes on waiting.
            version: From the event; an event about the version in progress is ignored.

        Returns:
            False if there is no room.
        """
        if active := self._in_progress.get(path):
            # Events about a file being written never stop: checking it again at once would never end.
            if active.follow_up is None and not unfinished and not (version and version == active.item.version):
                active.follow_up = BacklogItem(path, now, from_event=True, version=version)
        elif item := self._waiting.get(path):
            item.by_rescan, item.from_event, item.version = False, True, version
            if not unfinished and item.not_before <= now:
                self._from_events[path] = self._waiting.pop(path)
        elif item := self._from_events.get(path) or self._from_scans.pop(path, None) or self._new(path, now):
            item.by_rescan, item.from_event, item.version = False, True, version
            self._from_events[path] = item
        else:
            return False
        return True

    def add_scanned(
        self, paths: Iterable[str], now: float, *, by_rescan: bool, versions: Mapping[str, str] = MappingProxyType({})
    ) -> bool:
        """Queue the paths that a scan found and that are not here yet.

        Returns:
            False if there is no room for the rest.
        """
        known = (
            self._in_progress, self._from_events, self._from_scans, self._waiting, self._done_during_scan or ()
        )  # fmt: skip
        for path in paths:
            if not any(path in place for place in known):
                if (item := self._new(path, now)) is None:
                    return False
                item.by_rescan, item.version = by_rescan, versions.get(path, "")
                self._from_scans[path] = item
        return True

    def take_overflow(self) -> bool:
        """True once after paths were left out and half of the room is free again: time for another scan."""
        ready = self._overflowed and len(self) <= self._max_paths // 2
        self._overflowed = self._overflowed and not ready
        return ready

    def set_scanning(self, running: bool) -> None:
        """A scan begins or ends. While it runs, paths that get done are remembered: it may have listed them before."""
        self._done_during_scan = set() if running else None

    def forget(self, path: str) -> None:
        """The file is gone."""
        for place in (self._from_events, self._from_scans, self._waiting):
            place.pop(path, None)

    def forget_scanned(self) -> None:
        """Drop the queued paths that only scans found: a later scan finds them again."""
        self._from_scans.clear()

    def take(self, now: float) -> BacklogItem | None:
        """The next path to check. It is in progress until `postpone`, `drop`, `retry` or `finish_ack`."""
        self._queue_due(now)
        scans_first = self._scans_next
        queues = (self._from_scans, self._from_events) if scans_first else (self._from_events, self._from_scans)
        queue = queues[0] or queues[1]
        if not queue:
            return None
        self._scans_next = queue is self._from_events
        path, item = queue.popitem(last=False)
        self._in_progress[path] = _InProgress(item)
        return item

    def is_stable(self, item: BacklogItem, snapshot: object, now: float) -> bool:
        """Whether the file has not changed for `settle_seconds`; remembers the snapshot if it has."""
        if snapshot != item.snapshot:
            item.snapshot, item.unchanged_since = snapshot, now
        return now - item.unchanged_since >= self._settle_seconds

    def mark_yielded(self, item: BacklogItem, snapshot: object) -> None:
        """It is yielded in this state."""
        self._in_progress[item.path].snapshot = snapshot

    def postpone(self, item: BacklogItem, now: float) -> None:
        """Not complete yet: check again when it can be stable, or at once if an event named it since."""
        follow_up = self._in_progress.pop(item.path).follow_up
        self._wait(item, item.unchanged_since + self._settle_seconds if follow_up is None else now)

    def drop(self, item: BacklogItem) -> None:
        """Missing, or not a photo; queued again if an event named it since."""
        follow_up = self._in_progress.pop(item.path).follow_up
        if follow_up is not None:
            self._from_events[item.path] = follow_up

    def retry(self, path: str, attempt: int, due: float) -> None:
        """Check a path in progress again at `due`. If it has not changed by then it need not be stable again."""
        active = self._in_progress.pop(path, None)
        if active is not None:
            item = replace(active.item, queued_at=due, attempt=attempt, by_rescan=False, snapshot=active.snapshot)
            item.unchanged_since, item.not_before = float("-inf"), due
            self._wait(item, due)

    def begin_ack(self, path: str) -> object | None:
        """The state in which a path was yielded, None if it is not in progress. Later events count as new work."""
        active = self._in_progress.get(path)
        if active is None:
            return None
        active.follow_up = None
        return active.snapshot

    def finish_ack(self, path: str, now: float, *, changed: bool) -> None:
        """Release a path; queue it again if it changed, or if an event named it after `begin_ack`."""
        active = self._in_progress.pop(path, None)
        if active is not None and (changed or active.follow_up is not None):
            self._from_events[path] = active.follow_up or BacklogItem(path, now)
        elif self._done_during_scan is not None:
            self._done_during_scan.add(path)

    def next_due(self) -> float | None:
        """When the next waiting path is due; None if none waits. Queued paths are due now."""
        while self._due and not self._is_current(self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def _new(self, path: str, now: float) -> BacklogItem | None:
        if len(self) >= self._max_paths:
            self._overflowed = True
            return None
        return BacklogItem(path, now)

    def _wait(self, item: BacklogItem, due: float) -> None:
        self._waiting[item.path] = item
        heapq.heappush(self._due, (due, next(self._numbers), item))

    def _is_current(self, entry: tuple[float, int, BacklogItem]) -> bool:
        return self._waiting.get(entry[2].path) is entry[2]

    def _queue_due(self, now: float) -> None:
        while (due := self.next_due()) is not None and due <= now:
            item = heapq.heappop(self._due)[2]
            del self._waiting[item.path]
            self._from_events[item.path] = item
