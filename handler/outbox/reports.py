"""The reports in the outbox, and whether a photo is done: read from a listing where that is enough."""

import errno
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from handler.config.options import SIDECAR_BYTES
from handler.outbox.listing_flags import REPLAY
from handler.outbox.metadata import SIDECAR_ETAG, SOURCE_ETAG, provenance
from handler.outbox.paths import report_folder, report_path, report_paths, reported_path
from handler.outbox.photo_version import UNREAD, Checksums, PhotoVersion
from sources.stores.base import Conflict, Outbox, Store, TooLarge

Report = Mapping[str, Any]

_MAX_BYTES: Final = 64 * 1024 * 1024
"""A report on a thousand faces has less than a tenth of this."""

_RACY_NS: Final = 20_000_000
"""Two changes within one tick of the kernel's clock (10 ms at most) leave the same ctime."""

_COARSE_NS: Final = 2_000_000_000
"""The tick of file systems whose times are whole seconds."""


@dataclass(frozen=True, slots=True)
class StoredReport:
    """What is at the path of a photo's report.

    Attributes:
        content: The report; None if there is none, or something else.
        version: The version to replace; None if nothing is there.
        metadata: As in `Blob`.
    """

    content: Report | None = None
    version: str | None = None
    metadata: Mapping[str, str] | None = None


NO_REPORT: Final = StoredReport()


def read_report(outbox: Store, path: str) -> StoredReport:
    """The report on the photo `path`. OSError if something is there that is too large for a report."""
    return _read(outbox, report_path(path))


def reports(outbox: Store, wanted: Callable[[str], bool] = lambda _path: True) -> Iterator[tuple[str, Report, str]]:
    """Path, report and version for all photos whose path is `wanted`; what is no report of ours is left out.

    OSError as in `read_report`.
    """
    for place in sorted(outbox.list("reports")):  # at once: a folder that changes meanwhile may list a name twice
        plain = reported_path(place)  # mostly the report's path is enough, and what is not wanted need not be read
        if plain is None or wanted(plain):
            stored = StoredReport()
            with suppress(Conflict):  # a service is just writing it, so its photo is in work
                stored = _read(outbox, place)
            path = reported_path(place, _source(stored.content).get("uri"))
            if path is not None and wanted(path) and stored.content is not None and stored.version is not None:
                yield path, stored.content, stored.version


def last_changed(inbox: Store, path: str) -> int:
    """When the photo or its sidecar last changed, in ns since 1970: its report's stamp is compared with this."""
    return max(inbox.changed(path), inbox.changed(inbox.sidecar(path)))


def done_checksums(report: Report | None) -> Checksums | None:
    """The content that need not be processed again: as `reported_checksums`, but None if it is to be replayed."""
    return None if report is None or REPLAY in report else reported_checksums(report)


def reported_checksums(report: Report | None) -> Checksums | None:
    """The checksums of the content that the report is about; None if it has none."""
    source = _source(report)
    if not isinstance(source.get("bytes"), int):
        return None
    return Checksums(source.get("sha256"), source["bytes"], source.get("sidecar_sha256"))


def digest(report: Report) -> str | None:
    """The digest of the recipe that was used; None if the photo did not get that far."""
    recipe = report.get("recipe")
    return recipe.get("digest") if isinstance(recipe, Mapping) else None


def _sidecar_etag(inbox: Store, path: str) -> str | None:
    # read, not HEAD: mostly there is none, and that takes one request this way and two the other
    try:
        return inbox.read(inbox.sidecar(path), SIDECAR_BYTES).version
    except FileNotFoundError:
        return None
    except TooLarge as error:
        return error.etag


def _source(report: Report | None) -> Mapping[str, Any]:
    source = report.get("source") if report else None
    return source if isinstance(source, Mapping) else {}


def _read(outbox: Store, place: str) -> StoredReport:
    try:
        blob = outbox.read(place, _MAX_BYTES)
    except FileNotFoundError:
        return StoredReport()
    except TooLarge as error:
        raise OSError(errno.EFBIG, f"has {error} and is no report of ours: move it away", place) from error
    try:
        report = json.loads(blob.data)
    except (ValueError, RecursionError):
        report = None
    return StoredReport(report if isinstance(report, dict) else None, blob.version, blob.metadata)


def trusted_stamp(changed_ns: int, read_at_ns: int, granularity: int) -> int:
    """The stamp for a report on content that was read at `read_at_ns` and had last changed at `changed_ns`.

    As in git's index, a file that changed just before it was read may change again without a newer ctime. It gets a
    stamp that equals no ctime, so that its checksum decides next time.
    """
    tick = _COARSE_NS if changed_ns % 1_000_000 == 0 else _RACY_NS
    return changed_ns if read_at_ns - changed_ns > max(tick, granularity) else untrusted_stamp(changed_ns, granularity)


def untrusted_stamp(changed_ns: int, granularity: int) -> int:
    """A stamp that equals no ctime of this content, so that the photo is checked again."""
    return changed_ns - 2 * granularity


@dataclass(frozen=True, slots=True)
class ReportStore:
    """The reports of one outbox."""

    outbox: Outbox

    @property
    def granularity(self) -> int:
        """See `Outbox.granularity`."""
        return self.outbox.granularity()

    def done_in(self, folder: str) -> Callable[[str, int], bool]:
        """Whether photos of one folder are done: a function of name and newest ctime, in ns, of photo and sidecar.

        Lists the folder's reports once and opens none. OSError if the outbox cannot be reached.
        """
        place, path, granularity = report_folder(folder), report_paths(folder), self.granularity
        stamps = self.outbox.stamps(place)

        def is_done(name: str, changed_ns: int) -> bool:
            reports, _, report = path(name).rpartition("/")
            # the report on a photo with a very long path is elsewhere: rare enough to be looked up by name
            stamp = (stamps if reports == place else self.outbox.stamps(reports)).get(report)
            return stamp is not None and abs(stamp - changed_ns) < granularity

        return is_done

    def is_done(self, path: str, changed_ns: int) -> bool:
        """As `done_in`, for one photo, without listing its folder."""
        stamp = self.outbox.stamped(report_path(path))
        return stamp is not None and abs(stamp - changed_ns) < self.granularity

    def read(self, path: str) -> StoredReport:
        """See `read_report`."""
        return read_report(self.outbox, path)

    def done_version(self, path: str, stored: StoredReport, inbox: Store) -> PhotoVersion | None:
        """The version in the inbox now, if the report is about exactly that. None if not, or if the photo would have to
        be read to find out."""
        metadata, checksums = stored.metadata or {}, done_checksums(stored.content)
        if not inbox.has_etags or SOURCE_ETAG not in metadata or checksums in (None, UNREAD.checksums):
            return None
        etag = inbox.version(path)
        if etag != metadata[SOURCE_ETAG] or _sidecar_etag(inbox, path) != metadata.get(SIDECAR_ETAG):
            return None
        return PhotoVersion(checksums, 0, 0, (etag,))

    def restamp(
        self, path: str, stamp_ns: int, version: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Note in the stamp that the content is the same (see `trusted_stamp`), so that it is not read again.

        Conflict if `version` is given and another one is there by now.
        """
        self.outbox.stamp(report_path(path), stamp_ns, version, {**provenance(path), **(metadata or {})})
