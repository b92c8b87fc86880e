"""Hear what happens in a folder and below it. What is heard is a hint: events get lost, so rescans find the rest."""

import errno
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, Protocol

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

Kind = Literal["created", "changed", "unfinished", "gone", "folder", "lost", "overflow"]
"""File: created, changed, unfinished (being written), gone. `folder`: one appeared. `lost`: the root is gone.
`overflow`: events were dropped."""

Report = Callable[[Kind, str], None]
"""(kind, path below the root): called from other threads."""

_KINDS: Final[dict[type[FileSystemEvent], Kind]] = {
    FileCreatedEvent: "created",
    FileClosedEvent: "changed",
    FileAttribEvent: "changed",
    FileModifiedEvent: "unfinished",
    FileDeletedEvent: "gone",
    DirCreatedEvent: "folder",
}
# Opening and reading are left out: we would hear ourselves.
_HEARD: Final = [*_KINDS, FileMovedEvent, DirMovedEvent, DirDeletedEvent]
_OVERFLOW_LOGGER: Final = "watchdog.observers.inotify_c"
_LIMITS: Final = (errno.ENOSPC, errno.EMFILE)
_RAISE: Final = (
    " Raise the limits on the host, for example: "
    "sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"
)
_log = logging.getLogger(__name__)


class Watch(Protocol):
    """A way to hear of changes below a root."""

    mode: str
    """`events`, or `polling` where there are none and the rescan finds everything."""

    def attach(self) -> None:
        """Hear the root that stands there now; called before every rescan. OSError if there is none."""

    def close(self) -> None:
        """Hear nothing more; threads are joined."""


class Watcher:
    """Watches through the system's own events, and begins anew when the root was replaced or its watch died."""

    def __init__(self, root: str, report: Report) -> None:
        self.mode = "polling"
        self._root = root
        self._report = report
        self._observer: BaseObserver | None = None
        self._identity = (0, 0)
        self._complained = False
        self._hook = _OverflowHook(report)

    def attach(self) -> None:
        seen = Path(self._root).stat()
        identity = (seen.st_dev, seen.st_ino)
        if self._hears() and identity == self._identity:
            return
        self._detach()
        self._identity = identity
        try:
            self._observe()
        except OSError as error:
            self._detach()
            self._complain(error)
        else:
            self.mode, self._complained = "events", False

    def close(self) -> None:
        self._detach()
        logging.getLogger(_OVERFLOW_LOGGER).removeHandler(self._hook)

    def _hears(self) -> bool:
        """The observer outlives both its emitter, which ends without a word with the root, and its reader's error."""
        if self._observer is None:
            return False
        reader = getattr(self._observer, "_inotify_fd", self._observer)  # no public name; elsewhere there is none
        return reader.is_alive() and all(emitter.is_alive() for emitter in self._observer.emitters)

    def _observe(self) -> None:
        logging.getLogger(_OVERFLOW_LOGGER).addHandler(self._hook)
        # A folder made inside a new folder is watched twice, which is harmless, but as an error would end the reader.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        observer = self._observer = Observer()
        observer.schedule(_Handler(self._root, self._report), self._root, recursive=True, event_filter=_HEARD)
        observer.start()

    def _detach(self) -> None:
        self.mode, observer, self._observer = "polling", self._observer, None
        if observer is not None:
            observer.stop()
            if observer.is_alive():
                observer.join()

    def _complain(self, error: OSError) -> None:
        if self._complained:
            return
        self._complained = True
        _log.warning(
            "No events from the folder %r (%s): its photos are found by the rescan alone. Each rescan tries again.%s",
            self._root, error.strerror, _RAISE if error.errno in _LIMITS else "",
        )  # fmt: skip


class _Handler(FileSystemEventHandler):
    def __init__(self, root: str, report: Report) -> None:
        self._root = root
        self._report = report

    def dispatch(self, event: FileSystemEvent) -> None:
        kind = _KINDS.get(type(event))
        if kind:
            self._report(kind, self._below(event.src_path))
        elif isinstance(event, FileMovedEvent):
            self._report("gone", self._below(event.src_path))
            self._report("created", self._below(event.dest_path))
        elif isinstance(event, DirMovedEvent):
            self._report("folder", self._below(event.dest_path))
        elif isinstance(event, DirDeletedEvent) and not self._below(event.src_path):
            self._report("lost", "")

    def _below(self, path: bytes | str) -> str:
        return os.fsdecode(path)[len(self._root) :].lstrip("/")


class _OverflowHook(logging.Handler):
    """watchdog tells of dropped events in its log only."""

    def __init__(self, report: Report) -> None:
        super().__init__(logging.WARNING)
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._report("overflow", "")
