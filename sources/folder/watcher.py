"""Hear what happens in a folder and below it. What is heard is a hint: events get lost, so rescans find the rest."""

import errno
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

from watchdog.utils import UnsupportedLibcError

from sources.folder.mounts import silent_mounts

if TYPE_CHECKING:
    from sources.folder.inotify import InotifyWatcher

Kind = Literal["created", "changed", "unfinished", "gone", "folder", "lost", "overflow"]
"""File: created, changed, unfinished (being written), gone. `folder`: one appeared. `lost`: the root is gone.
`overflow`: events were dropped."""

Report = Callable[[Kind, str], None]
"""(kind, path below the root): called from other threads."""

_LIMITS: Final = (errno.ENOSPC, errno.EMFILE)
_LISTING_TELLS: Final = (errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
_RAISE: Final = (
    "raise the limits on the host, for example: "
    "sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"
)
_log = logging.getLogger(__name__)


class Watch(Protocol):
    """A way to hear of changes below a root."""

    @property
    def mode(self) -> str:
        """`events`, or `polling` where they may not tell of everything: then it is rescanned more often."""

    def attach(self) -> None:
        """Hear the root that stands there now; called before every scan of the whole. OSError if there is none."""

    def hear(self, folder: str) -> None:
        """Hear this folder too; called before it is listed, so that nothing falls between the two."""

    def missed(self, path: str) -> None:
        """A rescan found this, and no event told of it."""

    def close(self) -> None:
        """Hear nothing more; threads are joined."""


class Watcher:
    """Watches through the kernel's own events, and begins anew when the root was replaced or its watch died."""

    def __init__(self, root: str, report: Report) -> None:
        self._root = root
        self._report = report
        self._inotify: InotifyWatcher | None = None
        self._identity = (0, 0)
        self._deaf_to_some = False
        self._troubles: set[str] = set()

    @property
    def mode(self) -> str:
        return "polling" if self._troubles or self._inotify is None else "events"

    def attach(self) -> None:
        seen = Path(self._root).stat()
        identity = (seen.st_dev, seen.st_ino)
        if not self._deaf_to_some:
            self._recovered("folders")
        self._deaf_to_some = False
        if self._inotify is None or not self._inotify.hears() or identity != self._identity:
            self._begin()
            self._identity = identity
        self._check_mounts()

    def hear(self, folder: str) -> None:
        try:
            if self._inotify:
                self._inotify.add(folder)
        except OSError as error:
            if error.errno not in _LISTING_TELLS:
                self._deaf_to_some = True
                self._trouble("folders", f"none from the folder {folder!r}, and perhaps others ({_why(error)})")

    def missed(self, path: str) -> None:
        if self._inotify and not self._inotify.heard:
            self._trouble("silence", f"none told of {path!r}, nor of anything else so far")

    def close(self) -> None:
        inotify, self._inotify = self._inotify, None
        if inotify:
            inotify.close()

    def _begin(self) -> None:
        self.close()
        try:
            self._inotify = _inotify(self._root, self._hears)
        except OSError as error:
            self._trouble("none", f"there are none ({_why(error)})")
        else:
            self._recovered("none")

    def _hears(self, kind: Kind, path: str) -> None:
        self._recovered("silence")
        self._report(kind, path)

    def _check_mounts(self) -> None:
        if kinds := silent_mounts(self._root):
            self._trouble("mount", f"mounts of the kind {', '.join(kinds)} do not tell what other machines change")
        else:
            self._recovered("mount")

    def _trouble(self, name: str, what: str) -> None:
        if name not in self._troubles:
            self._troubles.add(name)
            _log.warning(
                "Events from the inbox %r cannot be relied on: %s. It is scanned more often.", self._root, what
            )

    def _recovered(self, name: str) -> None:
        if name in self._troubles:
            self._troubles.discard(name)
            _log.info("Events of the inbox %r can be heard again.", self._root)


def _why(error: OSError) -> str:
    return f"{error.strerror}; {_RAISE}" if error.errno in _LIMITS else str(error.strerror)


def _inotify(root: str, report: Report) -> "InotifyWatcher":
    try:
        from sources.folder.inotify import InotifyWatcher  # noqa: PLC0415  # it cannot be imported where there is no inotify
    except UnsupportedLibcError as error:
        raise OSError(errno.ENOSYS, "this system has no inotify") from error
    return InotifyWatcher(root, report)
