"""What travels between the service and its model workers: a job there, a reply back. Both can be pickled."""

from dataclasses import dataclass

from handler.config.options import Presets, ResolvedOptions
from handler.outbox.photo_version import Checksums
from handler.workers.outcome import Failed, Processed, Rejected, Skipped, Vanished
from pipeline.types import Limits
from sources.stores.base import Store


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to process.

    Attributes:
        inbox: Where the photo and its sidecar are read.
        path: The photo's path in the inbox.
        base: The options that hold before those of folder, sidecar and metadata.
        presets: The options of folders, by name.
        limits: What a photo may measure.
        done_checksums: Those in the photo's report. A photo that still has them is `Skipped`.
        version_only: Only read the photo, for a report without portraits. The reply is `Skipped` with the version that
            was read, even if it could not be read; `Vanished` or `Failed("changed")` as for any job.
    """

    inbox: Store
    path: str
    base: ResolvedOptions
    presets: Presets
    limits: Limits
    done_checksums: Checksums | None = None
    version_only: bool = False


Reply = Processed | Skipped | Vanished | Rejected | Failed
