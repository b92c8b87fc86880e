"""Walk a folder for photos that are not settled: a listing is the truth, an event only a hint."""

import logging
import os
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from sources.filters import SIDECAR, ignored_folder, ignored_name
from sources.folder.snapshot import sidecar_changed_ns, stat_linked_file
from sources.scanning.batch import Batch, ReportsAway

Settled = Callable[[str, int], bool]
"""(file name, newest ctime in ns of photo and sidecar) -> whether a report with that stamp stands."""

DoneIn = Callable[[str], Settled]
"""(folder below the root, "" for the root) -> the predicate for its files; asked once per folder and scan."""

_BATCH = 1000
_log = logging.getLogger(__name__)


def _nothing(_folder: str) -> None:
    pass


class FolderScanner:
    """Scans below one root; remembers only which folders it has complained about."""

    remedy: Final = "mount it or make it readable"

    def __init__(self, root: str, done_in: DoneIn, before: Callable[[str], None] = _nothing) -> None:
        """`before` is called with each folder before it is listed."""
        self.root = root
        self._done_in = done_in
        self._before = before
        self._unreadable: set[str] = set()

    def unsettled(self, top: str = "") -> Iterator[Batch]:
        """All work below the folder `top`, folder by folder, in parts.

        OSError if the root itself cannot be listed, ReportsAway if what is settled cannot be told.
        """
        folders = [top]
        while folders:
            folder = folders.pop()
            settled = self._settled(folder)
            try:
                yield from self._folder(folder, folders, settled)
                self._unreadable.discard(folder)
            except OSError as error:
                if not folder:
                    raise
                if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                    self._complain(folder, error)

    def _settled(self, folder: str) -> Settled:
        try:
            return self._done_in(folder)
        except OSError as error:
            raise ReportsAway(str(error)) from error

    def _folder(self, folder: str, folders: list[str], settled: Settled) -> Iterator[Batch]:
        place = f"{self.root}/{folder}" if folder else self.root
        prefix = f"{folder}/" if folder else ""
        self._before(folder)
        sidecars = _sidecars(place)
        with os.scandir(place) as entries:
            while names := tuple(islice(entries, _BATCH)):
                batch = Batch()
                for entry in names:
                    if entry.is_dir(follow_symlinks=False) and not ignored_folder(entry.name):
                        folders.append(prefix + entry.name)
                    elif (changed_ns := self._changed_ns(entry, sidecars)) is None:
                        batch.ignored += 1
                    elif not settled(entry.name, changed_ns):
                        batch.paths.append(prefix + entry.name)
                yield batch

    def _changed_ns(self, entry: os.DirEntry[str], sidecars: set[str]) -> int | None:
        """The newest ctime of photo and sidecar, or None if this is no photo. One stat, unless there is a sidecar."""
        if ignored_name(entry.name):
            return None
        if entry.is_symlink():
            seen = stat_linked_file(self.root, entry.path)
        else:
            seen = _stat(entry) if entry.is_file(follow_symlinks=False) else None
        if seen is None or entry.name + SIDECAR not in sidecars:
            return seen and seen.st_ctime_ns
        return max(seen.st_ctime_ns, sidecar_changed_ns(entry.path))

    def _complain(self, folder: str, error: OSError) -> None:
        if folder not in self._unreadable:
            self._unreadable.add(folder)
            _log.warning(
                "The folder %r cannot be read (%s), so its photos wait: make it readable, for example with chmod o+rx; "
                "it is tried again at every rescan.", folder, error.strerror,
            )  # fmt: skip


def _sidecars(place: str) -> set[str]:
    with os.scandir(place) as entries:
        return {entry.name for entry in entries if entry.name.endswith(SIDECAR)}


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
