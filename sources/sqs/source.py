"""Photos that appear in a bucket, as a queue of SQS tells of them."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from sources.backoff import Backoff
from sources.bucket.inbox import BucketInbox, BucketPhoto
from sources.events import Event
from sources.notifications.fields import short_repr
from sources.scanning.source import Count, count_nothing
from sources.sqs.client import MOST, Message, Queue, QueueUnavailable, SqsClient
from sources.sqs.heartbeat import VisibilityHeartbeat
from sources.sqs.in_flight import InFlight, InFlightMessage

_SHORTEST_SECONDS: Final = 5
"""Less time than that for a message leaves no room for heartbeats."""

_BACKOFF: Final = Backoff(first=1.0, factor=2.0, longest=30.0)
_LOOK_SECONDS: Final = 0.5
"""How soon a slot is seen that another source has let go of."""
_log = logging.getLogger(__name__)


def _none() -> int:
    return 0


class SqsSource:
    """Yields the photos below `prefix` of the bucket that the queue's messages announce.

    Never asks for more messages than there are free slots, and keeps the time of each from running out. A message is
    deleted when all its photos are settled; one that is retried comes again from the queue, which counts the attempts.
    What cannot be read, and photos that are given up, are left to the queue's redrive policy; without one they are
    deleted. A path is in one pair of hands at a time.
    """

    def __init__(  # noqa: PLR0913 - each is a setting or a seam of its own, and all but the places go by name
        self,
        queue_url: str,
        bucket: str,
        prefix: str,
        *,
        slots: int,
        client: SqsClient,
        wait_seconds: int = 5,
        on_count: Count = count_nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`slots` are the photos that can be worked on at once; `client` is what `sqs_queue.connect` gives.

        `wait_seconds` (1 to 20) is the length of a long poll. A stop waits for its end, to hand back what it still
        brings, and must be over before those who ask for it lose patience.
        """
        self.stopped = False
        self._queue = Queue(client, queue_url)
        self._inbox = BucketInbox(bucket, prefix)
        self._slots, self._wait_seconds, self._count, self._clock = slots, wait_seconds, on_count, clock
        self._in_flight = InFlight()
        self._changed = threading.Condition()
        self._turn = threading.Lock()
        self._heartbeat: VisibilityHeartbeat | None = None
        self._visibility_seconds = _SHORTEST_SECONDS
        self._trouble: str | None = "nothing was received yet: wait for the first answer"
        self._failures = 0
        self._outside_logged = False
        self._elsewhere: Callable[[], int] = _none

    def __iter__(self) -> Iterator[Event]:
        while (event := self._next()) is not None:
            yield event

    @property
    def most_attempts(self) -> int | None:
        """How often the queue hands a message out before its redrive policy takes it; None without one."""
        return self._heartbeat.facts.most_receives if self._heartbeat else None

    def attached(self) -> str | None:
        """None if the queue can be read, else why not and what to do. As of the last call; never blocks."""
        trouble = self._trouble or (self._heartbeat and self._heartbeat.trouble)
        if self._heartbeat and not (self._heartbeat.alive or self.stopped):
            trouble = "the thread that keeps its messages has ended: see the error in the log, then start again"
        return f"queue {self._queue.url}: {trouble}" if trouble else None

    def pending(self) -> int:
        """Photos that wait here, and messages that waited in the queue when it was last asked (every 30 s)."""
        with self._changed:
            return self._in_flight.waiting + (self._heartbeat.facts.visible if self._heartbeat else 0)

    def idle(self) -> bool:
        """Whether nothing waits, is held or is put off, here or in the queue, which is asked; False if it cannot be."""
        with self._changed:
            if len(self._in_flight):
                return False
        try:
            facts = self._queue.facts()
        except QueueUnavailable:
            return False
        return not (facts.visible or facts.in_flight or facts.delayed)

    def beside(self, in_hand: Callable[[], int]) -> None:
        """Another source fills slots too, so many now."""
        self._elsewhere = in_hand

    def ack(self, event: Event) -> None:
        """The photo is settled; its message is deleted with the last of its photos."""
        self._settle(event)

    def retry(self, event: Event, error: str, delay: float) -> None:
        """Its message comes again after `delay` seconds, when its other photos are settled too."""
        _log.info("Attempt %d at %r did not end well (%s): again in %g s.", event.attempt, event.path, error, delay)
        self._settle(event, again=self._clock() + delay)

    def give_up(self, event: Event) -> None:
        """The attempts are used up: the message is left to the redrive policy, where there is one."""
        self._settle(event, given_up=True)

    def stop(self) -> None:
        """Receive nothing more, and hand back what nobody has in hand; returns at once."""
        with self._changed:
            self.stopped = True
            self._in_flight.release()
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, answer what is settled, and end; what is still in hand comes again when its time is over."""
        self.stop()
        with self._turn:
            if self._heartbeat:
                self._heartbeat.close()

    def _settle(self, event: Event, *, again: float | None = None, given_up: bool = False) -> None:
        with self._changed:
            self._in_flight.settle(event.path, again=again, given_up=given_up)
            self._changed.notify_all()

    # What is yielded

    def _next(self) -> Event | None:
        with self._turn:
            while not self.stopped:
                with self._changed:
                    if event := self._in_flight.take():
                        return event
                    if (room := self._room()) < 1:
                        self._changed.wait(_LOOK_SECONDS if self._elsewhere() else None)
                        continue
                self._receive(min(room, MOST))
        return None

    def _room(self) -> int:
        """Slots without a message. What waits behind a photo in hand counts too, or its messages would pile up.

        Where another source fills all slots one message may wait for its turn, or none would ever come.
        """
        mine = max(self._in_flight.unsettled, self._in_flight.in_hand)
        return max(self._slots - mine - self._elsewhere(), 1 - mine)

    def _receive(self, most: int) -> None:
        try:
            if self._heartbeat is None:
                self._heartbeat = self._attach()
            # whether the queue can be read should be known at once
            wait = 0 if self._trouble else self._wait_seconds
            messages = self._queue.receive(most, visibility_seconds=self._visibility_seconds, wait_seconds=wait)
        except QueueUnavailable as error:
            self._failed(error)
            return
        if self._trouble is not None:
            _log.info("Messages are received from %s.", self._queue.url)
        self._trouble, self._failures = None, 0
        self._add(messages)

    def _attach(self) -> VisibilityHeartbeat:
        facts = self._queue.facts()
        self._visibility_seconds = max(facts.visibility_seconds, _SHORTEST_SECONDS)
        return VisibilityHeartbeat(
            self._queue, facts, self._in_flight, self._changed, self._visibility_seconds, self._clock
        )

    def _failed(self, error: QueueUnavailable) -> None:
        if not self._failures:
            _log.warning("Nothing can be received from %s: %s; tried again.", self._queue.url, error)
        self._failures += 1
        self._trouble = (
            f"{error}; check its URL, the network, the permissions and this machine's clock; it is tried again"
        )
        with self._changed:
            self._changed.wait_for(lambda: self.stopped, _BACKOFF.after(self._failures))

    # What the messages tell

    def _add(self, messages: list[Message]) -> None:
        for message in messages:
            delivery = InFlightMessage(message.id, message.receipt, message.received, self._clock())
            with self._changed:
                if self._in_flight.again(delivery):
                    continue
                delivery.given_up = self._in_flight.was_given_up(delivery)
            photos = () if delivery.given_up else self._photos(message, delivery)
            with self._changed:
                self._in_flight.add(delivery, photos)
        with self._changed:
            if self.stopped:
                self._in_flight.release()
            self._changed.notify_all()

    def _photos(self, message: Message, in_flight: InFlightMessage) -> tuple[BucketPhoto, ...]:
        notification = self._inbox.parse(message.body)
        if notification.error is not None:
            in_flight.given_up = True
            _log.error(
                "Message %s is not understood (%s). Left to the redrive policy, or deleted without one: %s",
                message.id, notification.error, short_repr(message.body),
            )  # fmt: skip
        if notification.outside and not self._outside_logged:
            self._outside_logged = True
            first = notification.outside[0]
            _log.warning(
                "%r in bucket %r is not in the inbox: such events are acknowledged, and from here on only counted.",
                first.key, first.bucket,
            )  # fmt: skip
        self._count("events", len(notification.photos))
        self._count("ignored", notification.ignored)
        return notification.photos
