"""The messages that were received and not yet answered, and their photos. Pure: no network, no threads, no clock."""

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sources.bucket.inbox import BucketPhoto, newer
from sources.events import Event

_MAX_GIVEN_UP: Final = 10_000
"""Given-up messages that are remembered while the redrive policy still delivers them."""


@dataclass(slots=True)
class InFlightMessage:
    """One message. Times are monotonic seconds.

    Attributes:
        id: The queue's name for the message.
        receipt: The latest receipt handle.
        attempt: How often the message was received.
        received_at: When it was received.
        open_photos: How many of its photos are not settled.
        retry_at: When the queue is to deliver it again; None if never.
        given_up: Nobody needs it again.
        lapsed: Its visibility cannot be extended, so it may be delivered again while it is held.
    """

    id: str
    receipt: str
    attempt: int
    received_at: float
    open_photos: int = 0
    retry_at: float | None = None
    given_up: bool = False
    lapsed: bool = False


@dataclass(slots=True)
class _Work:
    """A photo, and the message that answers for it."""

    photo: BucketPhoto
    message: InFlightMessage


class InFlight:
    """Each photo is queued or in progress; later events about a photo in progress are deferred until it is settled.

    A worker that begins to read a photo sees everything announced before. So of several messages about a queued photo
    only one answers for it, and the others are done. A message is answered once, when all its photos are settled.
    """

    def __init__(self) -> None:
        self._messages: dict[str, InFlightMessage] = {}
        self._answerable: dict[str, InFlightMessage] = {}
        self._queued: OrderedDict[str, _Work] = OrderedDict()
        self._in_progress: dict[str, _Work] = {}
        self._deferred: dict[str, _Work] = {}
        self._given_up: OrderedDict[str, None] = OrderedDict()

    @property
    def queued(self) -> int:
        """Photos that nobody has taken yet."""
        return len(self._queued) + len(self._deferred)

    @property
    def in_progress(self) -> int:
        """Photos that were taken and are not settled."""
        return len(self._in_progress)

    @property
    def open_messages(self) -> int:
        """Messages with photos that are not settled."""
        return len(self._messages) - len(self._answerable)

    def __len__(self) -> int:
        """All messages, including those that only wait for their answer."""
        return len(self._messages)

    def __iter__(self) -> Iterator[InFlightMessage]:
        """All messages, in the order in which they were added."""
        return iter(self._messages.values())

    def refresh(self, message: InFlightMessage) -> bool:
        """Take over the receipt of a message that was delivered again while it is held: the old one is void.

        Returns:
            False if it is not held, or is due again: then it is new work.
        """
        held = self._messages.get(message.id)
        if held is None or self._is_due_again(held, message):
            return False
        held.receipt, held.attempt, held.lapsed = message.receipt, message.attempt, False
        return True

    def _is_due_again(self, held: InFlightMessage, message: InFlightMessage) -> bool:
        """Whether it was returned to the queue, and is delivered again before the queue has confirmed that."""
        return message.id in self._answerable and held.retry_at is not None and held.retry_at <= message.received_at

    def was_given_up(self, message: InFlightMessage) -> bool:
        """Whether an earlier delivery was given up. Not on a first attempt: that was sent again by someone."""
        return message.attempt > 1 and message.id in self._given_up

    def add(self, message: InFlightMessage, photos: Iterable[BucketPhoto] = ()) -> None:
        """Hold a message that is new work; see `refresh`."""
        self._messages[message.id] = message
        self._answerable.pop(message.id, None)
        for photo in photos:
            self._enqueue(message, photo)
        self._check_answerable(message)

    def take(self) -> Event | None:
        """The photo that was queued longest; it is in progress from here on."""
        if not self._queued:
            return None
        path, work = self._queued.popitem(last=False)
        self._in_progress[path] = work
        photo, message = work.photo, work.message
        return Event(photo.uri, path, photo.version, message.attempt, message.id, message.received_at, "sqs")

    def settle(self, path: str, *, retry_at: float | None = None, given_up: bool = False) -> None:
        """Release a photo, which with `retry_at` is to come again then. Does nothing if it is not in progress."""
        if work := self._in_progress.pop(path, None):
            self._release(work, retry_at, given_up=given_up)
        if deferred := self._deferred.pop(path, None):
            self._queued[path] = deferred

    def return_queued(self) -> None:
        """Photos that nobody has taken are to come again at once."""
        for work in (*self._queued.values(), *self._deferred.values()):
            self._release(work, -math.inf)
        self._queued.clear()
        self._deferred.clear()

    def answerable(self) -> list[InFlightMessage]:
        """Messages whose photos are all settled: they are to be deleted or returned."""
        return list(self._answerable.values())

    def answered(self, message_id: str, receipt: str) -> None:
        """The queue has taken the answer. The message is forgotten, unless it was delivered again since."""
        message = self._answerable.get(message_id)
        if message is None or message.receipt != receipt:
            return
        del self._messages[message_id], self._answerable[message_id]
        if message.given_up and message.retry_at is None:
            self._given_up[message_id] = None
            if len(self._given_up) > _MAX_GIVEN_UP:
                self._given_up.popitem(last=False)

    def _enqueue(self, message: InFlightMessage, photo: BucketPhoto) -> None:
        active = self._in_progress.get(photo.path)
        if active is not None and active.photo.covers(photo):
            return
        place = self._queued if active is None else self._deferred
        if work := place.get(photo.path):
            work.photo = newer(work.photo, photo)
            return
        place[photo.path] = _Work(photo, message)
        message.open_photos += 1

    def _release(self, work: _Work, retry_at: float | None, *, given_up: bool = False) -> None:
        message = work.message
        message.open_photos -= 1
        message.given_up = message.given_up or given_up
        if retry_at is not None:
            message.retry_at = retry_at if message.retry_at is None else max(message.retry_at, retry_at)
        self._check_answerable(message)

    def _check_answerable(self, message: InFlightMessage) -> None:
        if message.open_photos == 0:
            self._answerable[message.id] = message
