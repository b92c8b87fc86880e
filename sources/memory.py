"""A source in memory, for tests and for programs that embed the service."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sources.events import Event


class MemorySource:
    """Yields the events that it was given, and records in order how they were settled.

    Retries are yielded at once; their delays are only recorded. The iteration ends when all events are settled, or with
    `endless` at `stop`.

    Attributes:
        acked: Events that were acked.
        retried: (event, error, delay) of each retry.
        given_up: Events that were given up.
    """

    def __init__(self, events: Iterable[Event] = (), *, endless: bool = False) -> None:
        self.acked: list[Event] = []
        self.retried: list[tuple[Event, str, float]] = []
        self.given_up: list[Event] = []
        self._waiting = deque(events)
        self._held: list[Event] = []
        self._endless = endless
        self._stopped = False
        self._changed = threading.Condition()

    def __iter__(self) -> Iterator[Event]:
        while (event := self._take()) is not None:
            yield event

    def add(self, event: Event) -> None:
        """Queue another event."""
        with self._changed:
            self._waiting.append(event)
            self._changed.notify_all()

    def held(self) -> list[Event]:
        """Events that were yielded and are not settled."""
        with self._changed:
            return list(self._held)

    def ack(self, event: Event) -> None:
        """Record it.

        Raises:
            ValueError: The event is not held.
        """
        with self._changed:
            self._held.remove(event)
            self.acked.append(event)
            self._changed.notify_all()

    def retry(self, event: Event, error: str, delay: float) -> None:
        """Yield the event again at once, with the next attempt's number.

        Raises:
            ValueError: The event is not held.
        """
        with self._changed:
            self._held.remove(event)
            self.retried.append((event, error, delay))
            self._waiting.append(replace(event, attempt=event.attempt + 1))
            self._changed.notify_all()

    def give_up(self, event: Event) -> None:
        """Record it.

        Raises:
            ValueError: The event is not held.
        """
        with self._changed:
            self._held.remove(event)
            self.given_up.append(event)
            self._changed.notify_all()

    def stop(self) -> None:
        """End the iteration."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _take(self) -> Event | None:
        with self._changed:
            while not (self._stopped or self._exhausted()):
                if self._waiting:
                    self._held.append(self._waiting.popleft())
                    return self._held[-1]
                self._changed.wait()
        return None

    def _exhausted(self) -> bool:
        return not (self._endless or self._waiting or self._held)
