"""How one photo ended this time. Permanent or retryable is decided in `handler.processing.process` only."""

from dataclasses import dataclass, field
from typing import Literal

Name = Literal["done", "skipped", "vanished", "rejected", "failed", "retried"]
"""The word for an outcome in logs, metrics and on the screen; a failure that is tried again is `retried`."""


@dataclass(frozen=True, slots=True)
class _Read:
    """`version`: of the object that was read, which may be newer than its event; None where that alone tells it."""

    version: str | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Done(_Read):
    """Portraits and report stand. `outputs` are their names in the outbox."""

    outputs: tuple[str, ...]
    stages_ms: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped(_Read):
    """Already done: this version's report stands."""


@dataclass(frozen=True, slots=True)
class Vanished(_Read):
    """The photo was taken away before it was read: there is nothing to report about."""


@dataclass(frozen=True, slots=True)
class Rejected(_Read):
    """The photo itself is the reason; its report says so and what to do."""

    reason: str
    hint: str


@dataclass(frozen=True, slots=True)
class Failed(_Read):
    """It may work next time, in `retry_in` seconds; None where the attempts are used up and the report says so."""

    reason: str
    error: str
    retry_in: float | None = None


Outcome = Done | Skipped | Vanished | Rejected | Failed


def name_of(outcome: Outcome) -> Name:
    match outcome:
        case Done():
            return "done"
        case Skipped():
            return "skipped"
        case Vanished():
            return "vanished"
        case Rejected():
            return "rejected"
        case Failed():
            return "failed" if outcome.retry_in is None else "retried"
