"""What the reports in an outbox say of photos in a bucket, for `sources.bucket.scanner`."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

from handler.outbox.metadata import SIDECAR_ETAG, SOURCE_ETAG
from handler.outbox.paths import report_path, report_paths
from handler.outbox.reports import last_changed
from handler.outbox.writer import SIZES, WITH_SIDECAR
from sources.filters import SIDECAR
from sources.stores.base import ListedObject
from sources.stores.local import FileStore
from sources.stores.s3 import S3Store
from sources.stores.s3_stamps import STAMP

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
        """Of a date only the seconds count: its last bit says that the photo had a sidecar."""
        for entry in self.outbox.entries("reports"):
            told = entry.size % SIZES
            dated = told in (0, WITH_SIDECAR)
            yield entry.path, entry.changed_ns // 2 * 2 + (told == WITH_SIDECAR) if dated else _UNDECIDED

    def place(self, path: str) -> str:
        return _place(path)

    def covers(self, entry: ListedObject, stamp_ns: int, *, sidecar: bool) -> bool:
        later = stamp_ns // _SECOND > entry.changed_ns // _SECOND
        return self.dated and later and "-" not in entry.etag and stamp_ns % 2 == sidecar

    def about(self, photo: str, entry: ListedObject, stamp_ns: int) -> bool:  # noqa: ARG002 - that of the listing is a date
        etag = entry.etag if entry.path == photo else self.inbox.version(photo)
        if etag is None:
            return True
        try:
            said = self.outbox.metadata(report_path(photo))
        except FileNotFoundError:  # carried away since it was listed
            return False
        if SOURCE_ETAG in said:
            return (said[SOURCE_ETAG], said.get(SIDECAR_ETAG)) == (etag, self.inbox.version(f"{photo}{SIDECAR}"))
        return said.get(STAMP) == str(last_changed(self.inbox, photo))


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

    def covers(self, entry: ListedObject, stamp_ns: int, *, sidecar: bool) -> bool:  # noqa: ARG002 - an mtime tells only time
        return abs(stamp_ns - entry.changed_ns) < self.outbox.granularity()

    def about(self, photo: str, entry: ListedObject, stamp_ns: int) -> bool:
        if entry.path != photo and not self.inbox.exists(photo):
            return True
        return abs(stamp_ns - last_changed(self.inbox, photo)) < self.outbox.granularity()


def _place(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return _paths(folder)(name)


_paths = lru_cache(1024)(report_paths)
