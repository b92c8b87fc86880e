"""Walks a folder for photos that are not done. A listing is the truth, an event only a hint."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final

from sources.filters import SIDECAR, ignored_folder, ignored_name, misnamed_sidecar
from sources.folder.snapshot import sidecar_changed_ns, sidecars_in, stat_linked_file
from sources.scanning.scanner import Batch, ReportsUnavailable

IsDone = Callable[[str, int], bool]
"""(file name, newest ctime in ns of photo and sidecar) -> whether a report on that state exists."""

DoneIn = Callable[[str], IsDone]
"""(folder below the root, "" for the root) -> the predicate for its files; asked once per folder and scan."""

_BATCH: Final = 1000
_log = logging.getLogger(__name__)


class FolderScanner:
    """Scans below one root; remembers only which folders it has warned of."""

    remedy: Final = "mount it or make it readable"

    def __init__(self, root: str, done_in: DoneIn, before_folder: Callable[[str], None] = lambda _folder: None) -> None:
        """`before_folder` is called with each folder before it is listed."""
        self.root = root
        self._done_in = done_in
        self._before_folder = before_folder
        self._unreadable: set[str] = set()
        self._misnamed: set[str] = set()

    def scan(self, folder: str = "") -> Iterator[Batch]:
        """All work below this folder, "" for the whole root, one folder after the other.

        Raises:
            ReportsUnavailable: The outbox cannot be listed.
            OSError: The root cannot be listed. Folders below it that cannot are skipped with a warning.
        """
        folders = [folder]
        while folders:
            current = folders.pop()
            is_done = self._is_done_in(current)
            try:
                yield from self._scan_one(current, folders, is_done)
                self._unreadable.discard(current)
            except OSError as error:
                if not current:
                    raise
                if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
                    self._warn(current, error)

    def _is_done_in(self, folder: str) -> IsDone:
        try:
            return self._done_in(folder)
        except OSError as error:
            raise ReportsUnavailable(str(error)) from error

    def _scan_one(self, folder: str, folders: list[str], is_done: IsDone) -> Iterator[Batch]:
        """The photos of this folder; its subfolders are appended to `folders`."""
        place = f"{self.root}/{folder}" if folder else self.root
        prefix = f"{folder}/" if folder else ""
        self._before_folder(folder)
        sidecars = sidecars_in(place)
        with os.scandir(place) as entries:
            while names := tuple(islice(entries, _BATCH)):
                batch = Batch()
                for entry in names:
                    if entry.is_dir(follow_symlinks=False) and not ignored_folder(entry.name):
                        folders.append(prefix + entry.name)
                    elif (changed_ns := self._changed_ns(entry, sidecars)) is None:
                        batch.ignored += 1
                    elif not is_done(entry.name, changed_ns):
                        batch.paths.append(prefix + entry.name)
                        self._warn_of_misnamed(folder, entry.name, sidecars)
                yield batch

    def _changed_ns(self, entry: os.DirEntry[str], sidecars: Mapping[str, str]) -> int | None:
        """The newest ctime of photo and sidecar in ns; None if this is no photo. Costs one stat, two with a sidecar."""
        if ignored_name(entry.name):
            return None
        if entry.is_symlink():
            found = stat_linked_file(self.root, entry.path)
        else:
            found = _stat(entry) if entry.is_file(follow_symlinks=False) else None
        if found is None:
            return None
        if entry.name.lower() not in sidecars:
            return found.st_ctime_ns
        return max(found.st_ctime_ns, sidecar_changed_ns(entry.path))

    def _warn_of_misnamed(self, folder: str, photo: str, sidecars: Mapping[str, str]) -> None:
        """Options that are not used would otherwise be noticed only in the portrait."""
        if folder not in self._misnamed and (sidecar := misnamed_sidecar(photo, sidecars)):
            self._misnamed.add(folder)
            _log.warning(
                "The sidecar %r in the folder %r is not used: for the photo %r name it %r. Only the first one in a "
                "folder is logged; `facecraft doctor FILE` tells it of any photo.",
                sidecar, folder, photo, photo + SIDECAR,
            )  # fmt: skip

    def _warn(self, folder: str, error: OSError) -> None:
        if folder not in self._unreadable:
            self._unreadable.add(folder)
            _log.warning(
                "The folder %r cannot be read (%s), so its photos wait: make it readable, for example with chmod o+rx; "
                "it is tried again at every rescan.", folder, error.strerror,
            )  # fmt: skip


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
