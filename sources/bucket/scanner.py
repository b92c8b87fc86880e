"""Which photos of a bucket are work: its listing beside that of the reports, compared by digests of their keys.

The orders of the two listings do not matter: servers differ in theirs. A million reports take 16 MB while a scan runs.
"""

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

from sources.filters import photo_of, why_ignored
from sources.scanning.batch import Batch, ReportsAway
from sources.stores.base import ListedObject

_PAGE: Final = 1000
_QUESTIONS: Final = 8
"""Reports that are asked for at a time."""


class Reports(Protocol):
    """What the outbox says. Everything may raise OSError: it is away."""

    def stamps(self) -> Iterator[tuple[str, int]]:
        """Where each report lies and its date in ns, in any order."""

    def place(self, path: str) -> str:
        """Where the report of this photo lies, or would."""

    def covers(self, entry: ListedObject, stamp_ns: int, *, sidecar: bool) -> bool:
        """Whether the listings alone say that a report of that date is about this photo or sidecar. `sidecar`: whether
        they show one of this photo."""

    def about(self, photo: str, entry: ListedObject, stamp_ns: int) -> bool:
        """Asked by name: whether the report of this photo is about this entry, which is it or its sidecar, or whether
        there is nothing to be reported, because the photo of a sidecar is gone."""


class _Doubt(NamedTuple):
    """The listings do not say whether the report of that date is about this entry. `digest` is of all this."""

    photo: str
    entry: ListedObject
    stamp_ns: int
    digest: int


class BucketScanner:
    """Scans one prefix of a bucket. Of what dates leave open, each version is asked for once and then remembered."""

    remedy: Final = "check its name, the endpoint, and that the credentials may s3:ListBucket there"

    def __init__(
        self,
        root: str,
        entries: Callable[[], Iterator[ListedObject]],
        reports: Reports,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`root` is for messages; `wanted` is asked before and while it scans, which ends where it says no."""
        self.root = root
        self._entries, self._reports, self._wanted = entries, reports, wanted
        self._key = secrets.token_bytes(16)  # nobody outside can make two keys with one digest
        self._remembered = np.empty(0, np.uint64)

    def unsettled(self, top: str = "") -> Iterator[Batch]:  # noqa: ARG002 - a bucket has no folders to begin with
        """All work, in parts, each from a random place on: services that scan at the same time take different photos.

        First an empty part, when the inbox has answered. OSError if it cannot be listed, ReportsAway if what is settled
        cannot be told.
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
                yield self._batch(page, stamps, about)
            self._remembered = np.empty(0, np.uint64)  # what was not seen again is gone
        finally:
            fresh = np.frombuffer(about, np.uint64)
            self._remembered = np.union1d(self._remembered, fresh)

    def _stamps(self) -> "ReportDates":
        try:
            return ReportDates((self._digest(place), stamp_ns) for place, stamp_ns in self._reports.stamps())
        except OSError as error:
            raise ReportsAway(str(error)) from error

    def _batch(self, page: Sequence[ListedObject], stamps: "ReportDates", about: "array[int]") -> Batch:
        batch, doubts = Batch(), []
        ours = list(self._ours(page, batch))
        # one that the server lists elsewhere is looked for by name
        sidecars = {photo for photo, entry in ours if photo != entry.path}
        reports = [self._digest(self._reports.place(photo)) for photo, _ in ours]
        for (photo, entry), report, stamp_ns in zip(ours, reports, stamps.of(reports), strict=True):
            if stamp_ns is None:
                if photo == entry.path:  # a sidecar without report and photo is nothing yet
                    batch.versions[photo] = entry.etag
            elif not self._reports.covers(entry, stamp_ns, sidecar=photo in sidecars):
                digest = self._digest(f"{report} {stamp_ns} {entry.etag} {photo in sidecars}")
                doubts.append(_Doubt(photo, entry, stamp_ns, digest))
        self._ask(doubts, batch, about)
        start = secrets.randbelow(len(batch.versions) or 1)
        paths = list(batch.versions)
        batch.paths = paths[start:] + paths[:start]
        return batch

    def _ours(self, page: Sequence[ListedObject], batch: Batch) -> Iterator[tuple[str, ListedObject]]:
        """Photos and sidecars, each with the photo that it is or belongs to."""
        for entry in page:
            if not entry.path or entry.path.endswith("/"):  # what consoles make where a folder is asked for
                continue
            photo = photo_of(entry.path) or entry.path
            if why_ignored(photo):
                batch.ignored += 1
            else:
                yield photo, entry

    def _ask(self, doubts: Sequence[_Doubt], batch: Batch, about: "array[int]") -> None:
        """By name, where no earlier scan did so for this very version and report."""
        known = _among(self._remembered, [doubt.digest for doubt in doubts])
        answers = iter(self._answers([doubt for doubt, is_known in zip(doubts, known, strict=True) if not is_known]))
        for doubt, is_known in zip(doubts, known, strict=True):
            if is_known or next(answers):
                about.append(doubt.digest)
            else:
                batch.versions[doubt.photo] = doubt.entry.etag if doubt.photo == doubt.entry.path else ""

    def _answers(self, doubts: Sequence[_Doubt]) -> list[bool]:
        if not doubts:
            return []
        with ThreadPoolExecutor(_QUESTIONS, "reconcile") as threads:
            try:
                return list(
                    threads.map(lambda doubt: self._reports.about(doubt.photo, doubt.entry, doubt.stamp_ns), doubts)
                )
            except OSError as error:
                raise ReportsAway(str(error)) from error

    def _digest(self, text: str) -> int:
        return int.from_bytes(blake2b(fsencode(text), digest_size=8, key=self._key).digest(), "big")


class ReportDates:
    """Dates of reports by digests of their places: two numbers of 8 bytes each."""

    def __init__(self, reports: Iterable[tuple[int, int]]) -> None:
        digests, stamps = array("Q"), array("q")
        for digest, stamp_ns in reports:
            digests.append(digest)
            stamps.append(stamp_ns)
        order = np.argsort(np.frombuffer(digests, np.uint64))
        self._digests: NDArray[np.uint64] = np.frombuffer(digests, np.uint64)[order]
        del digests  # the most that a scan needs is needed here
        self._stamps: NDArray[np.int64] = np.frombuffer(stamps, np.int64)[order]

    def of(self, digests: Sequence[int]) -> list[int | None]:
        """The date for each digest, None where no report stands."""
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
