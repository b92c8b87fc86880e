"""Files below one folder, with atomic and durable writes."""

import errno
import os
import stat
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import quote_from_bytes

from sources.filters import SIDECAR, SIDECAR_ENDINGS
from sources.stores import atomic
from sources.stores.base import STATE, Blob, Conflict, ListedObject
from sources.stores.paths import LeadsOut, check_plain, opened_file, opened_folder, read_whole, resolve

_TEMPORARIES: Final = f"{STATE}/tmp"  # noqa: S108 - not the shared /tmp
_LOCKS: Final = f"{STATE}/locks"
_IF_THERE: Final = suppress(FileNotFoundError, NotADirectoryError)
"""A missing file is no error; a missing root is `Unavailable`."""

_PROBE_BYTES: Final = 1 << 20  # as much as a portrait and its report: a nearly full disk still takes an empty file
_PROBE_NS: Final = 1_700_000_001_414_213_562
_TICKS_NS: Final = (1, 100, 1_000, 1_000_000, 10_000_000, 1_000_000_000)


def file_uri(absolute_path: str) -> str:
    """`file:///...`, percent-encoded from the path's bytes, which need not be UTF-8."""
    return "file://" + quote_from_bytes(os.fsencode(absolute_path))


@dataclass(frozen=True, slots=True)
class FileStore:
    """Files below `root`. Implements `sources.stores.base.Outbox`.

    Links may lead to files inside the root, never out of it: that, and anything but a regular file, is a
    PermissionError. The root itself is never created: while it is missing, every call raises Unavailable.
    """

    root: Path
    has_etags: ClassVar[bool] = False
    is_remote: ClassVar[bool] = False
    conditional: ClassVar[bool] = False

    def uri(self, path: str) -> str:
        return file_uri(f"{os.path.abspath(self.root)}/{path}")  # noqa: PTH100 - Path.resolve would follow links

    def read(self, path: str, limit: int | None = None) -> Blob:
        """See Store. The version consists of mtime, size and ctime."""
        with opened_file(self.root, path) as fd:
            before = os.fstat(fd)
            data = read_whole(fd, before, limit)
            after = os.fstat(fd)
        if len(data) != before.st_size or atomic.version_of(after) != atomic.version_of(before):
            raise Conflict(f"{path!r} changed while it was read")
        return Blob(data, atomic.version_of(before), before.st_ctime_ns)

    def exists(self, path: str) -> bool:
        """Whether a regular file is there, inside the root."""
        with suppress(LeadsOut), _IF_THERE:
            folder, name = os.path.split(resolve(self.root, path))
            with opened_folder(self.root, folder) as parent:
                return stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
        return False

    def version(self, path: str) -> str | None:
        """See Store."""
        with _IF_THERE, self._parent(path) as (folder, name):
            return atomic.version_of(os.stat(name, dir_fd=folder, follow_symlinks=False))
        return None

    def sidecar(self, photo: str) -> str:
        """See Store."""
        with suppress(OSError), self._parent(photo) as (folder, name):
            for ending in SIDECAR_ENDINGS:
                with suppress(FileNotFoundError):
                    os.stat(name + ending, dir_fd=folder, follow_symlinks=False)
                    return photo + ending
        return photo + SIDECAR

    def changed(self, path: str) -> int:
        """See Store: the ctime; of a link, its own."""
        folder, name = os.path.split(path)
        with suppress(OSError), opened_folder(self.root, resolve(self.root, folder)) as parent:
            return os.stat(name, dir_fd=parent, follow_symlinks=False).st_ctime_ns
        return 0

    def write(
        self,
        path: str,
        data: bytes,
        *,
        replaces: str | None = None,
        stamp_ns: int | None = None,
        metadata: Mapping[str, str] | None = None,  # noqa: ARG002 - files have no metadata
    ) -> str:
        """See Outbox. OSError if the outbox is missing, full or read-only."""
        with self._parent(path, make=True) as target:
            try:
                with self._opened(_TEMPORARIES) as tmp:
                    return self._publish((tmp, _temporary_name()), target, data, replaces, stamp_ns)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
            with self._announced(path) as beside:
                return self._publish((target[0], beside), target, data, replaces, stamp_ns)

    def metadata(self, path: str) -> Mapping[str, str]:  # noqa: ARG002 - files have no metadata
        return {}

    def note(self, path: str, data: bytes, *, replaces: str | None) -> None:
        """See Outbox."""
        with self._parent(path, make=True) as target, self._opened(_TEMPORARIES) as tmp:
            self._publish((tmp, _temporary_name()), target, data, replaces, sync=False)

    def delete(self, path: str, version: str | None = None) -> None:
        """See Store."""
        with _IF_THERE, self._parent(path) as place:
            if version is not None:
                atomic.check_version(place, version)
            os.unlink(place[1], dir_fd=place[0])

    def remove_folder(self, path: str) -> None:
        """Remove a folder if it is empty."""
        folder, name = os.path.split(path)
        with suppress(OSError), opened_folder(self.root, resolve(self.root, folder)) as parent:
            os.rmdir(name, dir_fd=parent)

    def move(self, path: str, version: str, target: "FileStore", place: str) -> None:
        """Move to `target`; durable there before it is removed here. Conflict if another version is here, or anything
        there."""
        try:
            with self._parent(path) as source, target._parent(place, make=True) as goal:
                atomic.check_version(source, version)
                atomic.move(source, goal, lambda moved: atomic.is_content(moved, version))
        except OSError as error:
            if error.errno != errno.EXDEV and error.errno not in atomic.NO_LINKS:
                raise
            blob = self.read(path)
            if blob.version != version:
                raise Conflict(f"{path!r} was replaced") from error
            target.write(place, blob.data, stamp_ns=int(version.rsplit("-", 2)[0]))
            self.delete(path, version)

    def list(self, prefix: str = "") -> Iterator[str]:
        """See Store."""
        return (entry.path for entry in self.entries(prefix))

    def entries(self, prefix: str = "") -> Iterator[ListedObject]:
        """See Outbox: the regular files in and below the folder `prefix`, without links and our own STATE."""
        folders = [prefix.rstrip("/")]
        while folders:
            folder = folders.pop()
            for name, found in self._entries(folder):
                path = f"{folder}/{name}" if folder else name
                if stat.S_ISDIR(found.st_mode) and path != STATE:
                    folders.append(path)
                elif stat.S_ISREG(found.st_mode):
                    yield ListedObject(path, atomic.version_of(found), found.st_size, found.st_ctime_ns)

    def stamps(self, folder: str) -> dict[str, int]:
        """See Outbox: the mtimes."""
        return {name: found.st_mtime_ns for name, found in self._entries(folder)}

    def stamped(self, path: str) -> int | None:
        """See Outbox: the mtime."""
        with _IF_THERE, self._parent(path) as (folder, name):
            return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns
        return None

    def stamp(
        self,
        path: str,
        ns: int,
        version: str | None = None,
        metadata: Mapping[str, str] | None = None,  # noqa: ARG002 - files have no metadata
    ) -> None:
        """See Outbox: the mtime."""
        with self._parent(path) as target, self._locked("write", path):
            if version is not None:
                atomic.check_version(target, version)
            os.utime(target[1], ns=(ns, ns), dir_fd=target[0], follow_symlinks=False)

    def granularity(self) -> int:
        """See Outbox; measured once, with a temporary file."""
        return _granularity(self)

    def lock(self, name: str) -> AbstractContextManager[None]:
        """See Outbox. TimeoutError if it takes too long.

        A thread must not hold two, whatever their names: they share 256 lock files. Where the file system has no locks,
        everyone gets it.
        """
        return self._locked("turn", name)

    def lease(self, path: str) -> "FileLease":
        """See Outbox: a locked file."""

        def make() -> int:
            with self._parent(path, make=True) as (folder, name):
                atomic.remove_unlocked(folder, name)
                return atomic.create_locked(folder, name)

        return FileLease(make, lambda: self.exists(path))

    def is_leased(self, path: str) -> bool:
        """See Outbox."""
        with _IF_THERE, self._parent(path) as (folder, name):
            return atomic.is_locked(folder, name)
        return False

    def sweep(self) -> int:
        """See Outbox."""
        return sum(self._sweep(f"{_TEMPORARIES}/{name}") for name in self.stamps(_TEMPORARIES))

    def remove_expired(self, path: str) -> bool:
        """See Outbox."""
        with _IF_THERE, self._parent(path) as (folder, name):
            return atomic.remove_unlocked(folder, name)
        return False

    def probe(self, probe_ns: int) -> int:
        """See Outbox: the mtime of a temporary file."""
        with (
            self._opened(_TEMPORARIES) as tmp,
            atomic.temporary(tmp, _temporary_name(), bytes(_PROBE_BYTES), stamp_ns=probe_ns, sync=False) as fd,
        ):
            return os.fstat(fd).st_mtime_ns

    def _sweep(self, path: str) -> bool:
        if path.endswith(".away") and not self.is_leased(path):
            with suppress(FileNotFoundError):  # another service may sweep too
                self.remove_expired(_beside(os.fsdecode(self.read(path).data), Path(path).stem))
        return self.remove_expired(path)

    def _publish(
        self,
        source: atomic.Location,
        target: atomic.Location,
        data: bytes,
        replaces: str | None,
        stamp_ns: int | None = None,
        *,
        sync: bool = True,
    ) -> str:
        with atomic.temporary(*source, data, stamp_ns=stamp_ns, sync=sync) as fd:
            if replaces is None:
                atomic.place_new(source, target, lambda: self._locked("write", target[1]))
            else:
                with self._locked("write", target[1]):
                    atomic.check_version(target, replaces)
                    atomic.replace(source, target)
            if sync:
                atomic.sync_folder(target[0])
            return atomic.version_of(os.fstat(fd))

    @contextmanager
    def _announced(self, path: str) -> Iterator[str]:
        """The name of a temporary file beside its target, for a file system that is mounted below the root.

        A note among the other temporary files says where it is, so that `sweep` need not search the whole outbox.
        """
        folder, token = os.path.dirname(path), uuid.uuid4().hex  # noqa: PTH120 - paths are plain str
        with (
            self._opened(_TEMPORARIES) as tmp,
            atomic.temporary(tmp, f"{token}.away", os.fsencode(folder), sync=False),
        ):
            yield _beside("", token)

    @contextmanager
    def _locked(self, kind: str, path: str) -> Iterator[None]:
        # by the file name alone: all who write there agree on it, whichever links lead to its folder
        bucket = sha256(os.fsencode(os.path.basename(path))).hexdigest()[:2]  # noqa: PTH119 - paths are plain str
        with self._opened(_LOCKS) as locks, atomic.lock(locks, f"{kind}-{bucket}.lock"):
            yield

    def _opened(self, folder: str) -> AbstractContextManager[int]:
        return opened_folder(self.root, resolve(self.root, folder), make=True)

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[atomic.Location]:
        folder, name = os.path.split(path)
        check_plain(path or ".")
        with opened_folder(self.root, resolve(self.root, folder), make=make) as parent:
            yield parent, name

    def _entries(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        with (
            _IF_THERE,
            opened_folder(self.root, resolve(self.root, folder)) as fd,
            os.scandir(fd) as entries,
        ):
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # gone since it was listed
                    continue
                yield entry.name, found


class FileLease:
    """A lock file that stays locked until it is closed or its process dies."""

    def __init__(self, make: Callable[[], int], exists: Callable[[], bool]) -> None:
        """`make` gives the open file."""
        self._make, self._exists = make, exists
        self._fd = make()

    def renew(self) -> None:
        """See Lease: made again if someone emptied the outbox."""
        if not self._exists():
            old, self._fd = self._fd, self._make()
            os.close(old)

    def close(self) -> None:
        """Not held any more."""
        os.close(self._fd)


def _temporary_name() -> str:
    return f"{uuid.uuid4().hex}.tmp"


def _beside(folder: str, token: str) -> str:
    name = f".facecraft-{token}.tmp"
    return f"{folder}/{name}" if folder else name


@cache
def _granularity(store: FileStore) -> int:
    lost = abs(_PROBE_NS - store.probe(_PROBE_NS))
    return next((tick for tick in _TICKS_NS if lost < tick), 2_000_000_000)
