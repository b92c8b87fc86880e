"""Several sources as one. Each event is settled by its own source, and each photo is in progress at most once."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from sources.events import Event, Source

_MAX_PARKED: Final = 10
"""Events of one source that may wait for their photo to be released; with more, the source is not asked again."""


class Member(Source, Protocol):
    """A source that can be merged with others."""

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""

    def attached(self) -> str | None:
        """None if events arrive, else why not and what to do. Never blocks."""

    def pending(self) -> int:
        """Events that wait to be yielded, as far as the source knows."""

    def close(self) -> None:
        """Stop, and join all threads."""


@dataclass(slots=True)
class _Lane:
    """One source. `parked` events wait for their photo, which another event has in progress. `ready` holds at most one
    event, besides those that were parked."""

    source: Member
    ready: deque[Event] = field(default_factory=deque)
    parked: list[Event] = field(default_factory=list)
    exhausted: bool = False
    crashed: bool = False


class MergedSource:
    """Round-robin over its sources. A source is asked for an event only while a consumer waits for one."""

    def __init__(self, sources: Sequence[Member]) -> None:
        self._lanes = [_Lane(source) for source in sources]
        self._threads = [threading.Thread(target=self._pump, args=(lane,), daemon=True) for lane in self._lanes]
        self._changed = threading.Condition()
        self._waiting_consumers = 0
        self._last = 0
        self._owners: dict[str, _Lane] = {}
        self.stopped = False

    def __iter__(self) -> Iterator[Event]:
        with self._changed:
            for thread in self._threads:
                if thread.ident is None and not self.stopped:
                    thread.start()
        return self._events()

    def attached(self) -> str | None:
        """The trouble of the first source that has any; None without."""
        return next((trouble for lane in self._lanes if (trouble := lane.source.attached())), None)

    def pending(self) -> int:
        """Events that wait to be yielded, here and in the sources."""
        with self._changed:
            here = sum(len(lane.ready) + len(lane.parked) for lane in self._lanes)
        return here + sum(lane.source.pending() for lane in self._lanes)

    def ack(self, event: Event) -> None:
        """Passed on to the event's own source."""
        try:
            self._owners[event.path].source.ack(event)
        finally:
            self._release(event.path)

    def retry(self, event: Event, error: str, delay: float) -> None:
        """Passed on to the event's own source."""
        try:
            self._owners[event.path].source.retry(event, error, delay)
        finally:
            self._release(event.path)

    def give_up(self, event: Event) -> None:
        """Passed on to the event's own source."""
        try:
            self._owners[event.path].source.give_up(event)
        finally:
            self._release(event.path)

    def stop(self) -> None:
        """End the iteration; events that nobody has taken go back to their source."""
        with self._changed:
            self.stopped = True
            untaken = [(lane, event) for lane in self._lanes for event in (*lane.ready, *lane.parked)]
            for lane in self._lanes:
                for event in lane.ready:
                    del self._owners[event.path]
                lane.ready.clear()
                lane.parked.clear()
            self._changed.notify_all()
        for lane, event in untaken:
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

    def _events(self) -> Iterator[Event]:
        while (event := self._next()) is not None:
            yield event

    def _next(self) -> Event | None:
        with self._changed:
            self._waiting_consumers += 1
            self._changed.notify_all()
            try:
                while not self._is_over():
                    if (event := self._take()) is not None:
                        return event
                    self._changed.wait()
            finally:
                self._waiting_consumers -= 1
        return None

    def _is_over(self) -> bool:
        if any(lane.crashed for lane in self._lanes):
            raise RuntimeError("A source ended unexpectedly: see the error above, then start again.")
        return self.stopped or (not self._owners and all(lane.exhausted for lane in self._lanes))

    def _take(self) -> Event | None:
        for _ in self._lanes:
            self._last = (self._last + 1) % len(self._lanes)
            if ready := self._lanes[self._last].ready:
                self._changed.notify_all()  # the source may be asked for its next event
                return ready.popleft()
        return None

    def _pump(self, lane: _Lane) -> None:
        lane.crashed, crashed = False, True
        try:
            events = iter(lane.source)
            while self._wanted(lane) and (event := next(events, None)) is not None:
                self._put(lane, event)
            crashed = False
        finally:
            with self._changed:
                lane.crashed, lane.exhausted = crashed, True
                self._changed.notify_all()

    def _wanted(self, lane: _Lane) -> bool:
        """Wait until a consumer waits for an event and the lane has none; False once stopped."""
        with self._changed:
            while not self.stopped:
                if self._waiting_consumers and not lane.ready and len(lane.parked) < _MAX_PARKED:
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

    def _release(self, path: str) -> None:
        """The photo is free: its next parked event gets ready, if there is one."""
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
