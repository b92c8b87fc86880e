"""Locks, temporary files and atomic placement of files, relative to open folders (dir_fd)."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final

from sources.stores.base import Conflict

LOCK_SECONDS: Final = 30.0

NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
_NO_LOCKS: Final = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL})
_CREATE: Final = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _try_lock(fd: int, kind: int) -> bool:
    """False if someone else holds it. True also where the file system has no locks: there is nobody to ask."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


@contextmanager
def lock(folder: int, name: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock file `name`; TimeoutError after `seconds`. The file stays, because removing it would race."""
    fd = os.open(name, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder)
    try:
        _wait_for_lock(fd, name, seconds)
        yield
    finally:
        os.close(fd)


def _wait_for_lock(fd: int, name: str, seconds: float) -> None:
    # not a blocking flock: a paused container must not hang the service that shares its outbox
    deadline = time.monotonic() + seconds
    while not _try_lock(fd, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            raise TimeoutError(
                errno.ETIMEDOUT, f"another service has held this lock for {seconds:g} s: restart it", name
            )
        time.sleep(0.005)


def create_locked(folder: int, name: str, access: int = os.O_RDWR) -> int:
    """Create `name` and lock it; returns the open descriptor. While that is open, `is_locked` is true everywhere.

    The kernel releases the lock when the process dies, even in another container, where a pid would mean nothing.

    Args:
        folder: Open folder.
        name: Of the new file.
        access: O_RDONLY or O_RDWR. NFS locks only what is open for writing, and always gets O_RDWR.
    """
    while True:
        fd = os.open(name, _CREATE | access, 0o666, dir_fd=folder)
        try:
            # a sweep may have come between the two calls: then the name is gone already
            if _try_lock(fd, fcntl.LOCK_EX) and os.fstat(fd).st_nlink:
                return fd
        except OSError as error:
            if error.errno != errno.EBADF or access == os.O_RDWR:
                raise
            access = os.O_RDWR
        os.close(fd)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def is_locked(folder: int, name: str) -> bool:
    """Whether a living process holds the lock of `create_locked`; false if there is no such file."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(fd, fcntl.LOCK_SH)  # shared, so that two who ask do not take each other for the holder
    finally:
        os.close(fd)


def remove_unlocked(folder: int, name: str) -> bool:
    """Remove what a dead process left of `create_locked`; false if it is locked or does not exist."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return False
    try:
        free = _try_lock(fd, fcntl.LOCK_SH)
        if free:  # removed while the lock is held, so that nobody can be just taking it
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
        return free
    finally:
        os.close(fd)


@contextmanager
def temporary(folder: int, name: str, data: bytes, *, stamp_ns: int | None = None, sync: bool = True) -> Iterator[int]:
    """A locked temporary file with `data`, synced, with the given mtime. Its name, if left, is removed at the end.

    Nothing has it open for writing any more: who waits for a result's file to be closed must not be told of it once
    under this name and again under its final one.
    """
    fd = create_locked(folder, name, os.O_RDONLY)
    try:
        _write(folder, name, data, stamp_ns, sync=sync)
        yield fd
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        os.close(fd)


def _write(folder: int, name: str, data: bytes, stamp_ns: int | None, *, sync: bool) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        if stamp_ns is not None:
            os.utime(fd, ns=(stamp_ns, stamp_ns))
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


Location = tuple[int, str]
"""(open folder, name in it)"""

Link = Callable[..., None]
Guard = Callable[[], AbstractContextManager[None]]


def place_new(source: Location, target: Location, guard: Guard, *, link: Link = os.link) -> None:
    """Give the file its final name. Conflict if that exists.

    Where the file system has no hard links (FAT, some network and FUSE mounts), check and rename happen inside `guard`,
    a lock: still atomic, and safe among all services on this outbox, but not against other programs.
    """
    try:
        link(source[1], target[1], src_dir_fd=source[0], dst_dir_fd=target[0], follow_symlinks=False)
    except FileExistsError:
        # a network mount may send a link twice and lose the first answer: then our own file is there
        if os.stat(source[1], dir_fd=source[0]).st_nlink == 1:
            raise Conflict(f"{target[1]!r} exists already") from None
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        with guard():
            _rename_new(source, target)
        return
    # now, not later: it changes the ctime, which is part of the version that the caller is given
    os.unlink(source[1], dir_fd=source[0])


def _rename_new(source: Location, target: Location) -> None:
    try:
        os.stat(target[1], dir_fd=target[0], follow_symlinks=False)
    except FileNotFoundError:
        replace(source, target)
    else:
        raise Conflict(f"{target[1]!r} exists already")


def replace(source: Location, target: Location) -> None:
    """Give the file its final name, replacing any file there."""
    os.replace(source[1], target[1], src_dir_fd=source[0], dst_dir_fd=target[0])


def move(source: Location, target: Location, is_meant: Callable[[os.stat_result], bool]) -> None:
    """Move within one file system, never over another file. Durable at the target before it leaves the source.

    Raises:
        Conflict: The file is not what was meant, or the target exists. Nothing was moved.
        OSError: It cannot be moved.
    """
    if not os.access(".", os.W_OK, dir_fd=source[0]):  # checked before a copy is made that would stay
        raise PermissionError(errno.EACCES, "cannot be removed from its folder: make the folder writable", source[1])
    try:
        os.link(source[1], target[1], src_dir_fd=source[0], dst_dir_fd=target[0], follow_symlinks=False)
    except FileExistsError:
        raise Conflict(f"{target[1]!r} exists already") from None
    sync_folder(target[0])
    moved = os.stat(target[1], dir_fd=target[0], follow_symlinks=False)
    if not is_meant(moved):
        os.unlink(target[1], dir_fd=target[0])
        raise Conflict(f"{source[1]!r} was replaced")
    if os.stat(source[1], dir_fd=source[0], follow_symlinks=False).st_ino != moved.st_ino:
        raise Conflict(f"{source[1]!r} was replaced")
    os.unlink(source[1], dir_fd=source[0])


def sync_folder(folder: int) -> None:
    """Make the names in it durable, if the file system can."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def version_of(found: os.stat_result) -> str:
    """The version that `Store.write` compares: mtime, size and ctime."""
    # without the inode: some network and FUSE mounts give a file a new one on each stat
    return f"{found.st_mtime_ns}-{found.st_size}-{found.st_ctime_ns}"


def is_content(found: os.stat_result, version: str) -> bool:
    """Whether it has the content of that version. The ctime is not compared: a link changes it."""
    return version_of(found).rpartition("-")[0] == version.rpartition("-")[0]


def check_version(place: Location, version: str) -> None:
    """Conflict if another version is there, or nothing."""
    try:
        found = os.stat(place[1], dir_fd=place[0], follow_symlinks=False)
    except FileNotFoundError:
        raise Conflict(f"{place[1]!r} is gone") from None
    if not stat.S_ISREG(found.st_mode) or version_of(found) != version:
        raise Conflict(f"{place[1]!r} was replaced")
