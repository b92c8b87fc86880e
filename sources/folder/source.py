"""Photos that appear in a folder: events report them at once, scans find what events missed."""

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sources.events import Event
from sources.filters import has_picture_ending, ignored_folder, ignored_name, photo_of, why_folder_ignored, why_ignored
from sources.folder.changes import ChangeKind, OnChange
from sources.folder.scanner import DoneIn, FolderScanner
from sources.folder.snapshot import FileSnapshot, IsComplete, NotAPhoto, is_complete_file, take_snapshot
from sources.folder.watcher import FolderWatcher
from sources.scanning.backlog import Backlog, BacklogItem
from sources.scanning.source import Count, ScanningSource, count_nothing
from sources.stores.local import file_uri

_log = logging.getLogger(__name__)


class FolderSource(ScanningSource):
    """Yields a photo when it is complete: at once if its name ends as photos' names do and its content with its
    format's end mark, else after `settle_seconds` without change.

    A photo that changes while it is in progress is checked again afterwards. With `once` the root is scanned once, and
    the iteration ends when all its photos are settled.
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
        max_paths: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
        on_count: Count = count_nothing,
        watcher: Callable[[str, OnChange], FolderWatcher] = FolderWatcher,
    ) -> None:
        """Watches and scans `root`.

        Args:
            root: The inbox.
            settle_seconds: How long a file without an end mark must not change.
            rescan_seconds: Pause between two scans.
            done_in: Says which photos have a report.
            is_complete: Recognizes end marks.
            once: Scan once, without watching.
            max_paths: How many paths are remembered at a time (about 0.5 KB each); no limit with `once`.
            clock: Monotonic seconds.
            on_count: Counts events, ignored names and the like.
            watcher: Makes the watcher of the root.
        """
        place = os.fspath(root.absolute())
        self._done_in, self._is_complete = done_in, is_complete
        self._watcher = watcher(place, self._on_change)
        backlog = Backlog(settle_seconds, sys.maxsize if once else max_paths)
        scanner = FolderScanner(place, done_in, self._watcher.watch_folder)
        super().__init__(scanner, backlog, rescan_seconds, clock, on_count, once=once)

    @property
    def mode(self) -> str:
        """`events`, or `polling` where events may be missing, so that scans come more often."""
        return self._watcher.mode

    def ack(self, event: Event) -> None:
        """Release the photo; if it has changed since it was yielded and no report covers that, it is work again."""
        with self._work:
            before = self._backlog.begin_ack(event.path)
        after = self._take_snapshot(event.path) if before else None
        changed = after is not None and after != before and not self._is_done(event.path, after)
        with self._work:
            self._backlog.finish_ack(event.path, self._clock(), changed=changed)
            self._work.notify_all()

    def close(self) -> None:
        """Stop, and join all threads."""
        super().close()
        self._watcher.close()

    def before_scan(self) -> None:
        """Watch the root that exists now; see `ScanningSource`."""
        if not self.once:
            self._watcher.attach()

    def events_reliable(self) -> bool:
        """See `ScanningSource`."""
        return self.mode == "events"

    def _check(self, item: BacklogItem) -> Event | None:
        snapshot = self._take_snapshot(item.path)
        ready = snapshot is not None and self._is_ready(item, snapshot)
        with self._work:
            if snapshot is None:
                self._backlog.drop(item)
            elif ready:
                self._backlog.mark_yielded(item, snapshot)
            else:
                self._backlog.postpone(item, self._clock())
            self._work.notify_all()
        if snapshot is None or not ready:
            return None
        if item.by_rescan:
            self._count("rescan_found", 1)
            self._watcher.missed(item.path)
        return Event(
            file_uri(f"{self._root}/{item.path}"), item.path, snapshot.version, item.attempt, queued_at=item.queued_at
        )

    def _is_ready(self, item: BacklogItem, snapshot: FileSnapshot) -> bool:
        if self._backlog.is_stable(item, snapshot, self._clock()):
            return True
        if not has_picture_ending(item.path):  # perhaps a temporary name: whoever wrote it renames it when it is whole
            return False
        try:
            # The second snapshot: a file that changed while it was read is still being written.
            complete = snapshot.size > 0 and is_complete_file(self._root, item.path, self._is_complete)
            return complete and self._take_snapshot(item.path) == snapshot
        except OSError:  # yielded once it is stable; then the worker meets the same error and reports it
            return False

    def _take_snapshot(self, path: str) -> FileSnapshot | None:
        try:
            return take_snapshot(self._root, path)
        except NotAPhoto:
            self._count("ignored", 1)
        except OSError as error:
            _log.warning(
                "%r cannot be read (%s): check the disk or mount; it is tried again at every rescan.", path, error
            )
        return None

    def _is_done(self, path: str, snapshot: FileSnapshot) -> bool:
        folder, _, name = path.rpartition("/")
        try:
            return self._done_in(folder)(name, snapshot.changed_ns)
        except OSError as error:  # the report is read by name before any work, so a wrong answer costs one check
            _log.warning("The report of %r cannot be found (%s): the photo is checked again.", path, error)
            return False

    # Called from the watcher's thread

    def _on_change(self, kind: ChangeKind, path: str) -> None:
        if kind == "overflow":
            self._count("watch_overflows", 1)
        if kind in ("overflow", "lost"):
            self._rescanner.request()
        elif kind == "folder":
            self._on_folder(path)
        else:
            self._on_file(kind, path)

    def _on_folder(self, path: str) -> None:
        above, _, name = path.rpartition("/")
        if why_folder_ignored(path):
            self._count("ignored", int(ignored_folder(name) is not None and not why_folder_ignored(above)))
            return
        self._rescanner.request(path)

    def _on_file(self, kind: ChangeKind, path: str) -> None:
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
                self._backlog.add_event(photo, self._clock(), unfinished=kind == "unfinished")
            self._work.notify_all()
