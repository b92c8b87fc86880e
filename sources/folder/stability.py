"""One look at one file of a folder: what it is now, and whether it is whole."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from sources.filters import SIDECAR
from sources.folder.completeness import is_complete
from sources.scanning.snapshot import FileSnapshot

_GONE = (FileNotFoundError, NotADirectoryError)
_KINDS: Final = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


class NotAPhoto(Exception):
    """Whatever its name says, it is what the message says: a folder, pipe, socket or device, or a link to one or out of
    the root."""


def take_snapshot(root: str, path: str) -> FileSnapshot | None:
    """The file `path` below `root`; None if nothing is there. NoPhoto; OSError where it cannot be looked at."""
    full = f"{root}/{path}"
    try:
        seen = Path(full).lstat()
        if stat.S_ISLNK(seen.st_mode):
            seen = _target(root, full)
    except _GONE:
        return None
    if not stat.S_ISREG(seen.st_mode):
        raise NotAPhoto(_KINDS.get(stat.S_IFMT(seen.st_mode), "a device"))
    changed_ns = max(seen.st_ctime_ns, sidecar_changed_ns(full))
    return FileSnapshot(seen.st_mtime_ns, seen.st_size, seen.st_ino, changed_ns)


def linked(root: str, full: str) -> os.stat_result | None:
    """What a link inside the root leads to, if that is a regular file inside the root too."""
    try:
        seen = _target(root, full)
    except (NotAPhoto, OSError):  # a link that leads nowhere, in circles or where we may not look is no photo
        return None
    return seen if stat.S_ISREG(seen.st_mode) else None


def sidecar_changed_ns(full: str) -> int:
    """The ctime of the sidecar of the photo at `full`, 0 if there is none."""
    try:
        return Path(full + SIDECAR).stat().st_ctime_ns
    except OSError:  # missing, or as good as missing: the worker is who reads it and says so
        return 0


def has_trailer(root: str, path: str) -> bool:
    """Whether the file is complete by its own trailer. OSError where it cannot be read."""
    # Never blocks: a pipe may have taken the file's place since it was looked at.
    descriptor = os.open(f"{root}/{path}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            return False
        # pread, not mmap: a mapped file that is cut meanwhile would end the process.
        return is_complete(seen.st_size, lambda offset, length: os.pread(descriptor, length, offset))
    finally:
        os.close(descriptor)


def _target(root: str, full: str) -> os.stat_result:
    try:
        real = os.path.realpath(full, strict=True)
    except OSError as error:
        if error.errno == errno.ELOOP:  # no disk's fault, and no later look will find anything else
            raise NotAPhoto("a link that leads in circles") from error
        raise
    if not real.startswith(os.path.join(os.path.realpath(root), "")):  # noqa: PTH118 - "/" must not become "//"
        raise NotAPhoto("a link that leads out of the folder")
    return Path(real).stat()
