"""Several sources as one: each event is settled where it came from, and no photo is in two pairs of hands."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from sources.events import Event, Source

_PARKED: Final = 10
"""Events of one source that may wait for their own photos; then it is not asked for more."""


class Member(Source, Protocol):
    """A source that can be one of several."""

    @property
    def stopped(self) -> bool:
        """Whether it was told to."""

    def attached(self) -> str | None:
        """None if events arrive, else why not and what to do."""

    def pending(self) -> int:
        """Events known and not yet yielded, as far as it knows."""

    def close(self) -> None:
        """Stop, and join all threads."""


@dataclass(slots=True)
class _Lane:
    """One source: `ready` holds at most one event but for those that waited for their photo, which are in `parked`."""

    source: Member
    ready: deque[Event] = field(default_factory=deque)
    parked: list[Event] = field(default_factory=list)
    over: bool = False
    crashed: bool = False


class MergedSource:
    """Takes turns. A source is asked for an event only while someone waits for one."""

    def __init__(self, sources: Sequence[Member]) -> None:
        self._lanes = [_Lane(source) for source in sources]
        self._threads = [threading.Thread(target=self._pump, args=(lane,), daemon=True) for lane in self._lanes]
        self._changed = threading.Condition()
        self._waiting = 0
        self._turn = 0
        self._owners: dict[str, _Lane] = {}
        self.stopped = False

    def __iter__(self) -> Iterator[Event]:
        with self._changed:
            for thread in self._threads:
                if thread.ident is None and not self.stopped:
                    thread.start()
        return self._events()

    def attached(self) -> str | None:
        """What is in the way of the first source that has something in its way."""
        return next((trouble for lane in self._lanes if (trouble := lane.source.attached())), None)

    def pending(self) -> int:
        """Events known and not yet yielded."""
        with self._changed:
            mine = sum(len(lane.ready) + len(lane.parked) for lane in self._lanes)
        return mine + sum(lane.source.pending() for lane in self._lanes)

    def ack(self, event: Event) -> None:
        """As its own source does."""
        try:
            self._owners[event.path].source.ack(event)
        finally:
            self._let_go(event.path)

    def retry(self, event: Event, error: str, delay: float) -> None:
        """As its own source does."""
        try:
            self._owners[event.path].source.retry(event, error, delay)
        finally:
            self._let_go(event.path)

    def give_up(self, event: Event) -> None:
        """As its own source does."""
        try:
            self._owners[event.path].source.give_up(event)
        finally:
            self._let_go(event.path)

    def stop(self) -> None:
        """End the iteration; what no one has taken yet is given back to its source."""
        with self._changed:
            self.stopped = True
            left = [(lane, event) for lane in self._lanes for event in (*lane.ready, *lane.parked)]
            for lane in self._lanes:
                for event in lane.ready:
                    del self._owners[event.path]
                lane.ready.clear()
                lane.parked.clear()
            self._changed.notify_all()
        for lane, event in left:
            _give_back(lane, event)
        for lane in self._lanes:
            lane.source.stop()

    def close(self) -> None:
        """Stop, and join all threads."""
        self.stop()
        for lane in self._lanes:
            lane.source.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    # What is yielded

    def _events(self) -> Iterator[Event]:
        while (event := self._next()) is not None:
            yield event

    def _next(self) -> Event | None:
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            try:
                while not self._over():
                    if (event := self._take()) is not None:
                        return event
                    self._changed.wait()
            finally:
                self._waiting -= 1
        return None

    def _over(self) -> bool:
        if any(lane.crashed for lane in self._lanes):
            raise RuntimeError("A source ended unexpectedly: see the error above, then start again.")
        return self.stopped or (not self._owners and all(lane.over for lane in self._lanes))

    def _take(self) -> Event | None:
        for _ in self._lanes:
            self._turn = (self._turn + 1) % len(self._lanes)
            if ready := self._lanes[self._turn].ready:
                self._changed.notify_all()  # its source may be asked for the next one
                return ready.popleft()
        return None

    # What is pulled

    def _pump(self, lane: _Lane) -> None:
        lane.crashed, crashed = False, True
        try:
            events = iter(lane.source)
            while self._wanted(lane) and (event := next(events, None)) is not None:
                self._put(lane, event)
            crashed = False
        finally:
            with self._changed:
                lane.crashed, lane.over = crashed, True
                self._changed.notify_all()

    def _wanted(self, lane: _Lane) -> bool:
        """Wait until someone waits for an event; False when it is over."""
        with self._changed:
            while not self.stopped:
                if self._waiting and not lane.ready and len(lane.parked) < _PARKED:
                    return True
                self._changed.wait()
        return False

    def _put(self, lane: _Lane, event: Event) -> None:
        with self._changed:
            stopped = self.stopped
            if not stopped and event.path in self._owners:
                lane.parked.append(event)
            elif not stopped:
                self._owners[event.path] = lane
                lane.ready.append(event)
            self._changed.notify_all()
        if stopped:
            _give_back(lane, event)

    def _let_go(self, path: str) -> None:
        """The next event of the same photo has its turn, if one waits."""
        with self._changed:
            del self._owners[path]
            for lane in self._lanes:
                if event := next((each for each in lane.parked if each.path == path), None):
                    lane.parked.remove(event)
                    self._owners[path] = lane
                    lane.ready.append(event)
                    break
            self._changed.notify_all()


def _give_back(lane: _Lane, event: Event) -> None:
    lane.source.retry(event, "the service is stopping", 0)
