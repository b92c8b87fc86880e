"""The reports on photos in a bucket, as `sources.bucket.scanner` needs them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from handler.outbox.listing_flags import had_sidecar, is_later, packed_date
from handler.outbox.metadata import SIDECAR_ETAG, SOURCE_ETAG
from handler.outbox.paths import report_path, report_paths
from handler.outbox.reports import last_changed
from sources.stores.base import ListedObject
from sources.stores.local import FileStore
from sources.stores.s3 import S3Store
from sources.stores.s3_stamps import STAMP


@dataclass(frozen=True, slots=True)
class ReportObjects:
    """Reports in a bucket. Dates are packed, see `listing_flags`.

    `dated`: listings decide: a report is about whatever is older. Without it each report is asked for by name. So is
    that of a photo uploaded in parts (`-2` at its etag's end): AWS dates it by the beginning of its upload.
    """

    inbox: S3Store
    outbox: S3Store
    dated: bool = True

    def stamps(self) -> Iterator[tuple[str, int]]:
        for entry in self.outbox.entries("reports"):
            yield entry.path, packed_date(entry.size, entry.changed_ns)

    def place(self, path: str) -> str:
        return _place(path)

    def covers(self, entry: ListedObject, stamp_ns: int, *, sidecar: bool) -> bool:
        decided = self.dated and "-" not in entry.etag
        return decided and is_later(stamp_ns, entry.changed_ns) and had_sidecar(stamp_ns) == sidecar

    def about(self, photo: str, entry: ListedObject, stamp_ns: int) -> bool:  # noqa: ARG002 - that of the listing is a date
        etag = entry.etag if entry.path == photo else self.inbox.version(photo)
        if etag is None:
            return True
        try:
            said = self.outbox.metadata(report_path(photo))
        except FileNotFoundError:  # removed since it was listed
            return False
        if SOURCE_ETAG in said:
            return (said[SOURCE_ETAG], said.get(SIDECAR_ETAG)) == (etag, self.inbox.version(self.inbox.sidecar(photo)))
        return said.get(STAMP) == str(last_changed(self.inbox, photo))


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Reports in a folder: their mtimes are their stamps, and decide everything."""

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
