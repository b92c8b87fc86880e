"""Done or not: what the reports in the outbox say, read off a listing where that is enough."""

import errno
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from handler.naming import report_folder, report_path
from sources.base import Store, TooLarge
from sources.files import FileStore

Report = Mapping[str, Any]

_MAX_BYTES: Final = 64 * 1024 * 1024
"""A report of a thousand faces has less than a tenth of this."""

_RACY_NS: Final = 20_000_000
"""Two changes within one tick of the kernel's clock (10 ms at most) leave the same ctime."""

_COARSE_NS: Final = 2_000_000_000
"""The tick of file systems whose times are whole seconds."""


def read_report(outbox: Store, path: str) -> tuple[Report | None, str | None]:
    """The report of the photo `path` and its version to replace; (None, version) where what stands is no report.

    OSError where it is no report and too large to be looked into.
    """
    place = report_path(path)
    try:
        blob = outbox.read(place, _MAX_BYTES)
    except FileNotFoundError:
        return None, None
    except TooLarge as error:
        raise OSError(errno.EFBIG, f"has {error} and is no report of ours: move it away", place) from error
    try:
        report = json.loads(blob.data)
    except (ValueError, RecursionError):
        return None, blob.version
    return (report if isinstance(report, dict) else None), blob.version


def trusted_stamp(changed_ns: int, read_at_ns: int, granularity: int) -> int:
    """The mtime of a report about content that was read at `read_at_ns` and had last changed at `changed_ns`.

    As in git's index: what changed just before it was read may change again without a newer ctime. Then the stamp is
    one that equals no ctime, and the sum decides next time.
    """
    tick = _COARSE_NS if changed_ns % 1_000_000 == 0 else _RACY_NS
    if read_at_ns - changed_ns > max(tick, granularity):
        return changed_ns
    return changed_ns - 2 * granularity


@dataclass(frozen=True, slots=True)
class Ledger:
    """The reports of one outbox of files."""

    outbox: FileStore

    @property
    def granularity(self) -> int:
        """Nanoseconds by which two mtimes in the outbox must differ to be told apart."""
        return self.outbox.granularity()

    def settled_in(self, folder: str) -> Callable[[str, int], bool]:
        """For the photos of one folder: (name, newest ctime in ns of photo and sidecar) -> its report is about that.

        Lists the folder's reports once, and opens none. OSError where the outbox is away.
        """
        place, granularity = report_folder(folder), self.granularity
        stamps = self.outbox.stamps(place)

        def settled(name: str, changed_ns: int) -> bool:
            reports, _, report = report_path(f"{folder}/{name}" if folder else name).rpartition("/")
            # the report of a photo with a very long path lies elsewhere: opened by name, it is seldom enough
            stamp = (stamps if reports == place else self.outbox.stamps(reports)).get(report)
            return stamp is not None and abs(stamp - changed_ns) < granularity

        return settled

    def previous(self, path: str) -> tuple[Report | None, str | None]:
        """See `read_report`."""
        return read_report(self.outbox, path)

    def restamp(self, path: str, stamp_ns: int, version: str | None = None) -> None:
        """The content is the same: say so in the stamp (see `trusted_stamp`), so that its sum is paid only once.

        With the version that was compared, Conflict where another stands by now.
        """
        self.outbox.stamp(report_path(path), stamp_ns, version)
