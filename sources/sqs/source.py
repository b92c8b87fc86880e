"""Photos that appear in a bucket, announced by an SQS queue."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from botocore.client import BaseClient

from sources.backoff import Backoff
from sources.bucket.inbox import BucketInbox, BucketPhoto
from sources.events import Event
from sources.notifications.fields import short_repr
from sources.scanning.source import Count, count_nothing
from sources.sqs.client import MAX_BATCH, Message, Queue, QueueUnavailable
from sources.sqs.heartbeat import VisibilityHeartbeat
from sources.sqs.in_flight import InFlight, InFlightMessage

_MIN_VISIBILITY_SECONDS: Final = 5
"""A shorter visibility timeout leaves no room for heartbeats."""

_BACKOFF: Final = Backoff(first=1.0, factor=2.0, longest=30.0)
_SLOT_POLL_SECONDS: Final = 0.5
"""How soon a slot is noticed that another source has freed."""
_log = logging.getLogger(__name__)


class SqsSource:
    """Yields the photos below `prefix` of the bucket that the queue's messages announce.

    It never receives more messages than there are free slots, and extends their visibility while they are in progress.
    A message is deleted when all its photos are settled. A retry returns it to the queue, which counts the attempts.
    Messages that cannot be parsed, and those of photos that are given up, are left to the queue's redrive policy;
    without one they are deleted. Each path is in progress at most once.
    """

    def __init__(  # noqa: PLR0913 - each is a setting or a seam of its own, and all but the places go by name
        self,
        queue_url: str,
        bucket: str,
        prefix: str,
        *,
        slots: int,
        client: BaseClient,
        wait_seconds: int = 5,
        on_count: Count = count_nothing,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Receives nothing before the first iteration.

        Args:
            queue_url: The queue.
            bucket: Events of other buckets are acknowledged and skipped.
            prefix: The inbox in the bucket; likewise.
            slots: How many photos are processed at a time.
            client: From `sources.sqs.client.connect`.
            wait_seconds: The length of a long poll, 1 to 20. A stop waits for its end, to return what it still brings,
                so it must be well below the time that the service has to stop.
            on_count: Counts events and ignored names.
            clock: Monotonic seconds.
        """
        self.stopped = False
        self._queue = Queue(client, queue_url)
        self._inbox = BucketInbox(bucket, prefix)
        self._slots, self._wait_seconds, self._count, self._clock = slots, wait_seconds, on_count, clock
        self._in_flight = InFlight()
        self._changed = threading.Condition()
        self._receiving = threading.Lock()
        self._heartbeat: VisibilityHeartbeat | None = None
        self._visibility_seconds = _MIN_VISIBILITY_SECONDS
        self._trouble: str | None = "nothing was received yet: wait for the first answer"
        self._failures = 0
        self._outside_logged = False
        self._others_in_progress: Callable[[], int] = lambda: 0

    def __iter__(self) -> Iterator[Event]:
        while (event := self._next()) is not None:
            yield event

    @property
    def most_attempts(self) -> int | None:
        """How often the queue delivers a message before its redrive policy takes it; None without one."""
        return self._heartbeat.attributes.max_receives if self._heartbeat else None

    def attached(self) -> str | None:
        """None if the queue can be read, else why not and what to do. As of the last call; never blocks."""
        trouble = self._trouble or (self._heartbeat and self._heartbeat.trouble)
        if self._heartbeat and not (self._heartbeat.alive or self.stopped):
            trouble = "the thread that extends its messages has ended: see the error in the log, then start again"
        return f"queue {self._queue.url}: {trouble}" if trouble else None

    def pending(self) -> int:
        """Photos queued here, and messages that waited in the queue when it was last asked (every 30 s)."""
        with self._changed:
            return self._in_flight.queued + (self._heartbeat.attributes.visible if self._heartbeat else 0)

    def idle(self) -> bool:
        """Whether no message is queued, in flight or delayed, here or in the queue; False if it cannot be asked."""
        with self._changed:
            if len(self._in_flight):
                return False
        try:
            attributes = self._queue.attributes()
        except QueueUnavailable:
            return False
        return not (attributes.visible or attributes.in_flight or attributes.delayed)

    def share_slots(self, in_progress: Callable[[], int]) -> None:
        """Another source uses the same slots; `in_progress` returns how many of them."""
        self._others_in_progress = in_progress

    def ack(self, event: Event) -> None:
        """Release the photo; its message is deleted with the last of its photos."""
        self._settle(event)

    def retry(self, event: Event, error: str, delay: float) -> None:
        """Return its message to the queue for `delay` seconds, once its other photos are settled."""
        _log.info("Attempt %d at %r failed (%s): next attempt in %g s.", event.attempt, event.path, error, delay)
        self._settle(event, retry_at=self._clock() + delay)

    def give_up(self, event: Event) -> None:
        """The attempts are used up: the message is left to the redrive policy, where there is one."""
        self._settle(event, given_up=True)

    def stop(self) -> None:
        """Receive nothing more, and return the photos that nobody has taken; does not block."""
        with self._changed:
            self.stopped = True
            self._in_flight.return_queued()
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, answer settled messages, and end. Photos in progress come again after their visibility timeout."""
        self.stop()
        with self._receiving:
            if self._heartbeat:
                self._heartbeat.close()

    def _settle(self, event: Event, *, retry_at: float | None = None, given_up: bool = False) -> None:
        with self._changed:
            self._in_flight.settle(event.path, retry_at=retry_at, given_up=given_up)
            self._changed.notify_all()

    def _next(self) -> Event | None:
        with self._receiving:
            while not self.stopped:
                with self._changed:
                    if event := self._in_flight.take():
                        return event
                    if (room := self._room()) < 1:
                        self._changed.wait(_SLOT_POLL_SECONDS if self._others_in_progress() else None)
                        continue
                self._receive(min(room, MAX_BATCH))
        return None

    def _room(self) -> int:
        """Free slots. Messages deferred behind a photo in progress count as used, or they would pile up.

        While another source uses all slots, one message may be received all the same, or none would ever be.
        """
        mine = max(self._in_flight.open_messages, self._in_flight.in_progress)
        return max(self._slots - mine - self._others_in_progress(), 1 - mine)

    def _receive(self, max_messages: int) -> None:
        try:
            if self._heartbeat is None:
                self._heartbeat = self._attach()
            # the first answer must come at once: until then the service is not ready
            wait = 0 if self._trouble else self._wait_seconds
            messages = self._queue.receive(max_messages, visibility_seconds=self._visibility_seconds, wait_seconds=wait)
        except QueueUnavailable as error:
            self._failed(error)
            return
        if self._trouble is not None:
            _log.info("Messages are received from %s.", self._queue.url)
        self._trouble, self._failures = None, 0
        self._add(messages)

    def _attach(self) -> VisibilityHeartbeat:
        attributes = self._queue.attributes()
        self._visibility_seconds = max(attributes.visibility_seconds, _MIN_VISIBILITY_SECONDS)
        return VisibilityHeartbeat(
            self._queue, attributes, self._in_flight, self._changed, self._visibility_seconds, self._clock
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

    def _add(self, messages: list[Message]) -> None:
        for message in messages:
            in_flight = InFlightMessage(message.id, message.receipt, message.receives, self._clock())
            with self._changed:
                if self._in_flight.refresh(in_flight):
                    continue
                in_flight.given_up = self._in_flight.was_given_up(in_flight)
            photos = () if in_flight.given_up else self._photos(message, in_flight)
            with self._changed:
                self._in_flight.add(in_flight, photos)
        with self._changed:
            if self.stopped:
                self._in_flight.return_queued()
            self._changed.notify_all()

    def _photos(self, message: Message, in_flight: InFlightMessage) -> tuple[BucketPhoto, ...]:
        notification = self._inbox.parse(message.body)
        if notification.error is not None:
            in_flight.given_up = True
            _log.error(
                "Message %s is not understood (%s). It is left to the redrive policy, or deleted without one: %s",
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
