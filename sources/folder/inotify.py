"""inotify(7) watches for one directory tree.

Uses the lowest layer of watchdog: its observers hold all later events for half a second after a move out of the root,
and do not report a folder that cannot be watched. Where there is no inotify this module cannot be imported.
"""

import errno
import itertools
import os
import threading
from dataclasses import dataclass
from typing import Final

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchCallback,
    WatchDescriptor,
)

from sources.folder.changes import ChangeKind, OnChange

_KINDS: Final[tuple[tuple[int, ChangeKind], ...]] = (
    (InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVED_TO, "created"),
    (InotifyConstants.IN_CLOSE_WRITE | InotifyConstants.IN_ATTRIB, "changed"),
    (InotifyConstants.IN_MODIFY, "unfinished"),
    (InotifyConstants.IN_DELETE | InotifyConstants.IN_MOVED_FROM, "gone"),
)
# Opening and reading are left out, or our own reads would be reported.
_ROOT: Final = Mask(sum(mask for mask, _ in _KINDS) | InotifyConstants.IN_MOVE_SELF | InotifyConstants.IN_ONLYDIR)
_BELOW: Final = Mask(_ROOT | InotifyConstants.IN_DONT_FOLLOW)


class InotifyWatcher:
    """Watches the root, and each folder below it that is added; a watch does not cover the folders inside."""

    def __init__(self, root: str, on_change: OnChange) -> None:
        """Start the thread and watch the root.

        Raises:
            OSError: The root cannot be watched; EMFILE and ENOSPC where the system's limits are reached.
        """
        self.has_events = False
        self._root = root
        self._on_change = on_change
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self._watched: dict[str, tuple[WatchDescriptor, CallbackId]] = {}
        self._reader = _InotifyReader()
        try:
            self.add("")
        except OSError:
            self._reader.stop()
            raise
        self._reader.start()

    def is_alive(self) -> bool:
        """Whether the thread runs and the root is still watched."""
        return self._reader.is_alive() and "" in self._watched

    def add(self, folder: str) -> None:
        """Watch this folder, "" for the root.

        Raises:
            OSError: The folder cannot be watched; ENOSPC where no watches are left.
        """
        place = os.fsencode(f"{self._root}/{folder}")
        with self._lock:
            # A new id each time: watchdog warns where one is used again, and a folder is added at every scan.
            id_ = CallbackId(next(self._ids))
            descriptor = self._reader.add_callback(
                place, _BELOW if folder else _ROOT, _FolderCallback(self, folder), id_
            )
            self._forget(folder)  # after the new one, so that the watch of the same folder stays
            self._watched[folder] = descriptor, id_

    def close(self) -> None:
        """Stop watching, and join the thread."""
        self._reader.stop()
        self._reader.join()

    def on_event(self, folder: str, event: InotifyEvent) -> None:
        """For the thread: something happened in a watched folder."""
        self.has_events = True
        path = f"{folder}/{os.fsdecode(event.name)}".lstrip("/")
        if event.is_move_self:
            if not folder:  # other folders' moves are reported by the folder above
                with self._lock:
                    self._forget("")
                self._on_change("lost", "")
        elif event.is_directory:
            self._on_folder_event(path, event)
        elif kind := next((kind for mask, kind in _KINDS if event.mask & mask), None):
            self._on_change(kind, path)

    def on_watch_deleted(self, folder: str, descriptor: WatchDescriptor) -> None:
        """For the thread: a watch ended with its folder. `close` ends all of them too, which is not reported."""
        if not self._reader.should_keep_running():
            return
        self.has_events = True
        with self._lock:
            if folder in self._watched and self._watched[folder][0] == descriptor:
                del self._watched[folder]
        if not folder:
            self._on_change("lost", "")

    def on_overflow(self) -> None:
        """For the thread: the kernel dropped events."""
        self.has_events = True
        self._on_change("overflow", "")

    def _on_folder_event(self, path: str, event: InotifyEvent) -> None:
        if event.is_create or event.is_moved_to:
            self._on_change("folder", path)
        elif event.is_moved_from:
            with self._lock:
                for folder in [each for each in self._watched if f"{each}/".startswith(f"{path}/")]:
                    self._forget(folder)

    def _forget(self, folder: str) -> None:
        """A folder that is also watched under another name stays watched: watchdog counts the callbacks of a watch."""
        if watched := self._watched.pop(folder, None):
            self._reader.remove_callbacks([watched])


@dataclass(frozen=True, slots=True)
class _FolderCallback:
    """What watchdog calls for one folder: the kernel's descriptor does not tell the folder's name."""

    watcher: InotifyWatcher
    folder: str

    def on_event(self, event: InotifyEvent) -> None:
        self.watcher.on_event(self.folder, event)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        self.watcher.on_watch_deleted(self.folder, wd)

    def on_queue_overflow(self) -> None:
        if not self.folder:  # watchdog calls every folder
            self.watcher.on_overflow()


class _InotifyReader(InotifyFD):
    """watchdog's reading thread, with the leaks and the silent error of watchdog 7.1 mended."""

    def __init__(self) -> None:
        self._inotify_fd = -1
        try:
            super().__init__()
        except OSError:
            if self._inotify_fd >= 0:  # no descriptors left for its pipe
                os.close(self._inotify_fd)
            raise
        self.name = "folder-events"
        # It starts as True, and then what is closed before the thread first reads stays open for ever.
        self._is_reading = False

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        descriptor = super().add_callback(path, mask, callback, id_)
        if descriptor == -1:  # watchdog ignores EACCES
            self.remove_callbacks([(descriptor, id_)])
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return descriptor
