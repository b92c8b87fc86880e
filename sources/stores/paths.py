"""Opens paths below a root, folder by folder, and never leaves it, as openat2(2) does with RESOLVE_BENEATH."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sources.stores.atomic import sync_folder
from sources.stores.base import TooLarge, Unavailable

_CHUNK: Final = 1 << 20
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LeadsOut(PermissionError):
    """A path or link that leads out of the root, or is no valid path below it."""


def resolve(root: Path, path: str) -> str:
    """The path below `root` with all links resolved. LeadsOut if it leads out or has parts like `..`."""
    check_plain(path)
    top = os.path.realpath(root)
    real = os.path.realpath(f"{top}/{path}")
    if real != top and not real.startswith(top.rstrip("/") + "/"):
        raise _refused(path, f"leads out of {top!r}: put the file itself there instead of a link")
    return real[len(top) :].strip("/")


def check_plain(path: str) -> None:
    """LeadsOut for a path that no file below the root can have: `a//b`, `../a`, a NUL."""
    odd = path != "" and not {"", ".", ".."}.isdisjoint(path.split("/"))
    if odd or "\0" in path or not _has_bytes(path):
        raise _refused(path, "is no plain path below the folder: remove empty parts, '.', '..' and NUL")


def _has_bytes(path: str) -> bool:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def _refused(path: str, why: str) -> LeadsOut:
    return LeadsOut(errno.EACCES, why, path)


@contextmanager
def opened_folder(root: Path, path: str, *, make: bool = False) -> Iterator[int]:
    """An open folder. `path` comes from `resolve`: a link that has replaced a folder since then is not followed.

    Unavailable if the root is missing: that must not look like a missing folder in it, even if the root is back soon.
    """
    fd = _opened_root(root)
    try:
        for part in path.split("/") if path else ():
            inner = _enter(fd, part, make=make)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


def _opened_root(root: Path) -> int:
    try:
        return os.open(root, _FOLDER)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Unavailable(error.errno, error.strerror, str(root)) from error


def _enter(folder: int, name: str, *, make: bool) -> int:
    flags = _FOLDER | os.O_NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
        sync_folder(folder)
    return os.open(name, flags, dir_fd=folder)


@contextmanager
def opened_file(root: Path, path: str) -> Iterator[int]:
    """An open regular file; IsADirectoryError, or PermissionError for pipes, sockets and devices."""
    folder, name = os.path.split(resolve(root, path))
    with opened_folder(root, folder) as parent:
        _check_regular(_seen(name or ".", parent), path)
        fd = os.open(name, _FILE, dir_fd=parent)
    try:
        _check_regular(os.fstat(fd), path)  # a pipe may have replaced it meanwhile; that is why opening does not block
        yield fd
    finally:
        os.close(fd)


def _seen(name: str, folder: int) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        # no file can have such a name: a photo whose name has the full length simply has no sidecar
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from error


def _check_regular(found: os.stat_result, path: str) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise PermissionError(errno.EACCES, "is not a regular file", path)


def read_whole(fd: int, found: os.stat_result, limit: int | None) -> bytes:
    """All bytes, and one more if the file has grown, never more than that. TooLarge above the limit."""
    if limit is not None and found.st_size > limit:
        raise TooLarge(found.st_size, found.st_ctime_ns)
    data, left = [], found.st_size + 1
    while left and (chunk := os.read(fd, min(left, _CHUNK))):
        data.append(chunk)
        left -= len(chunk)
    if not left and found.st_size == limit:
        raise TooLarge(found.st_size + 1, os.fstat(fd).st_ctime_ns)
    return b"".join(data)
