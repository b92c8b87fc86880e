"""The photos that one call tells of: a source that comes to an end, and knows then what has to come again."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from sources.announced import EnvelopeError
from sources.base import Event
from sources.bucket_inbox import BucketInbox, BucketPhoto
from sources.deliveries import Deliveries, Delivery
from sources.envelopes import announced

ANSWER_SECONDS: Final = 1.0
"""What is kept of a call's time to settle the photo in hand and to answer."""

_ROOM: Final = 1.25
"""Another photo is begun while so many times the longest one's time is left."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What a body tells: photos of the inbox, how many other things, and what of it is not understood."""

    photos: tuple[BucketPhoto, ...] = ()
    ignored: int = 0
    wrong: str | None = None


def told(body: object, inbox: BucketInbox) -> Told:
    """As `envelopes.announced`, and no error: what is not understood stands beside what is."""
    wrong = None
    try:
        all_told = announced(body)
    except EnvelopeError as error:
        all_told, wrong = error.understood, str(error)
    found = [photo for each in all_told.created if inbox.holds(each) and (photo := inbox.photo(each))]
    ignored = len(all_told.created) + len(all_told.ignored) - len(found)
    return Told(tuple(found), ignored, wrong)


class BatchSource:
    """Yields each photo of the messages that were added once, while there is time left for another one.

    `remaining` gives the seconds that are left of the call. Photos that are retried, or that there was no time for,
    make their messages `unsettled`. Nothing comes again by itself.
    """

    def __init__(
        self, remaining: Callable[[], float], source: str = "lambda", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`source` is that of the events."""
        self._remaining, self._source, self._clock = remaining, source, clock
        self._deliveries = Deliveries()
        self._lock = threading.Lock()
        self._begun: dict[str, float] = {}
        self._longest = 0.0
        self._stopped = False

    def add(self, message_id: str, photos: tuple[BucketPhoto, ...], attempt: int = 1) -> None:
        """A message, once however often it is added. `attempt` says how often it was received."""
        message = Delivery(message_id, "", attempt, self._clock())
        with self._lock:
            if not self._deliveries.again(message):
                self._deliveries.add(message, photos)

    def __iter__(self) -> Iterator[Event]:
        while (event := self._next()) is not None:
            yield event

    def ack(self, event: Event) -> None:
        """See Source."""
        self._settle(event)

    def retry(self, event: Event, error: str, delay: float) -> None:
        """Its messages are unsettled: whoever called sends them again."""
        _log.info("Attempt at %r did not end well (%s): left to the caller to send again.", event.path, error)
        self._settle(event, again=self._clock() + delay)

    def give_up(self, event: Event) -> None:
        """Its report stands, so nobody needs its messages any more."""
        self._settle(event)

    def stop(self) -> None:
        """See Source."""
        self._stopped = True

    def unsettled(self) -> list[str]:
        """Messages that are to come again, in the order in which they were added."""
        with self._lock:
            over = {message.id for message in self._deliveries.settled() if message.again is None}
            return [message.id for message in self._deliveries.held() if message.id not in over]

    def _next(self) -> Event | None:
        with self._lock:
            if self._stopped or self._remaining() < ANSWER_SECONDS + _ROOM * self._longest:
                return None
            event = self._deliveries.take()
            if event is None:
                return None
            self._begun[event.path] = self._clock()
            return replace(event, source=self._source)

    def _settle(self, event: Event, *, again: float | None = None) -> None:
        with self._lock:
            self._longest = max(self._longest, self._clock() - self._begun.pop(event.path))
            self._deliveries.settle(event.path, again=again)
