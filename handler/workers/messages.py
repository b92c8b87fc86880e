"""What travels between the service and its model workers: a job there, one of these replies back. All picklable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from handler.config.options import Presets, ResolvedOptions
from handler.outbox.photo_version import Checksums, PhotoVersion
from pipeline.types import Limits, Result
from sources.stores.base import Store


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to work on. `known` is what its standing report was made from."""

    inbox: Store
    path: str
    base: ResolvedOptions
    presets: Presets
    limits: Limits
    known: Checksums | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """Portraits, to be published. `recipe` is the report's part about the options."""

    seen: PhotoVersion
    recipe: Mapping[str, Any]
    result: Result


@dataclass(frozen=True, slots=True)
class Same:
    """The content that the standing report is about: nothing was done."""

    seen: PhotoVersion


@dataclass(frozen=True, slots=True)
class Refused:
    """The photo itself is the reason. `facts` as in `PhotoRejected`."""

    seen: PhotoVersion
    recipe: Mapping[str, Any]
    reason: str
    hint: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gone:
    """The photo vanished before it was read."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The photo changed while it was read: whoever writes it is not ready."""


@dataclass(frozen=True, slots=True)
class Faulted:
    """Something else went wrong that may work next time. `reason` is a key of `vocabulary.REASONS`."""

    reason: str
    error: str


@dataclass(frozen=True, slots=True)
class Away:
    """The inbox itself could not be reached, which is no photo's fault."""

    error: str


Reply = Finished | Same | Refused | Gone | Changed | Faulted | Away
