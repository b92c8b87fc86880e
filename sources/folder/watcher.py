"""Watches a folder tree for changes. Events are hints: some get lost, and rescans find what they missed."""

import errno
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchdog.utils import UnsupportedLibcError

from sources.folder.changes import ChangeKind, OnChange
from sources.folder.mounts import unwatchable_mounts

if TYPE_CHECKING:
    from sources.folder.inotify import InotifyWatcher

_LIMITS: Final = (errno.ENOSPC, errno.EMFILE)
_SEEN_BY_SCANS: Final = (errno.EACCES, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""Whoever lists the folder meets these errors too, and reports them."""
_RAISE_LIMITS: Final = (
    "raise the limits on the host, for example: "
    "sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"
)
_log = logging.getLogger(__name__)


class FolderWatcher:
    """Watches a root with inotify, and starts again when the root was replaced or its watch died."""

    def __init__(self, root: str, on_change: OnChange) -> None:
        self._root = root
        self._on_change = on_change
        self._inotify: InotifyWatcher | None = None
        self._identity = (0, 0)
        self._some_unwatched = False
        self._problems: set[str] = set()

    @property
    def mode(self) -> str:
        """`events`, or `polling` where events may be missing: the root is then rescanned more often."""
        return "polling" if self._problems or self._inotify is None else "events"

    def attach(self) -> None:
        """Watch the root that exists now. Called before every scan of the whole root.

        Raises:
            OSError: There is no root.
        """
        found = Path(self._root).stat()
        identity = (found.st_dev, found.st_ino)
        if not self._some_unwatched:
            self._solved("folders")
        self._some_unwatched = False
        if self._inotify is None or not self._inotify.is_alive() or identity != self._identity:
            self._start()
            self._identity = identity
        if kinds := unwatchable_mounts(self._root):
            self._problem("mount", f"mounts of type {', '.join(kinds)} do not report what other machines change")
        else:
            self._solved("mount")

    def watch_folder(self, folder: str) -> None:
        """Watch this folder below the root too. Called before it is listed, so that nothing falls between the two."""
        try:
            if self._inotify:
                self._inotify.add(folder)
        except OSError as error:
            if error.errno not in _SEEN_BY_SCANS:
                self._some_unwatched = True
                self._problem(
                    "folders", f"there are none for the folder {folder!r}, and perhaps others ({_why(error)})"
                )

    def missed(self, path: str) -> None:
        """A rescan found this path, and no event reported it."""
        if self._inotify and not self._inotify.has_events:
            self._problem("silence", f"there was none for {path!r}, nor for anything else so far")

    def close(self) -> None:
        """Stop watching, and join the thread."""
        inotify, self._inotify = self._inotify, None
        if inotify:
            inotify.close()

    def _start(self) -> None:
        self.close()
        try:
            self._inotify = _inotify_watcher(self._root, self._changed)
        except OSError as error:
            self._problem("none", f"there are none ({_why(error)})")
        else:
            self._solved("none")

    def _changed(self, kind: ChangeKind, path: str) -> None:
        self._solved("silence")
        self._on_change(kind, path)

    def _problem(self, name: str, text: str) -> None:
        if name not in self._problems:
            self._problems.add(name)
            _log.warning("Events of the inbox %r are not reliable: %s. It is scanned more often.", self._root, text)

    def _solved(self, name: str) -> None:
        if name in self._problems:
            self._problems.discard(name)
            _log.info("Events of the inbox %r arrive again.", self._root)


def _why(error: OSError) -> str:
    return f"{error.strerror}; {_RAISE_LIMITS}" if error.errno in _LIMITS else str(error.strerror)


def _inotify_watcher(root: str, on_change: OnChange) -> "InotifyWatcher":
    try:
        from sources.folder.inotify import InotifyWatcher  # noqa: PLC0415 - cannot be imported where there is no inotify
    except UnsupportedLibcError as error:
        raise OSError(errno.ENOSYS, "this system has no inotify") from error
    return InotifyWatcher(root, on_change)
