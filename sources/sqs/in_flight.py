"""The messages that are held, and the photos that they are about. Pure: no network, no threads, no clock."""

import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sources.bucket.inbox import BucketPhoto, newer
from sources.events import Event

_REMEMBERED: Final = 10_000
"""Given up messages that are known when they come again, on their way to where the redrive policy sends them."""


@dataclass(slots=True)
class InFlightMessage:
    """One message. `receipt` is the latest; `attempt` says how often it was received; times are monotonic seconds.

    `photos`: how many of them are not settled; `again`: when it is to come again; `given_up`: nobody wants it again;
    `lapsed`: its time cannot be extended, so that it may come again while it is held.
    """

    id: str
    receipt: str
    attempt: int
    known: float
    photos: int = 0
    again: float | None = None
    given_up: bool = False
    lapsed: bool = False


@dataclass(slots=True)
class _Work:
    """A photo, and the message that answers for it."""

    photo: BucketPhoto
    delivery: InFlightMessage


class InFlight:
    """A photo is waiting or in one pair of hands; what is told of it meanwhile waits behind.

    Whoever begins to read a photo sees all that was told before: of several messages about a waiting photo only one
    is held on to, and the others have nothing left to do. A message is answered once, when all its photos are settled.
    """

    def __init__(self) -> None:
        self._held: dict[str, InFlightMessage] = {}
        self._settled: dict[str, InFlightMessage] = {}
        self._waiting: OrderedDict[str, _Work] = OrderedDict()
        self._in_hand: dict[str, _Work] = {}
        self._behind: dict[str, _Work] = {}
        self._given_up: OrderedDict[str, None] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Photos that nobody has in hand."""
        return len(self._waiting) + len(self._behind)

    @property
    def in_hand(self) -> int:
        """Photos that were taken and are not settled."""
        return len(self._in_hand)

    @property
    def unsettled(self) -> int:
        """Messages with photos that are not settled."""
        return len(self._held) - len(self._settled)

    def __len__(self) -> int:
        """Messages, those among them that only wait for their answer."""
        return len(self._held)

    def again(self, message: InFlightMessage) -> bool:
        """Whether this message is held already; it then has a new receipt, and the old one is worth nothing."""
        held = self._held.get(message.id)
        if held is None or self._is_back(held, message):
            return False
        held.receipt, held.attempt, held.lapsed = message.receipt, message.attempt, False
        return True

    def _is_back(self, held: InFlightMessage, message: InFlightMessage) -> bool:
        """Whether it was handed back, and comes when it was to, sooner than the queue's answer to that."""
        return message.id in self._settled and held.again is not None and held.again <= message.known

    def was_given_up(self, message: InFlightMessage) -> bool:
        """Whether it was given up when it came before. A first attempt never was: someone has sent it anew."""
        return message.attempt > 1 and message.id in self._given_up

    def add(self, message: InFlightMessage, photos: Iterable[BucketPhoto] = ()) -> None:
        """A message that is not held already; see `again`."""
        self._held[message.id] = message
        self._settled.pop(message.id, None)
        for photo in photos:
            self._tell(message, photo)
        self._close(message)

    def take(self) -> Event | None:
        """The photo that has waited longest; it is in hand from here on."""
        if not self._waiting:
            return None
        path, work = self._waiting.popitem(last=False)
        self._in_hand[path] = work
        photo, message = work.photo, work.delivery
        return Event(photo.uri, path, photo.version, message.attempt, message.id, message.known, "sqs")

    def settle(self, path: str, *, again: float | None = None, given_up: bool = False) -> None:
        """A photo in hand is done with, or is to come again at that time. Nothing happens if it is not in hand."""
        if work := self._in_hand.pop(path, None):
            self._release(work, again, given_up=given_up)
        if behind := self._behind.pop(path, None):
            self._waiting[path] = behind

    def release(self) -> None:
        """What nobody has in hand is to come again at once."""
        for work in (*self._waiting.values(), *self._behind.values()):
            self._release(work, -math.inf)
        self._waiting.clear()
        self._behind.clear()

    def held(self) -> Iterator[InFlightMessage]:
        """Messages whose time is to be extended."""
        return (message for message in self._held.values() if not message.lapsed)

    def settled(self) -> list[InFlightMessage]:
        """Messages that are to be answered."""
        return list(self._settled.values())

    def answered(self, message_id: str, receipt: str) -> None:
        """The queue has taken the answer; unless the message has come again meanwhile, it is held no longer."""
        message = self._settled.get(message_id)
        if message is None or message.receipt != receipt:
            return
        del self._held[message_id], self._settled[message_id]
        if message.given_up and message.again is None:
            self._given_up[message_id] = None
            if len(self._given_up) > _REMEMBERED:
                self._given_up.popitem(last=False)

    def _tell(self, message: InFlightMessage, photo: BucketPhoto) -> None:
        in_hand = self._in_hand.get(photo.path)
        if in_hand is not None and in_hand.photo.covers(photo):
            return
        place = self._waiting if in_hand is None else self._behind
        if work := place.get(photo.path):
            work.photo = newer(work.photo, photo)
            return
        place[photo.path] = _Work(photo, message)
        message.photos += 1

    def _release(self, work: _Work, again: float | None, *, given_up: bool = False) -> None:
        message = work.delivery
        message.photos -= 1
        message.given_up = message.given_up or given_up
        if again is not None:
            message.again = again if message.again is None else max(message.again, again)
        self._close(message)

    def _close(self, message: InFlightMessage) -> None:
        if message.photos == 0:
            self._settled[message.id] = message
