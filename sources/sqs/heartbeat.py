"""The thread of an SQS source that extends the visibility of open messages, and answers the others."""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from sources.backoff import Backoff
from sources.sqs.client import MAX_BATCH, Queue, QueueAttributes, QueueUnavailable, Receipt, Refusal
from sources.sqs.in_flight import InFlight, InFlightMessage

_BEATS: Final = 3
"""Heartbeats per visibility timeout: two in a row may fail."""

_GIVEN_UP_SECONDS: Final = 1
"""How soon a given-up message is delivered again, until the redrive policy takes it away."""

_ATTRIBUTES_SECONDS: Final = 30.0
"""Pause between two requests for the queue's attributes."""
_log = logging.getLogger(__name__)


class VisibilityHeartbeat:
    """Answers messages whose photos are settled at once, up to 10 per call, and repeats that until the queue accepts.
    A message whose receipt is void is forgotten.

    Attributes:
        attributes: The queue's attributes when they were last requested.
        trouble: Why the last round failed; None if it did not.
    """

    def __init__(
        self,
        queue: Queue,
        attributes: QueueAttributes,
        in_flight: InFlight,
        changed: threading.Condition,
        visibility_seconds: int,
        clock: Callable[[], float],
    ) -> None:
        """Start the thread. `changed` guards `in_flight`, and is notified when a photo is settled."""
        self.attributes = attributes
        self.trouble: str | None = None
        self._queue, self._in_flight, self._changed, self._clock = queue, in_flight, changed, clock
        self._seconds = visibility_seconds
        self._backoff = Backoff(1.0, 2.0, min(30.0, visibility_seconds / _BEATS))
        self._failures, self._not_before = 0, 0.0
        self._next_beat = clock() + visibility_seconds / _BEATS
        self._next_refresh = clock() + _ATTRIBUTES_SECONDS
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="sqs-heartbeat", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False after `close`, or if the thread died of a bug."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Send the answers that are due, once, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while self._wait():
            steps = (self._beat, self._answer, self._refresh_attributes)
            self._record([error for step in steps if (error := _error_of(step))])
        if error := _error_of(self._answer):
            _log.warning("%d messages of %s will be delivered again: %s", len(self._in_flight), self._queue.url, error)

    def _wait(self) -> bool:
        """Wait until something is due; False when the thread is to end."""
        with self._changed:
            while not self._closing:
                due = max(self._due(), self._not_before)
                if due <= self._clock():
                    break
                self._changed.wait(min(due - self._clock(), threading.TIMEOUT_MAX))
            return not self._closing

    def _due(self) -> float:
        return -math.inf if self._in_flight.answerable() else min(self._next_beat, self._next_refresh)

    def _record(self, errors: Sequence[str]) -> None:
        """The result of one round. Each step runs even if another failed; after an error all pause."""
        if errors and self.trouble is None:
            _log.warning("Messages of %s cannot be extended or answered: %s; tried again.", self._queue.url, errors[0])
        elif self.trouble and not errors:
            _log.info("Messages of %s are extended and answered again.", self._queue.url)
        self.trouble = errors[0] if errors else None
        self._failures = self._failures + 1 if errors else 0
        self._not_before = self._clock() + self._backoff.after(self._failures)

    def _refresh_attributes(self) -> None:
        if self._next_refresh <= self._clock():
            self.attributes = self._queue.attributes()
            self._next_refresh = self._clock() + _ATTRIBUTES_SECONDS

    # Heartbeats

    def _beat(self) -> None:
        if self._next_beat > self._clock():
            return
        with self._changed:
            receipts = [(message.id, message.receipt) for message in self._in_flight if not message.lapsed]
        for batch in _batches(receipts):
            refused = self._queue.hide(batch, self._seconds)
            self._lapse(refusal for refusal in refused if refusal.final)
        self._next_beat = self._clock() + self._seconds / _BEATS

    def _lapse(self, refused: Iterable[Refusal]) -> None:
        reasons = {refusal.id: refusal.why for refusal in refused}
        with self._changed:
            for message in [each for each in self._in_flight if each.id in reasons]:
                message.lapsed = True
                _log.warning("Message %s may be delivered again meanwhile: %s", message.id, reasons[message.id])

    # Answers

    def _answer(self) -> None:
        with self._changed:
            answers = [(message.id, message.receipt, self._delay(message)) for message in self._in_flight.answerable()]
        refused = []
        for delay in dict.fromkeys(delay for _, _, delay in answers):
            for batch in _batches([(name, receipt) for name, receipt, its in answers if its == delay]):
                refused += self._answer_all(batch, delay)
        if failed := [refusal for refusal in refused if not refusal.final]:
            raise QueueUnavailable(f"{len(failed)} answers failed, the first for {failed[0].id}: {failed[0].why}")

    def _answer_all(self, batch: Sequence[Receipt], delay: int | None) -> list[Refusal]:
        refused = self._queue.delete(batch) if delay is None else self._queue.hide(batch, delay)
        reasons = {refusal.id: refusal for refusal in refused}
        with self._changed:
            for name, receipt in batch:
                if name not in reasons or reasons[name].final:
                    self._in_flight.answered(name, receipt)
        for refusal in reasons.values():
            if refusal.final:
                _log.info("Message %s may be delivered again, its receipt is void: %s", refusal.id, refusal.why)
        return refused

    def _delay(self, message: InFlightMessage) -> int | None:
        """In how many seconds the message is to be delivered again; None to delete it."""
        if message.retry_at is not None:
            return max(0, math.ceil(message.retry_at - self._clock())) if math.isfinite(message.retry_at) else 0
        return _GIVEN_UP_SECONDS if message.given_up and self.attributes.max_receives else None


def _error_of(step: Callable[[], None]) -> str | None:
    try:
        step()
    except QueueUnavailable as error:
        return str(error)
    return None


def _batches(messages: Sequence[Receipt]) -> Iterator[Sequence[Receipt]]:
    rest = iter(messages)
    while batch := list(islice(rest, MAX_BATCH)):
        yield batch
