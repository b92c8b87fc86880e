"""Done or not: what the reports in the outbox say, read off a listing where that is enough."""

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
from sources.filters import SIDECAR
from sources.stores.base import Conflict, Outbox, Store, TooLarge

Report = Mapping[str, Any]

_MAX_BYTES: Final = 64 * 1024 * 1024
"""A report of a thousand faces has less than a tenth of this."""

_RACY_NS: Final = 20_000_000
"""Two changes within one tick of the kernel's clock (10 ms at most) leave the same ctime."""

_COARSE_NS: Final = 2_000_000_000
"""The tick of file systems whose times are whole seconds."""


@dataclass(frozen=True, slots=True)
class StoredReport:
    """What lies where a photo's report belongs: `content` is None where it is no report of ours, `version` where
    nothing lies there. `metadata` as in `Blob`."""

    content: Report | None = None
    version: str | None = None
    metadata: Mapping[str, str] | None = None


NO_REPORT: Final = StoredReport()


def read_report(outbox: Store, path: str) -> StoredReport:
    """The report of the photo `path`. OSError where it is no report and too large to be looked into."""
    return _read(outbox, report_path(path))


def reports(outbox: Store, wanted: Callable[[str], bool] = lambda _path: True) -> Iterator[tuple[str, Report, str]]:
    """All reports on photos whose path is `wanted`: path, report and version. What is no report of ours is left out.

    OSError as with `read_report`.
    """
    for place in sorted(outbox.list("reports")):  # at once: a folder that is written to meanwhile may list a name twice
        plain = reported_path(place)  # mostly the place says it, and what is not wanted need not be opened
        if plain is None or wanted(plain):
            stored = StoredReport()
            with suppress(Conflict):  # a service writes it just now, so its photo is in work
                stored = _read(outbox, place)
            path = reported_path(place, _source(stored.content).get("uri"))
            if path is not None and wanted(path) and stored.content is not None and stored.version is not None:
                yield path, stored.content, stored.version


def last_changed(inbox: Store, path: str) -> int:
    """When the photo or its sidecar last changed (ns since 1970): what its report's stamp is compared with."""
    return max(inbox.changed(path), inbox.changed(f"{path}{SIDECAR}"))


def known_sums(report: Report | None) -> Checksums | None:
    """What need not be worked on again: as `reported_sums`, but None where it is to be replayed."""
    return None if report is None or REPLAY in report else reported_sums(report)


def reported_sums(report: Report | None) -> Checksums | None:
    """The sums of what the report is about; None where there is none or it does not say."""
    source = _source(report)
    if not isinstance(source.get("bytes"), int):
        return None
    return Checksums(source.get("sha256"), source["bytes"], source.get("sidecar_sha256"))


def digest(report: Report) -> str | None:
    """That of the recipe which the report was made with; None where it came to none."""
    recipe = report.get("recipe")
    return recipe.get("digest") if isinstance(recipe, Mapping) else None


def _sidecar_etag(inbox: Store, path: str) -> str | None:
    # read, not asked for: mostly there is none, and that costs one request this way and two the other
    try:
        return inbox.read(f"{path}{SIDECAR}", SIDECAR_BYTES).version
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
    """The mtime of a report about content that was read at `read_at_ns` and had last changed at `changed_ns`.

    As in git's index: what changed just before it was read may change again without a newer ctime. Then the stamp is
    one that equals no ctime, and the sum decides next time.
    """
    tick = _COARSE_NS if changed_ns % 1_000_000 == 0 else _RACY_NS
    return changed_ns if read_at_ns - changed_ns > max(tick, granularity) else unsettled_stamp(changed_ns, granularity)


def unsettled_stamp(changed_ns: int, granularity: int) -> int:
    """One that equals no ctime of that content: whatever its report says, the photo is looked at again."""
    return changed_ns - 2 * granularity


@dataclass(frozen=True, slots=True)
class ReportStore:
    """The reports of one outbox."""

    outbox: Outbox

    @property
    def granularity(self) -> int:
        """Nanoseconds by which two mtimes in the outbox must differ to be told apart."""
        return self.outbox.granularity()

    def settled_in(self, folder: str) -> Callable[[str, int], bool]:
        """For the photos of one folder: (name, newest ctime in ns of photo and sidecar) -> its report is about that.

        Lists the folder's reports once, and opens none. OSError where the outbox is away.
        """
        place, path, granularity = report_folder(folder), report_paths(folder), self.granularity
        stamps = self.outbox.stamps(place)

        def settled(name: str, changed_ns: int) -> bool:
            reports, _, report = path(name).rpartition("/")
            # the report of a photo with a very long path lies elsewhere: opened by name, it is seldom enough
            stamp = (stamps if reports == place else self.outbox.stamps(reports)).get(report)
            return stamp is not None and abs(stamp - changed_ns) < granularity

        return settled

    def is_settled(self, path: str, changed_ns: int) -> bool:
        """As `settled_in`, of one photo, however many lie beside it."""
        stamp = self.outbox.stamped(report_path(path))
        return stamp is not None and abs(stamp - changed_ns) < self.granularity

    def read(self, path: str) -> StoredReport:
        """See `read_report`."""
        return read_report(self.outbox, path)

    def done_version(self, path: str, stored: StoredReport, inbox: Store) -> PhotoVersion | None:
        """The version in the inbox now, if the report is about exactly that; None if not, or if only reading the photo
        could tell."""
        metadata, checksums = stored.metadata or {}, known_sums(stored.content)
        if not inbox.has_etags or SOURCE_ETAG not in metadata or checksums in (None, UNREAD.checksums):
            return None
        etag = inbox.version(path)
        if etag != metadata[SOURCE_ETAG] or _sidecar_etag(inbox, path) != metadata.get(SIDECAR_ETAG):
            return None
        return PhotoVersion(checksums, 0, 0, (etag,))

    def restamp(
        self, path: str, stamp_ns: int, version: str | None = None, about: Mapping[str, str] | None = None
    ) -> None:
        """The content is the same: say so in the stamp (see `trusted_stamp`), so that its sum is paid only once.

        With the version that was compared, Conflict where another stands by now.
        """
        self.outbox.stamp(report_path(path), stamp_ns, version, {**provenance(path), **(about or {})})
