"""The thread beside an SQS source: keeps the messages that are held from coming again, and answers the others."""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from sources.backoff import Backoff
from sources.sqs.client import MOST, Queue, QueueFacts, QueueUnavailable, Receipt, Refusal
from sources.sqs.in_flight import InFlight, InFlightMessage

_BEATS: Final = 3
"""Heartbeats within the time that a message is ours: two may fail."""

_LEAVE_SECONDS: Final = 1
"""How soon a message comes again that nobody wants, until the redrive policy takes it away."""

_ASK_SECONDS: Final = 30.0
_log = logging.getLogger(__name__)


class VisibilityHeartbeat:
    """`facts` is what the queue last said of itself. Settled messages are answered at once, up to 10 with a call, and
    again until the queue has taken the answer; a receipt that is worth nothing any more is let go of."""

    def __init__(
        self,
        queue: Queue,
        facts: QueueFacts,
        in_flight: InFlight,
        changed: threading.Condition,
        visibility_seconds: int,
        clock: Callable[[], float],
    ) -> None:
        """`changed` guards the deliveries, and is notified when one was settled."""
        self.facts = facts
        self.trouble: str | None = None
        self._queue, self._in_flight, self._changed, self._clock = queue, in_flight, changed, clock
        self._seconds = visibility_seconds
        self._backoff = Backoff(1.0, 2.0, min(30.0, visibility_seconds / _BEATS))
        self._failures, self._not_before = 0, 0.0
        self._next_beat = clock() + visibility_seconds / _BEATS
        self._next_question = clock() + _ASK_SECONDS
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="sqs-keeper", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False after `close`, or where the thread ended by a fault of ours."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Give the answers that are due, once, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while self._wait():
            self._note([trouble for step in (self._beat, self._answer, self._ask) if (trouble := _tried(step))])
        if trouble := _tried(self._answer):
            _log.warning("%d messages of %s come again: %s", len(self._in_flight), self._queue.url, trouble)

    def _wait(self) -> bool:
        """Until something is to be done; False when that is to end."""
        with self._changed:
            while not self._closing:
                due = max(self._due(), self._not_before)
                if due <= self._clock():
                    break
                self._changed.wait(min(due - self._clock(), threading.TIMEOUT_MAX))
            return not self._closing

    def _due(self) -> float:
        return -math.inf if self._in_flight.settled() else min(self._next_beat, self._next_question)

    def _note(self, troubles: Sequence[str]) -> None:
        """Each step is tried, whatever became of the others, and all are tried again after a pause."""
        if troubles and self.trouble is None:
            _log.warning("Messages of %s cannot be kept or answered: %s; tried again.", self._queue.url, troubles[0])
        elif self.trouble and not troubles:
            _log.info("Messages of %s are kept and answered again.", self._queue.url)
        self.trouble = troubles[0] if troubles else None
        self._failures = self._failures + 1 if troubles else 0
        self._not_before = self._clock() + self._backoff.after(self._failures)

    def _ask(self) -> None:
        if self._next_question <= self._clock():
            self.facts = self._queue.facts()
            self._next_question = self._clock() + _ASK_SECONDS

    # Heartbeats

    def _beat(self) -> None:
        if self._next_beat > self._clock():
            return
        with self._changed:
            held = [(message.id, message.receipt) for message in self._in_flight.held()]
        for batch in _batches(held):
            refused = self._queue.hide(batch, self._seconds)
            self._lapse(refusal for refusal in refused if refusal.final)
        self._next_beat = self._clock() + self._seconds / _BEATS

    def _lapse(self, refused: Iterable[Refusal]) -> None:
        reasons = {refusal.id: refusal.why for refusal in refused}
        with self._changed:
            for message in [each for each in self._in_flight.held() if each.id in reasons]:
                message.lapsed = True
                _log.warning("Message %s may come again while it is held: %s", message.id, reasons[message.id])

    # Answers

    def _answer(self) -> None:
        with self._changed:
            answers = [(message.id, message.receipt, self._delay(message)) for message in self._in_flight.settled()]
        refused = []
        for delay in dict.fromkeys(delay for _, _, delay in answers):
            for batch in _batches([(name, receipt) for name, receipt, its in answers if its == delay]):
                refused += self._answer_all(batch, delay)
        if again := [refusal for refusal in refused if not refusal.final]:
            raise QueueUnavailable(f"{len(again)} answers were not taken, as {again[0].id}: {again[0].why}")

    def _answer_all(self, batch: Sequence[Receipt], delay: int | None) -> list[Refusal]:
        refused = self._queue.delete(batch) if delay is None else self._queue.hide(batch, delay)
        reasons = {refusal.id: refusal for refusal in refused}
        with self._changed:
            for name, receipt in batch:
                if name not in reasons or reasons[name].final:
                    self._in_flight.answered(name, receipt)
        for refusal in reasons.values():
            if refusal.final:
                _log.info("Message %s may come again, its receipt is worth nothing: %s", refusal.id, refusal.why)
        return refused

    def _delay(self, message: InFlightMessage) -> int | None:
        """In how many seconds the message is to come again; None: never."""
        if message.again is not None:
            return max(0, math.ceil(message.again - self._clock())) if math.isfinite(message.again) else 0
        return _LEAVE_SECONDS if message.given_up and self.facts.most_receives else None


def _tried(step: Callable[[], None]) -> str | None:
    try:
        step()
    except QueueUnavailable as error:
        return str(error)
    return None


def _batches(messages: Sequence[Receipt]) -> Iterator[Sequence[Receipt]]:
    rest = iter(messages)
    while batch := list(islice(rest, MOST)):
        yield batch
