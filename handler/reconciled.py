"""What the reports in an outbox say of photos in a bucket, for `sources.reconcile`."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

from handler.ledger import last_changed
from handler.naming import report_path, report_paths
from sources.base import Entry
from sources.files import FileStore
from sources.s3 import S3Store
from sources.s3_stamps import STAMP

_SECOND: Final = 1_000_000_000
_UNDECIDED: Final = 0
"""The date of a report that is to be asked for by name."""


@dataclass(frozen=True, slots=True)
class ReportObjects:
    """Reports in a bucket. `dated`: a report is about what is older, as far as the listings tell; else none tells.

    Servers keep whole seconds, so only a later second is later; and AWS dates what was uploaded in parts (`-2` at the
    etag's end) by the beginning of its upload.
    """

    inbox: S3Store
    outbox: S3Store
    dated: bool = True

    def stamps(self) -> Iterator[tuple[str, int]]:
        """Sizes are odd where the photo is to be replayed, see `handler.sink`."""
        for entry in self.outbox.entries("reports"):
            yield entry.path, _UNDECIDED if entry.size % 2 else entry.changed_ns

    def place(self, path: str) -> str:
        return _place(path)

    def covers(self, entry: Entry, stamp_ns: int) -> bool:
        later = stamp_ns // _SECOND > entry.changed_ns // _SECOND
        return self.dated and later and "-" not in entry.etag

    def about(self, photo: str, entry: Entry, stamp_ns: int) -> bool:  # noqa: ARG002 - that of the listing is a date
        try:
            stamp = self.outbox.metadata(report_path(photo)).get(STAMP, "")
        except FileNotFoundError:  # carried away since it was listed
            return False
        return stamp == str(entry.changed_ns) or stamp == str(last_changed(self.inbox, photo))


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Reports in a folder: their stamps are their mtimes, and say all."""

    inbox: S3Store
    outbox: FileStore

    def stamps(self) -> Iterator[tuple[str, int]]:
        folders = {str(PurePosixPath(place).parent) for place in self.outbox.list("reports")}
        for folder in folders:
            yield from ((f"{folder}/{name}", stamp_ns) for name, stamp_ns in self.outbox.stamps(folder).items())

    def place(self, path: str) -> str:
        return _place(path)

    def covers(self, entry: Entry, stamp_ns: int) -> bool:
        return abs(stamp_ns - entry.changed_ns) < self.outbox.granularity()

    def about(self, photo: str, entry: Entry, stamp_ns: int) -> bool:  # noqa: ARG002 - it is one of the two
        return abs(stamp_ns - last_changed(self.inbox, photo)) < self.outbox.granularity()


def _place(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return _paths(folder)(name)


_paths = lru_cache(1024)(report_paths)
