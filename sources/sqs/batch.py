"""The photos that one call tells of: a source that comes to an end, and knows then what has to come again."""

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
"""What is kept of a call's time to settle the photo in hand and to answer."""

_ROOM: Final = 1.25
"""Another photo is begun while so many times the longest one's time is left."""

SOON: Final = 1.0
TRIES: Final = 5
"""The call waits for what may go well within so many seconds, as where another one has the photo in work, and tries it
so often: whoever sent it would send it again much later."""

_log = logging.getLogger(__name__)


class BatchSource:
    """Yields each photo of the messages that were added, while there is time left for another one.

    `remaining` gives the seconds that are left of the call. Photos that are to be retried `SOON` are yielded again, the
    others, and those that there was no time for, make their messages `unsettled`.
    """

    def __init__(
        self, remaining: Callable[[], float], source: str = "lambda", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`source` is that of the events."""
        self._remaining, self._source, self._clock = remaining, source, clock
        self._in_flight = InFlight()
        self._changed = threading.Condition()
        self._begun: dict[str, float] = {}
        self._tries: dict[str, int] = {}
        self._put_off: list[tuple[float, Event]] = []
        self._longest = 0.0
        self._stopped = False

    def add(self, message_id: str, photos: tuple[BucketPhoto, ...], attempt: int = 1) -> None:
        """A message, once however often it is added. `attempt` says how often it was received."""
        message = InFlightMessage(message_id, "", attempt, self._clock())
        with self._changed:
            if not self._in_flight.again(message):
                self._in_flight.add(message, photos)

    def __iter__(self) -> Iterator[Event]:
        while (event := self._next()) is not None:
            yield event

    def ack(self, event: Event) -> None:
        """See Source."""
        self._settle(event)

    def retry(self, event: Event, error: str, delay: float) -> None:
        """It is yielded again, or its messages are unsettled: whoever called sends them again."""
        with self._changed:
            if delay <= SOON and self._tries[event.path] < TRIES:
                self._rest(event)
                self._put_off.append((self._clock() + delay, event))
                self._changed.notify_all()
                return
        _log.info("Attempt at %r did not end well (%s): left to the caller to send again.", event.path, error)
        self._settle(event, again=self._clock() + delay)

    def give_up(self, event: Event) -> None:
        """Its report stands, so nobody needs its messages any more."""
        self._settle(event)

    def stop(self) -> None:
        """See Source."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def unsettled(self) -> list[str]:
        """Messages that are to come again, in the order in which they were added."""
        with self._changed:
            over = {message.id for message in self._in_flight.settled() if message.again is None}
            return [message.id for message in self._in_flight.held() if message.id not in over]

    def _next(self) -> Event | None:
        with self._changed:
            while not self._stopped and self._remaining() >= ANSWER_SECONDS + _ROOM * self._longest:
                if event := self._taken():
                    self._begun[event.path] = self._clock()
                    self._tries[event.path] = self._tries.get(event.path, 0) + 1
                    return event
                if not self._put_off:
                    break
                self._changed.wait(max(0.0, min(due for due, _ in self._put_off) - self._clock()))
        return None

    def _taken(self) -> Event | None:
        """One that was not yielded yet, or that was put off until now."""
        if event := self._in_flight.take():
            return replace(event, source=self._source)
        again = next((each for each in self._put_off if each[0] <= self._clock()), None)
        if again is not None:
            self._put_off.remove(again)
        return again[1] if again else None

    def _rest(self, event: Event) -> None:
        self._longest = max(self._longest, self._clock() - self._begun.pop(event.path))

    def _settle(self, event: Event, *, again: float | None = None) -> None:
        with self._changed:
            self._rest(event)
            self._in_flight.settle(event.path, again=again)
