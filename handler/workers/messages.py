"""What travels between the service and its model workers: a job there, a reply back. Both can be pickled."""

from dataclasses import dataclass

from handler.config.options import Presets, ResolvedOptions
from handler.outbox.photo_version import Checksums
from handler.workers.outcome import Failed, Processed, Rejected, Skipped, Vanished
from pipeline.types import Limits
from sources.stores.base import Store


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to process; it is skipped if it still has the `done_checksums`, those in its report."""

    inbox: Store
    path: str
    base: ResolvedOptions
    presets: Presets
    limits: Limits
    done_checksums: Checksums | None = None


Reply = Processed | Skipped | Vanished | Rejected | Failed
