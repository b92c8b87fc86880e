"""Locks, temporaries and whole-or-nothing placing of files, below open folders (dir_fd)."""

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
_CREATE: Final = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def _try_lock(fd: int, kind: int) -> bool:
    """False where someone else holds it; true also where the file system knows no locks (there is nobody to ask)."""
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
    """Hold the lock file `name`; TimeoutError after `seconds`. It stays for the next holder: removing it would race."""
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


def claim(folder: int, name: str) -> int:
    """Create `name` and hold its lock; gives the descriptor. As long as that is open, `is_held` says true everywhere.

    The kernel lets the lock go when the process dies, also in another container, where its pid would mean nothing.
    """
    while True:
        fd = os.open(name, _CREATE, 0o666, dir_fd=folder)
        # a sweep may have come between the two calls: then the name is gone already
        if _try_lock(fd, fcntl.LOCK_EX) and os.fstat(fd).st_nlink:
            return fd
        os.close(fd)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def is_held(folder: int, name: str) -> bool:
    """Whether a living process holds what it made with `claim`; false where nothing of that name stands."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(fd, fcntl.LOCK_SH)  # shared, so that two who ask do not take each other for the holder
    finally:
        os.close(fd)


def reap(folder: int, name: str) -> bool:
    """Remove what a dead process left of `claim`; false where it is held, or gone already."""
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
    """A claimed file that holds `data` (synced, with the given mtime); what is left of its name goes at the end."""
    fd = claim(folder, name)
    try:
        _write_all(fd, data)
        if stamp_ns is not None:
            os.utime(fd, ns=(stamp_ns, stamp_ns))
        if sync:
            os.fsync(fd)
        yield fd
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


Location = tuple[int, str]
"""(open folder, name in it)"""

Link = Callable[..., None]
Guard = Callable[[], AbstractContextManager[None]]


def place_new(source: Location, target: Location, guard: Guard, *, link: Link = os.link) -> None:
    """Give the file its final name, only where nothing stands; else Conflict.

    Where the file system has no hard links (FAT, some network and FUSE mounts) the look and the rename happen inside
    `guard`, a lock: whole still, and safe among all services on this outbox, but not against other programs.
    """
    try:
        link(source[1], target[1], src_dir_fd=source[0], dst_dir_fd=target[0], follow_symlinks=False)
    except FileExistsError:
        # the answer to a link that was sent twice over a network may be lost: then it is our own file that stands there
        if os.stat(source[1], dir_fd=source[0]).st_nlink == 1:
            raise Conflict(f"{target[1]!r} stands already") from None
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
        raise Conflict(f"{target[1]!r} stands already")


def replace(source: Location, target: Location) -> None:
    """Give the file its final name, whatever file stands there."""
    os.replace(source[1], target[1], src_dir_fd=source[0], dst_dir_fd=target[0])


def move(source: Location, target: Location, is_meant: Callable[[os.stat_result], bool]) -> None:
    """Within one file system, never over another file, durable there before it goes here. OSError where that cannot be.

    Conflict, and nothing goes, where the file is not what was meant.
    """
    if not os.access(".", os.W_OK, dir_fd=source[0]):  # told before a copy is made that would stay
        raise PermissionError(errno.EACCES, "cannot be taken out of its folder: make that writable", source[1])
    try:
        os.link(source[1], target[1], src_dir_fd=source[0], dst_dir_fd=target[0], follow_symlinks=False)
    except FileExistsError:
        raise Conflict(f"{target[1]!r} stands already") from None
    sync_folder(target[0])
    moved = os.stat(target[1], dir_fd=target[0], follow_symlinks=False)
    if not is_meant(moved):
        os.unlink(target[1], dir_fd=target[0])
        raise Conflict(f"{source[1]!r} was replaced")
    if os.stat(source[1], dir_fd=source[0], follow_symlinks=False).st_ino != moved.st_ino:
        raise Conflict(f"{source[1]!r} was replaced")
    os.unlink(source[1], dir_fd=source[0])


def sync_folder(folder: int) -> None:
    """Make the names in it durable, where the file system can."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def version_of(found: os.stat_result) -> str:
    """What `Store.write` compares: mtime, size and ctime."""
    # no inode: some network and FUSE mounts give a file a new one whenever they look at it
    return f"{found.st_mtime_ns}-{found.st_size}-{found.st_ctime_ns}"


def is_content(found: os.stat_result, version: str) -> bool:
    """As far as a link, which changes the ctime, lets it be seen."""
    return version_of(found).rpartition("-")[0] == version.rpartition("-")[0]


def check_version(place: Location, version: str) -> None:
    """Conflict where another version stands there, or nothing."""
    try:
        found = os.stat(place[1], dir_fd=place[0], follow_symlinks=False)
    except FileNotFoundError:
        raise Conflict(f"{place[1]!r} is gone") from None
    if not stat.S_ISREG(found.st_mode) or version_of(found) != version:
        raise Conflict(f"{place[1]!r} was replaced")
