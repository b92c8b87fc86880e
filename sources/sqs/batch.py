"""The photos of one call: a source that ends, and then knows which messages must be delivered again."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from sources.bucket.inbox import BucketPhoto
from sources.events import Event
from sources.sqs.in_flight import InFlight, InFlightMessage

ANSWER_SECONDS: Final = 1.0
"""The part of a call's time that is kept to settle the current photo and to answer."""

_MARGIN: Final = 1.25
"""Another photo is begun while so many times the duration of the longest one is left."""

SOON: Final = 1.0
TRIES: Final = 5
"""Retries that are due within `SOON` seconds, such as for a photo that another worker has locked, are made within the
call, up to `TRIES` attempts: the sender would deliver the message again much later."""

_log = logging.getLogger(__name__)


class BatchSource:
    """Yields each photo of the added messages while the call has time for another one.

    Photos that are retried within `SOON` seconds are yielded again. All others that did not succeed, and those without
    time, make their messages `failed_messages`.
    """

    def __init__(
        self, remaining: Callable[[], float], source: str = "lambda", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`remaining` returns the seconds that the call has left; `source` is that of the events."""
        self._remaining, self._source, self._clock = remaining, source, clock
        self._in_flight = InFlight()
        self._changed = threading.Condition()
        self._begun: dict[str, float] = {}
        self._tries: dict[str, int] = {}
        self._retries: list[tuple[float, Event]] = []
        self._longest = 0.0
        self._stopped = False

    def add(self, message_id: str, photos: tuple[BucketPhoto, ...], attempt: int = 1) -> None:
        """Add a message; adding it again has no effect. `attempt` says how often it was received."""
        message = InFlightMessage(message_id, "", attempt, self._clock())
        with self._changed:
            if not self._in_flight.refresh(message):
                self._in_flight.add(message, photos)

    def __iter__(self) -> Iterator[Event]:
        while (event := self._next()) is not None:
            yield event

    def ack(self, event: Event) -> None:
        """See Source."""
        self._settle(event)

    def retry(self, event: Event, error: str, delay: float) -> None:
        """Yield the photo again soon, or leave its message to the sender to deliver again."""
        with self._changed:
            if delay <= SOON and self._tries[event.path] < TRIES:
                self._record_duration(event)
                self._retries.append((self._clock() + delay, event))
                self._changed.notify_all()
                return
        _log.info("Attempt at %r failed (%s): the sender must send it again.", event.path, error)
        self._settle(event, retry_at=self._clock() + delay)

    def give_up(self, event: Event) -> None:
        """Its report exists, so nobody needs its message any more."""
        self._settle(event)

    def stop(self) -> None:
        """See Source."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def failed_messages(self) -> list[str]:
        """The ids of messages that must be delivered again, in the order in which they were added."""
        with self._changed:
            done = {message.id for message in self._in_flight.answerable() if message.retry_at is None}
            return [message.id for message in self._in_flight if message.id not in done]

    def _next(self) -> Event | None:
        with self._changed:
            while not self._stopped and self._remaining() >= ANSWER_SECONDS + _MARGIN * self._longest:
                if event := self._take():
                    self._begun[event.path] = self._clock()
                    self._tries[event.path] = self._tries.get(event.path, 0) + 1
                    return event
                if not self._retries:
                    break
                self._changed.wait(max(0.0, min(due for due, _ in self._retries) - self._clock()))
        return None

    def _take(self) -> Event | None:
        """A photo that was not yielded yet, or one whose retry is due."""
        if event := self._in_flight.take():
            return replace(event, source=self._source)
        due = next((each for each in self._retries if each[0] <= self._clock()), None)
        if due is None:
            return None
        self._retries.remove(due)
        return due[1]

    def _record_duration(self, event: Event) -> None:
        self._longest = max(self._longest, self._clock() - self._begun.pop(event.path))

    def _settle(self, event: Event, *, retry_at: float | None = None) -> None:
        with self._changed:
            self._record_duration(event)
            self._in_flight.settle(event.path, retry_at=retry_at)
