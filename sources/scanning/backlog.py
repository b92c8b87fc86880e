"""What is to be looked at, when, and what is held. Pure: no disk, no threads, the time is handed in (seconds)."""

import heapq
import sys
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from types import MappingProxyType


@dataclass(slots=True)
class BacklogItem:
    """A path that is queued or waits, and what is known of it. `known`: since when it is work; `announced`: an event
    told of it, not a scan alone; `version`: as it was told, "" where it was not."""

    path: str
    known: float
    attempt: int = 1
    by_rescan: bool = False
    announced: bool = False
    version: str = ""
    snapshot: object | None = None
    since: float = 0.0
    not_before: float = 0.0


@dataclass(slots=True)
class _Held:
    """A path in someone's hands, as it was taken; `again`: it was announced meanwhile."""

    item: BacklogItem
    snapshot: object | None = None
    again: BacklogItem | None = None


class Backlog:
    """Every path is in one place only: queued (fresh or backlog), waiting for a time, or held. So nothing runs twice.

    What events announce and what scans find take turns, so that 100,000 old photos do not delay the next new one.
    Of more than `most` paths it remembers only that there are more: a later scan finds them again.
    """

    def __init__(self, settle_seconds: float, most: int = sys.maxsize) -> None:
        self._settle_seconds = settle_seconds
        self._most = most
        self._left_out = False
        self._fresh: OrderedDict[str, BacklogItem] = OrderedDict()
        self._backlog: OrderedDict[str, BacklogItem] = OrderedDict()
        self._waiting: dict[str, BacklogItem] = {}
        self._times: list[tuple[float, int, BacklogItem]] = []
        self._held: dict[str, _Held] = {}
        self._numbers = count()
        self._settled: set[str] | None = None
        self._backlogs_turn = False

    def __len__(self) -> int:
        """Paths that are queued or wait; those held are not among them."""
        return len(self._fresh) + len(self._backlog) + len(self._waiting)

    @property
    def held(self) -> int:
        """Paths in someone's hands."""
        return len(self._held)

    @property
    def idle(self) -> bool:
        """Nothing queued, waiting or held."""
        return not (self._fresh or self._backlog or self._waiting or self._held)

    def announce(self, path: str, now: float, *, unfinished: bool = False, version: str = "") -> bool:
        """An event named this path. `unfinished`: it is being written, so one that waits may go on waiting.

        `version`, where the event tells it: the one that is held already is no news. False where there is no room.
        """
        if held := self._held.get(path):
            # A file that is being written is announced all the time: looking at it again at once would never end.
            if held.again is None and not unfinished and not (version and version == held.item.version):
                held.again = BacklogItem(path, now, announced=True, version=version)
        elif item := self._waiting.get(path):
            item.by_rescan, item.announced, item.version = False, True, version
            if not unfinished and item.not_before <= now:
                self._fresh[path] = self._waiting.pop(path)
        elif item := self._fresh.get(path) or self._backlog.pop(path, None) or self._new(path, now):
            item.by_rescan, item.announced, item.version = False, True, version
            self._fresh[path] = item
        else:
            return False
        return True

    def found(
        self, paths: Iterable[str], now: float, *, by_rescan: bool, versions: Mapping[str, str] = MappingProxyType({})
    ) -> bool:
        """A scan found these to be work; `versions` as far as it knows them. False where there is no room for more."""
        known = (self._held, self._fresh, self._backlog, self._waiting, self._settled or ())
        for path in paths:
            if not any(path in place for place in known):
                if (item := self._new(path, now)) is None:
                    return False
                item.by_rescan, item.version = by_rescan, versions.get(path, "")
                self._backlog[path] = item
        return True

    def room_again(self) -> bool:
        """True once after something was left out, when half of the room is free."""
        again = self._left_out and len(self) <= self._most // 2
        self._left_out = self._left_out and not again
        return again

    def _new(self, path: str, now: float) -> BacklogItem | None:
        self._left_out = self._left_out or len(self) >= self._most
        return None if len(self) >= self._most else BacklogItem(path, now)

    def scanning(self, running: bool) -> None:
        """While a scan runs, what is settled is remembered: the scan may have seen it before it was."""
        self._settled = set() if running else None

    def forget(self, path: str) -> None:
        """The file is gone."""
        for place in (self._fresh, self._backlog, self._waiting):
            place.pop(path, None)

    def take(self, now: float) -> BacklogItem | None:
        """The next path to look at; it is held from here on, until `wait`, `drop`, `retry` or `settle`."""
        self._wake(now)
        first, second = (self._backlog, self._fresh) if self._backlogs_turn else (self._fresh, self._backlog)
        lane = first or second
        if not lane:
            return None
        self._backlogs_turn = lane is self._fresh
        path, item = lane.popitem(last=False)
        self._held[path] = _Held(item)
        return item

    def ripe(self, item: BacklogItem, snapshot: object, now: float) -> bool:
        """Whether the file has been quiet for long enough; remembers the look if it changed."""
        if snapshot != item.snapshot:
            item.snapshot, item.since = snapshot, now
        return now - item.since >= self._settle_seconds

    def hold(self, item: BacklogItem, snapshot: object) -> None:
        """It is yielded as it looks now."""
        self._held[item.path].snapshot = snapshot

    def wait(self, item: BacklogItem, now: float) -> None:
        """Not complete, not quiet: look again when it could be quiet, or at once if it was announced meanwhile."""
        again = self._held.pop(item.path).again
        self._wait(item, item.since + self._settle_seconds if again is None else now)

    def drop(self, item: BacklogItem) -> None:
        """Not there, or not a photo; queued again if it was announced meanwhile."""
        again = self._held.pop(item.path).again
        if again is not None:
            self._fresh[item.path] = again

    def retry(self, path: str, attempt: int, due: float) -> None:
        """Look at a held path again at `due`; if it has not changed by then it need not be quiet again."""
        held = self._held.pop(path, None)
        if held is not None:
            again = replace(held.item, known=due, attempt=attempt, by_rescan=False, snapshot=held.snapshot)
            again.since, again.not_before = float("-inf"), due
            self._wait(again, due)

    def forget_backlog(self) -> None:
        """What only scans found, and nobody has taken: a later scan finds it again."""
        self._backlog.clear()

    def settling(self, path: str) -> object | None:
        """How a held path looked when it was yielded; None if it is not held. What is announced from here on counts."""
        held = self._held.get(path)
        if held is None:
            return None
        held.again = None
        return held.snapshot

    def settle(self, path: str, now: float, *, changed: bool) -> None:
        """Let go of a held path; queue it again if it changed, or was announced after `settling`."""
        held = self._held.pop(path, None)
        if held is not None and (changed or held.again is not None):
            self._fresh[path] = held.again or BacklogItem(path, now)
        elif self._settled is not None:
            self._settled.add(path)

    def next_time(self) -> float | None:
        """When the next waiting path is due; None if none waits. What is queued is due now."""
        while self._times and not self._current(self._times[0]):
            heapq.heappop(self._times)
        return self._times[0][0] if self._times else None

    def _wait(self, item: BacklogItem, due: float) -> None:
        self._waiting[item.path] = item
        heapq.heappush(self._times, (due, next(self._numbers), item))

    def _current(self, entry: tuple[float, int, BacklogItem]) -> bool:
        return self._waiting.get(entry[2].path) is entry[2]

    def _wake(self, now: float) -> None:
        while (due := self.next_time()) is not None and due <= now:
            item = heapq.heappop(self._times)[2]
            del self._waiting[item.path]
            self._fresh[item.path] = item
