"""What becomes of one photo: the worker's result, and what the service makes of it. All of it can be pickled.

A worker returns `Processed`, `Skipped`, `Vanished`, `Rejected` or `Failed`. The service publishes what was `Processed`,
which makes it `Done`, and decides when a failure is final (`handler.processing.process`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from handler.outbox.photo_version import UNREAD, PhotoVersion
from pipeline.types import Result

if TYPE_CHECKING:
    from handler.telemetry.metrics import OutcomeName  # not at run time: the workers need no metrics


@dataclass(frozen=True, slots=True)
class _Photo:
    """`seen`: which version was read, which may be newer than its event."""

    seen: PhotoVersion = field(default=UNREAD, compare=False, kw_only=True)

    @property
    def version(self) -> str | None:
        """The etag of the object that was read; None for files, and for what was not read."""
        return self.seen.etags[0] if self.seen.etags else None


@dataclass(frozen=True, slots=True)
class Processed(_Photo):
    """Portraits that are not published yet. `recipe` is the report's part about the options."""

    recipe: Mapping[str, Any]
    result: Result


@dataclass(frozen=True, slots=True)
class Done(_Photo):
    """Portraits and report are published. `outputs` are the portraits' names in the outbox."""

    name: ClassVar["OutcomeName"] = "done"

    outputs: tuple[str, ...]
    stages_ms: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped(_Photo):
    """The report is about this version already: nothing was done."""

    name: ClassVar["OutcomeName"] = "skipped"


@dataclass(frozen=True, slots=True)
class Vanished(_Photo):
    """The photo was taken away before it was read: there is nothing to report."""

    name: ClassVar["OutcomeName"] = "vanished"


@dataclass(frozen=True, slots=True)
class Rejected(_Photo):
    """The photo itself is the reason; its report says so and what to do. `facts` as in `PhotoRejected`."""

    name: ClassVar["OutcomeName"] = "rejected"

    reason: str
    hint: str
    recipe: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Failed(_Photo):
    """It may work next time.

    Attributes:
        reason: A key of `pipeline.reasons.REASONS`, or why the photo had to wait.
        retry_in: Seconds until the next attempt. None where the attempts are used up and the report says so; a worker
            leaves it to the service.
        counts: Whether this costs the photo an attempt, because the photo may be the cause.
    """

    reason: str
    error: str
    retry_in: float | None = None
    counts: bool = field(default=True, compare=False, kw_only=True)

    @property
    def name(self) -> "OutcomeName":
        return "failed" if self.retry_in is None else "retried"


Outcome = Done | Skipped | Vanished | Rejected | Failed
