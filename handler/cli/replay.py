"""Queues processed photos again by marking their reports. Report and images stay until new ones replace them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal

from handler.config.options import SIDECAR_BYTES, resolve
from handler.config.settings import Settings
from handler.outbox.attempts import Attempts
from handler.outbox.metadata import options_in
from handler.outbox.originals import moved_to
from handler.outbox.reports import Report, digest, reports
from handler.outbox.writer import OutboxWriter
from pipeline.errors import PhotoRejected
from sources.stores.base import Conflict, TooLarge
from sources.stores.location import AnyStore, store_at

Fate = Literal["replay", "waits", "left"]
"""Queued again; queued again once it is copied back into the inbox; left unchanged."""

NOT_DONE: Final = frozenset({"rejected", "failed"})


@dataclass(frozen=True, slots=True)
class Selection:
    """Which photos to process again: those that meet all conditions.

    Attributes:
        outcomes: The outcomes in the report.
        name: A path, a file name, or a glob pattern of either; None for any.
        reason: The reason in the report; None for any.
        recipe: Only photos whose options have changed since they were processed.
    """

    outcomes: frozenset[str] = NOT_DONE
    name: str | None = None
    reason: str | None = None
    recipe: bool = False

    def matches_name(self, path: str) -> bool:
        names = (path, path.rpartition("/")[2])
        return self.name is None or self.name in names or any(fnmatchcase(each, self.name) for each in names)

    def matches_report(self, report: Report) -> bool:
        return report.get("outcome") in self.outcomes and self.reason in (None, report.get("reason"))


@dataclass(frozen=True, slots=True)
class Replayed:
    """What happened to one selected photo, and why."""

    path: str
    fate: Fate
    why: str


class Replay:
    """Queues photos of one inbox and outbox again."""

    def __init__(self, settings: Settings) -> None:
        self._inbox, self._outbox = store_at(settings.inbox), store_at(settings.outbox)
        self._base, self._presets = settings.recipe(), settings.presets
        self.attempts = Attempts(self._outbox)

    def run(self, selection: Selection) -> Iterator[Replayed]:
        """Queues the selected photos again, one at each step of the iteration.

        Raises:
            OSError: The outbox is full, read-only or not available.
        """
        for path, report, version in reports(self._outbox, selection.matches_name):
            if selection.matches_report(report) and not (selection.recipe and self.has_current_options(path, report)):
                yield self._put_back(path, report, version)

    def _put_back(self, path: str, report: Report, version: str) -> Replayed:
        store, place = self._where(path, report)
        if place is None:
            return Replayed(path, "left", "it is not in the inbox any more")
        marker, in_work = self.attempts.find(path)
        if in_work:
            return Replayed(path, "left", "a service works on it now")
        writer = OutboxWriter(self._outbox)
        try:
            if marker:  # a service may have died here after it wrote images: only the marker tells
                writer.tidy(path)
            self.attempts.done(path)  # earlier attempts must not count against the new ones
            writer.replay(path, report, replaces=version)
        except Conflict:
            return Replayed(path, "left", "a service has just processed it again")
        if store is self._outbox:
            return Replayed(path, "waits", f"copy {place} from the outbox back into the inbox")
        return Replayed(path, "replay", str(report.get("reason") or report["outcome"]))

    def _where(self, path: str, report: Report) -> tuple[AnyStore, str | None]:
        """The store that holds the photo, the inbox or the outbox (moved), and its path there; None if it is gone."""
        if self._inbox.exists(path):
            return self._inbox, path
        return self._outbox, moved_to(self._outbox, path, report)

    def has_current_options(self, path: str, report: Report) -> bool:
        """Whether the photo was processed with the options that it would get now.

        True also if the report does not name its options, or the current ones cannot be read or are not valid: a good
        portrait is not replaced for that.
        """
        made = digest(report)
        try:
            sidecar, options = self._sidecar(path, report), options_in(self._metadata(path, report))
            return made in (None, resolve(self._base, path, self._presets, sidecar, options).recipe.digest)
        except (PhotoRejected, TooLarge, Conflict, OSError):
            return True

    def _metadata(self, path: str, report: Report) -> Mapping[str, str]:
        store, place = self._where(path, report)
        return store.metadata(place) if place else {}

    def _sidecar(self, path: str, report: Report) -> bytes | None:
        store, place = self._where(path, report)
        if place is None:
            return None
        try:
            return store.read(store.sidecar(place), SIDECAR_BYTES).data
        except (FileNotFoundError, NotADirectoryError):
            return None
