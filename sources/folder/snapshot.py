"""The state of one file of a folder, and whether the file is complete."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sources.filters import SIDECAR_ENDINGS, sidecars_by_photo

Read = Callable[[int, int], bytes]
"""`read(offset, length)` of an open file: fewer bytes only at its end."""

IsComplete = Callable[[int, Read], bool]
"""(size in bytes, read) -> whether the file ends as its format says that a whole file ends."""

_GONE = (FileNotFoundError, NotADirectoryError)
_KINDS: Final = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


class NotAPhoto(Exception):
    """The path has a photo's name but is what the message says: a folder, pipe, socket or device, or a link to one or
    out of the root."""


@dataclass(frozen=True, slots=True)
class FileSnapshot:
    """A file's state at one moment. Two equal snapshots mean that nothing changed in between.

    `changed_ns` is the newest ctime of photo and sidecar.
    """

    mtime_ns: int
    size: int
    inode: int
    changed_ns: int

    @property
    def version(self) -> str:
        """The mtime in ns and the size in bytes."""
        return f"{self.mtime_ns}-{self.size}"


def take_snapshot(root: str, path: str) -> FileSnapshot | None:
    """The state of the file `path` below `root`, None if there is none.

    Raises:
        NotAPhoto: Something else has its name.
        OSError: The disk does not answer.
    """
    full = f"{root}/{path}"
    try:
        found = Path(full).lstat()
        if stat.S_ISLNK(found.st_mode):
            found = _stat_link_target(root, full)
    except _GONE:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise NotAPhoto(_KINDS.get(stat.S_IFMT(found.st_mode), "a device"))
    changed_ns = max(found.st_ctime_ns, sidecar_changed_ns(full))
    return FileSnapshot(found.st_mtime_ns, found.st_size, found.st_ino, changed_ns)


def stat_linked_file(root: str, full: str) -> os.stat_result | None:
    """What the link at `full` leads to, if that is a regular file inside the root."""
    try:
        found = _stat_link_target(root, full)
    except (NotAPhoto, OSError):  # a link that is broken, goes in circles or may not be followed is no photo
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def sidecar_changed_ns(full: str) -> int:
    """The ctime of the sidecar of the photo at `full`, 0 if there is none."""
    for ending in SIDECAR_ENDINGS:
        with suppress(OSError):  # missing, or as good as missing: the worker reads it and reports the error
            return Path(full + ending).stat().st_ctime_ns
    return 0


def sidecars_in(folder: str) -> dict[str, str]:
    """The names of the sidecars in this folder; see `sidecars_by_photo`."""
    with os.scandir(folder) as entries:
        return sidecars_by_photo(entry.name for entry in entries)


def is_complete_file(root: str, path: str, is_complete: IsComplete) -> bool:
    """Whether the file's own end says that it is complete; False for what is no regular file.

    Raises:
        OSError: It cannot be read.
    """
    # Never blocks: a pipe may have taken the file's place since the snapshot.
    descriptor = os.open(f"{root}/{path}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return False
        # pread, not mmap: if a mapped file is truncated meanwhile, the process dies.
        return is_complete(found.st_size, lambda offset, length: os.pread(descriptor, length, offset))
    finally:
        os.close(descriptor)


def _stat_link_target(root: str, full: str) -> os.stat_result:
    try:
        real = os.path.realpath(full, strict=True)
    except OSError as error:
        if error.errno == errno.ELOOP:  # not the disk's fault, and a retry does not fix it
            raise NotAPhoto("a link that leads in circles") from error
        raise
    if not real.startswith(os.path.join(os.path.realpath(root), "")):  # noqa: PTH118 - "/" must not become "//"
        raise NotAPhoto("a link that leads out of the folder")
    return Path(real).stat()
