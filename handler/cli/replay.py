"""Puts settled photos back to work: their reports are marked, and stand with their images until the next ones do."""

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
from sources.filters import SIDECAR
from sources.stores.base import Conflict, TooLarge
from sources.stores.location import AnyStore, store_at

Fate = Literal["replay", "waits", "left"]
"""Back to work; back to work when it is in the inbox again; not touched."""

NOT_DONE: Final = frozenset({"rejected", "failed"})


@dataclass(frozen=True, slots=True)
class Selection:
    """Which reports: all that fit everything which is given. `name`: a path, a file's name, or a pattern of either.

    `recipe`: only those made with other options than the photo would have now.
    """

    outcomes: frozenset[str] = NOT_DONE
    name: str | None = None
    reason: str | None = None
    recipe: bool = False

    def names(self, path: str) -> bool:
        own = (path, path.rpartition("/")[2])
        return self.name is None or self.name in own or any(fnmatchcase(each, self.name) for each in own)

    def fits(self, report: Report) -> bool:
        return report.get("outcome") in self.outcomes and self.reason in (None, report.get("reason"))


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one photo of the selection, and why."""

    path: str
    fate: Fate
    why: str


class Replay:
    """Over the folders of these settings. OSError where the outbox is full, read-only or away."""

    def __init__(self, settings: Settings) -> None:
        self._inbox, self._outbox = store_at(settings.inbox), store_at(settings.outbox)
        self._base, self._presets = settings.recipe(), settings.presets
        self.attempts = Attempts(self._outbox)

    def run(self, selection: Selection) -> Iterator[Replayed]:
        """Puts the photos of the selection back, one by one as this is iterated."""
        for path, report, version in reports(self._outbox, selection.names):
            if selection.fits(report) and not (selection.recipe and self.is_made_as_now(path, report)):
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
            if marker:  # only the marker says that a dead service may have left images
                writer.tidy(path)
            self.attempts.done(path)  # what is left of it must not count against the new attempts
            writer.replay(path, report, replaces=version)
        except Conflict:
            return Replayed(path, "left", "a service has just processed it again")
        if store is self._outbox:
            return Replayed(path, "waits", f"copy {place} from the outbox back into the inbox")
        return Replayed(path, "replay", str(report.get("reason") or report["outcome"]))

    def _where(self, path: str, report: Report) -> tuple[AnyStore, str | None]:
        """Where the photo lies, in the inbox or moved; None where it is gone."""
        if self._inbox.exists(path):
            return self._inbox, path
        return self._outbox, moved_to(self._outbox, path, report)

    def is_made_as_now(self, path: str, report: Report) -> bool:
        """Whether it was made with the options that the photo would have now.

        Also where they cannot be told: a portrait is not given up for that.
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
        try:
            return store.read(f"{place}{SIDECAR}", SIDECAR_BYTES).data
        except (FileNotFoundError, NotADirectoryError):
            return None
