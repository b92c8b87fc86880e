"""Finds the photos of a bucket that are not done: compares its listing with that of the reports, by digests of keys.

The order of the two listings does not matter: servers differ in theirs. A million reports take 16 MB during a scan.
"""

import logging
import secrets
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from itertools import islice
from os import fsencode
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sources.filters import SIDECAR, bucket_sidecars, misnamed_sidecar, photo_of, sidecars_by_photo, why_ignored
from sources.scanning.scanner import Batch, ReportsUnavailable
from sources.stores.base import ListedObject

_log = logging.getLogger(__name__)
_PAGE: Final = 1000
_PARALLEL_READS: Final = 8
"""Reports that are read at a time."""


class Reports(Protocol):
    """The reports in the outbox. Every method may raise OSError if the outbox cannot be read."""

    def stamps(self) -> Iterator[tuple[str, int]]:
        """The path of each report and its date in ns, in any order."""

    def place(self, path: str) -> str:
        """The path of this photo's report, whether or not it exists."""

    def covers(self, entry: ListedObject, stamp_ns: int, *, sidecar: bool) -> bool:
        """Whether the listings alone show that a report of that date is about this photo or sidecar. `sidecar`: whether
        they show a sidecar of this photo."""

    def about(self, photo: str, entry: ListedObject, stamp_ns: int) -> bool:
        """Read by name: whether the photo's report is about this entry (the photo or its sidecar), or there is nothing
        to report because the photo of a sidecar is gone."""


class _Doubt(NamedTuple):
    """The listings do not show whether the report of that date is about this entry. `digest` is of all these."""

    photo: str
    entry: ListedObject
    stamp_ns: int
    digest: int


class BucketScanner:
    """Scans one prefix of a bucket. Where dates leave a doubt, it reads the report once per version and remembers the
    result."""

    remedy: Final = "check its name, the endpoint, and that the credentials may s3:ListBucket there"

    def __init__(
        self,
        root: str,
        entries: Callable[[], Iterator[ListedObject]],
        reports: Reports,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`root` is for messages; `wanted` is called before and during a scan, and ends it by returning False."""
        self.root = root
        self._entries, self._reports, self._wanted = entries, reports, wanted
        self._key = secrets.token_bytes(16)  # nobody outside can make two keys with one digest
        self._remembered = np.empty(0, np.uint64)
        self._has_warned = False

    def scan(self, folder: str = "") -> Iterator[Batch]:  # noqa: ARG002 - new folders of a bucket are never reported
        """All work, first an empty batch once the inbox has answered.

        Each batch begins at a random path, so that services that scan at the same time take different photos.

        Raises:
            ReportsUnavailable: The outbox cannot be listed.
            OSError: The inbox cannot be listed.
        """
        next(self._entries(), None)
        yield Batch()
        if not self._wanted():
            return
        stamps, about = self._stamps(), array("Q")
        try:
            for page in _pages(self._entries()):
                if not self._wanted():
                    return
                yield self._compare(page, stamps, about)
            self._remembered = np.empty(0, np.uint64)  # forgets what this scan did not meet again
        finally:
            fresh = np.frombuffer(about, np.uint64)
            self._remembered = np.union1d(self._remembered, fresh)

    def _stamps(self) -> "ReportDates":
        try:
            return ReportDates((self._digest(place), stamp_ns) for place, stamp_ns in self._reports.stamps())
        except OSError as error:
            raise ReportsUnavailable(str(error)) from error

    def _compare(self, page: Sequence[ListedObject], stamps: "ReportDates", about: "array[int]") -> Batch:
        batch, doubts = Batch(), []
        ours = list(self._ours(page, batch))
        # only those on the same page; the report of any other is read by name
        sidecars = {photo for photo, entry in ours if photo != entry.path}
        named = sidecars_by_photo(entry.path for _, entry in ours)
        reports = [self._digest(self._reports.place(photo)) for photo, _ in ours]
        for (photo, entry), report, stamp_ns in zip(ours, reports, stamps.of(reports), strict=True):
            if stamp_ns is None:
                if photo == entry.path:  # a sidecar alone is no work
                    batch.versions[photo] = entry.etag
                    if misnamed := misnamed_sidecar(photo, named):
                        self._warn_of_misnamed(misnamed, photo)
            elif not self._reports.covers(entry, stamp_ns, sidecar=photo in sidecars):
                digest = self._digest(f"{report} {stamp_ns} {entry.etag} {photo in sidecars}")
                doubts.append(_Doubt(photo, entry, stamp_ns, digest))
        self._resolve(doubts, batch, about)
        start = secrets.randbelow(len(batch.versions) or 1)
        paths = list(batch.versions)
        batch.paths = paths[start:] + paths[:start]
        return batch

    def _ours(self, page: Sequence[ListedObject], batch: Batch) -> Iterator[tuple[str, ListedObject]]:
        """Photos and sidecars, each with the path of its photo."""
        for entry in page:
            if not entry.path or entry.path.endswith("/"):  # consoles create these as folders
                continue
            photo = photo_of(entry.path) or entry.path
            if why_ignored(photo):
                batch.ignored += 1
            elif entry.path == photo or entry.path in bucket_sidecars(photo):
                yield photo, entry
            else:
                self._warn_of_misnamed(entry.path, photo)

    def _warn_of_misnamed(self, sidecar: str, photo: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "The sidecar %r is not used: for the photo %r name it %r. Only the first one of a bucket is logged.",
                sidecar, photo, photo + SIDECAR,
            )  # fmt: skip

    def _resolve(self, doubts: Sequence[_Doubt], batch: Batch, about: "array[int]") -> None:
        """Read the reports in doubt, except those that an earlier scan read for the same version and report."""
        known = _among(self._remembered, [doubt.digest for doubt in doubts])
        answers = iter(self._are_about([doubt for doubt, is_known in zip(doubts, known, strict=True) if not is_known]))
        for doubt, is_known in zip(doubts, known, strict=True):
            if is_known or next(answers):
                about.append(doubt.digest)
            else:
                batch.versions[doubt.photo] = doubt.entry.etag if doubt.photo == doubt.entry.path else ""

    def _are_about(self, doubts: Sequence[_Doubt]) -> list[bool]:
        if not doubts:
            return []
        with ThreadPoolExecutor(_PARALLEL_READS, "bucket-scan") as threads:
            try:
                return list(
                    threads.map(lambda doubt: self._reports.about(doubt.photo, doubt.entry, doubt.stamp_ns), doubts)
                )
            except OSError as error:
                raise ReportsUnavailable(str(error)) from error

    def _digest(self, text: str) -> int:
        return int.from_bytes(blake2b(fsencode(text), digest_size=8, key=self._key).digest(), "big")


class ReportDates:
    """Dates of reports by digests of their paths: two numbers of 8 bytes per report."""

    def __init__(self, reports: Iterable[tuple[int, int]]) -> None:
        digests, stamps = array("Q"), array("q")
        for digest, stamp_ns in reports:
            digests.append(digest)
            stamps.append(stamp_ns)
        order = np.argsort(np.frombuffer(digests, np.uint64))
        self._digests: NDArray[np.uint64] = np.frombuffer(digests, np.uint64)[order]
        del digests  # memory use peaks here
        self._stamps: NDArray[np.int64] = np.frombuffer(stamps, np.int64)[order]

    def of(self, digests: Sequence[int]) -> list[int | None]:
        """The date for each digest, None where no report exists."""
        places = np.searchsorted(self._digests, np.array(digests, np.uint64))
        found = _among(self._digests, digests)
        return [int(self._stamps[place]) if there else None for place, there in zip(places, found, strict=True)]


def _among(sorted_digests: NDArray[np.uint64], digests: Sequence[int]) -> list[bool]:
    if not len(sorted_digests):
        return [False] * len(digests)
    wanted = np.array(digests, np.uint64)
    places = np.minimum(np.searchsorted(sorted_digests, wanted), len(sorted_digests) - 1)
    return [bool(equal) for equal in sorted_digests[places] == wanted]


def _pages(entries: Iterator[ListedObject]) -> Iterator[list[ListedObject]]:
    while page := list(islice(entries, _PAGE)):
        yield page
