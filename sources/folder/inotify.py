"""The kernel's own events of a folder and those below it (inotify(7)), as they come.

Through the lowest layer of watchdog: in its observers a move out of the root holds all later events up for half a
second, and a folder that cannot be heard is not told of. Where there is no inotify this module cannot be imported.
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

from sources.folder.watcher import Kind, Report

_KINDS: Final[tuple[tuple[int, Kind], ...]] = (
    (InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVED_TO, "created"),
    (InotifyConstants.IN_CLOSE_WRITE | InotifyConstants.IN_ATTRIB, "changed"),
    (InotifyConstants.IN_MODIFY, "unfinished"),
    (InotifyConstants.IN_DELETE | InotifyConstants.IN_MOVED_FROM, "gone"),
)
# Opening and reading are left out: we would hear ourselves.
_ROOT: Final = Mask(sum(mask for mask, _ in _KINDS) | InotifyConstants.IN_MOVE_SELF | InotifyConstants.IN_ONLYDIR)
_BELOW: Final = Mask(_ROOT | InotifyConstants.IN_DONT_FOLLOW)


class InotifyWatcher:
    """Hears the root from the start, and each folder below it that is added; not what lies below that."""

    def __init__(self, root: str, report: Report) -> None:
        """OSError where the root cannot be heard: EMFILE and ENOSPC where a limit of the system is reached."""
        self.heard = False
        self._root = root
        self._report = report
        self._lock = threading.Lock()
        self._ids = itertools.count()
        self._watched: dict[str, tuple[WatchDescriptor, CallbackId]] = {}
        self._queue = _Queue()
        try:
            self.add("")
        except OSError:
            self._queue.stop()
            raise
        self._queue.start()

    def hears(self) -> bool:
        """Whether the thread lives, and the root is not gone from under its watch."""
        return self._queue.is_alive() and "" in self._watched

    def add(self, folder: str) -> None:
        """OSError where the folder cannot be heard: ENOSPC where there are no watches left."""
        place = os.fsencode(f"{self._root}/{folder}")
        with self._lock:
            # A new id each time: watchdog warns where one is used again, and a folder is added at every scan.
            id_ = CallbackId(next(self._ids))
            number = self._queue.add_callback(place, _BELOW if folder else _ROOT, _Folder(self, folder), id_)
            self._forget(folder)  # after the new one, so that the watch of the same folder lives on
            self._watched[folder] = number, id_

    def close(self) -> None:
        """Hear nothing more; the thread is joined."""
        self._queue.stop()
        self._queue.join()

    def happened(self, folder: str, event: InotifyEvent) -> None:
        """For the thread: something in a folder."""
        self.heard = True
        path = f"{folder}/{os.fsdecode(event.name)}".lstrip("/")
        if event.is_move_self:
            self._moved(folder)
        elif event.is_directory:
            self._folder(path, event)
        elif kind := next((kind for mask, kind in _KINDS if event.mask & mask), None):
            self._report(kind, path)

    def ended(self, folder: str, number: WatchDescriptor) -> None:
        """For the thread: a watch ended with its folder. At the end, for whoever closes: all have ended."""
        if not self._queue.should_keep_running():
            return
        self.heard = True
        with self._lock:
            if folder in self._watched and self._watched[folder][0] == number:
                del self._watched[folder]
        if not folder:
            self._report("lost", "")

    def overflowed(self) -> None:
        """For the thread: the kernel dropped events."""
        self.heard = True
        self._report("overflow", "")

    def _moved(self, folder: str) -> None:
        """A folder that moved is told by the one above it, but for the root."""
        if not folder:
            with self._lock:
                self._forget("")
            self._report("lost", "")

    def _folder(self, path: str, event: InotifyEvent) -> None:
        if event.is_create or event.is_moved_to:
            self._report("folder", path)
        elif event.is_moved_from:
            with self._lock:
                for folder in [each for each in self._watched if f"{each}/".startswith(f"{path}/")]:
                    self._forget(folder)

    def _forget(self, folder: str) -> None:
        """A folder that is watched under another name too stays so: watchdog counts the callbacks of a watch."""
        if watched := self._watched.pop(folder, None):
            self._queue.remove_callbacks([watched])


@dataclass(frozen=True, slots=True)
class _Folder:
    """What watchdog calls for one folder: the kernel's number does not tell its name."""

    inotify: InotifyWatcher
    path: str

    def on_event(self, event: InotifyEvent) -> None:
        self.inotify.happened(self.path, event)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        self.inotify.ended(self.path, wd)

    def on_queue_overflow(self) -> None:
        if not self.path:  # each folder is called
            self.inotify.overflowed()


class _Queue(InotifyFD):
    """What watchdog 7.1 leaves open or unsaid is closed and said."""

    def __init__(self) -> None:
        self._inotify_fd = -1
        try:
            super().__init__()
        except OSError:
            if self._inotify_fd >= 0:  # no descriptors left for its pipe
                os.close(self._inotify_fd)
            raise
        self.name = "folder-events"
        # It begins as True, and then what is closed before the thread first reads stays open for ever.
        self._is_reading = False

    def add_callback(self, path: bytes, mask: Mask, callback: WatchCallback, id_: CallbackId) -> WatchDescriptor:
        number = super().add_callback(path, mask, callback, id_)
        if number == -1:  # EACCES is passed over in silence
            self.remove_callbacks([(number, id_)])
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return number
