"""Photos that appear in a folder: events bring them soon, scans bring what events missed."""

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sources.events import Event
from sources.filters import ignored_folder, ignored_name, photo_of, why_folder_ignored, why_ignored
from sources.folder.changes import ChangeKind, OnChange
from sources.folder.scanner import DoneIn, FolderScanner
from sources.folder.snapshot import FileSnapshot, IsComplete, NotAPhoto, is_complete_file, take_snapshot
from sources.folder.watcher import FolderWatcher
from sources.scanning.backlog import Backlog, BacklogItem
from sources.scanning.source import Count, ScanningSource, count_nothing
from sources.stores.local import file_uri

_log = logging.getLogger(__name__)


class FolderSource(ScanningSource):
    """Yields a photo when it is complete: by its own trailer at once, else after `settle_seconds` without change.

    What changed while it was in someone's hands is then looked at again. With `once` the iteration ends when all is
    settled. Not more than `most` paths are remembered at a time (about 0.5 KB each), but for `once`, which scans but
    once.
    """

    def __init__(  # noqa: PLR0913 - each is a setting or a seam of its own, and all but the root go by name
        self,
        root: Path,
        *,
        settle_seconds: float,
        rescan_seconds: float,
        done_in: DoneIn,
        is_complete: IsComplete,
        once: bool = False,
        most: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
        on_count: Count = count_nothing,
        watcher: Callable[[str, OnChange], FolderWatcher] = FolderWatcher,
    ) -> None:
        place = os.fspath(root.absolute())
        self._done_in, self._is_complete = done_in, is_complete
        self._watcher = watcher(place, self._heard)
        backlog = Backlog(settle_seconds, sys.maxsize if once else most)
        scanner = FolderScanner(place, done_in, self._watcher.watch_folder)
        super().__init__(scanner, None if once else self._watcher, backlog, rescan_seconds, clock, on_count)

    @property
    def mode(self) -> str:
        """`events`, or `polling` where they may not tell of everything, so that the rescan comes more often."""
        return self._watcher.mode

    def ack(self, event: Event) -> None:
        """Let go of the photo; if it has changed since it was yielded and no report covers that, it is work again."""
        with self._work:
            before = self._backlog.settling(event.path)
        after = self._look(event.path) if before else None
        changed = after is not None and after != before and not self._settled(event.path, after)
        with self._work:
            self._backlog.settle(event.path, self._clock(), changed=changed)
            self._work.notify_all()

    def close(self) -> None:
        """Stop, and join all threads."""
        super().close()
        self._watcher.close()

    # What is yielded

    def _judge(self, item: BacklogItem) -> Event | None:
        snapshot = self._look(item.path)
        ready = snapshot is not None and self._ready(item, snapshot)
        with self._work:
            if snapshot is None:
                self._backlog.drop(item)
            elif ready:
                self._backlog.hold(item, snapshot)
            else:
                self._backlog.wait(item, self._clock())
            self._work.notify_all()
        if snapshot is None or not ready:
            return None
        if item.by_rescan:
            self._count("rescan_found", 1)
            self._watcher.missed(item.path)
        return Event(
            file_uri(f"{self._root}/{item.path}"), item.path, snapshot.version, item.attempt, queued_at=item.known
        )

    def _ready(self, item: BacklogItem, snapshot: FileSnapshot) -> bool:
        if self._backlog.ripe(item, snapshot, self._clock()):
            return True
        try:
            # Looked at again: what changed while it was read is still being written.
            complete = snapshot.size > 0 and is_complete_file(self._root, item.path, self._is_complete)
            return complete and self._look(item.path) == snapshot
        except OSError:  # it waits for quiet; then whoever reads it finds the same and reports it
            return False

    def _look(self, path: str) -> FileSnapshot | None:
        try:
            return take_snapshot(self._root, path)
        except NotAPhoto:
            self._count("ignored", 1)
        except OSError as error:
            _log.warning("%r cannot be looked at (%s): check the disk or mount; tried at each rescan.", path, error)
        return None

    def _settled(self, path: str, snapshot: FileSnapshot) -> bool:
        folder, _, name = path.rpartition("/")
        try:
            return self._done_in(folder)(name, snapshot.changed_ns)
        except OSError as error:  # its report is asked for by name before any work, so doubt costs one look
            _log.warning("Whether %r is settled cannot be told (%s): it is looked at again.", path, error)
            return False

    # What is heard

    def _heard(self, kind: ChangeKind, path: str) -> None:
        if kind == "overflow":
            self._count("watch_overflows", 1)
        if kind in ("overflow", "lost"):
            self._rescans.want()
        elif kind == "folder":
            self._heard_folder(path)
        else:
            self._heard_file(kind, path)

    def _heard_folder(self, path: str) -> None:
        above, _, name = path.rpartition("/")
        if why_folder_ignored(path):
            self._count("ignored", int(ignored_folder(name) is not None and not why_folder_ignored(above)))
            return
        self._rescans.want(path)

    def _heard_file(self, kind: ChangeKind, path: str) -> None:
        folder, _, name = path.rpartition("/")
        if kind == "created" and ignored_name(name) and not why_folder_ignored(folder):
            self._count("ignored", 1)
        photo = photo_of(path) or path
        if why_ignored(photo):
            return
        self._count("events", 1)
        with self._work:
            if kind == "gone" and photo == path:
                self._backlog.forget(path)
            else:
                self._backlog.announce(photo, self._clock(), unfinished=kind == "unfinished")
            self._work.notify_all()
