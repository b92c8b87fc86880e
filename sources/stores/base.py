"""The contract of a store of photos and results: its protocols, values and errors."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

STATE: Final = ".facecraft"
"""Our own folder in the outbox: temporaries, locks, attempts. Listings leave it out."""


class Unavailable(OSError):
    """The whole store cannot be reached or no longer lets us in: this says nothing about any path."""


class Archived(PermissionError):
    """The object is in an archive (S3 Glacier), and can be read only after someone has restored it."""


class Conflict(Exception):
    """Someone else wrote this path first: read what is there now and compare again."""


class TooLarge(Exception):
    """The file or object has more bytes than the caller's limit; nothing of it was kept.

    Attributes:
        size: Its size in bytes, as far as known.
        changed_ns: When it last changed, in ns since 1970.
        etag: An object's etag; None for files.
    """

    def __init__(self, size: int, changed_ns: int, etag: str | None = None) -> None:
        self.size, self.changed_ns, self.etag = size, changed_ns, etag
        super().__init__(size, changed_ns, etag)

    def __str__(self) -> str:
        return f"{self.size:,} bytes"


@dataclass(frozen=True, slots=True)
class Blob:
    """The content of a path.

    Attributes:
        data: All bytes.
        version: What `Store.write` compares.
        changed_ns: When it last changed, in ns since 1970.
        metadata: An object's user metadata, with names in lower case; None for files.
    """

    data: bytes
    version: str
    changed_ns: int
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One file or object of a listing. `etag` is its version, `changed_ns` as in `Blob`."""

    path: str
    etag: str
    size: int
    changed_ns: int


class Store(Protocol):
    """Bytes by path, with `/` between a path's parts. Never leaves its root, whatever a path or a link says.

    Files and S3 have one implementation each, which serves as inbox and as outbox. It can be pickled: worker processes
    read for themselves.
    """

    @property
    def has_etags(self) -> bool:
        """Whether versions are etags: equal etags mean equal contents, whatever the dates say."""

    def uri(self, path: str) -> str:
        """`file:///...` (percent-encoded, including bytes that are not UTF-8) or `s3://bucket/key` (plain)."""

    def read(self, path: str, limit: int | None = None) -> Blob:
        """All bytes of one version.

        Raises:
            FileNotFoundError: Nothing is there.
            PermissionError: It may not be read, or leads out of the root.
            TooLarge: It has more than `limit` bytes. Checked before and while it is read.
            Conflict: It changed while it was read.
        """

    def exists(self, path: str) -> bool: ...

    def version(self, path: str) -> str | None:
        """The version that is there now, as in `Blob`; None if nothing is there."""

    def sidecar(self, photo: str) -> str:
        """Where the options of this photo are, or would be: `anna.jpg.toml`, or `anna.jpg.TOML` if only that exists."""

    def changed(self, path: str) -> int:
        """When it last changed, in ns since 1970, whether it can be read or not; 0 if unknown."""

    def write(self, path: str, data: bytes, *, replaces: str | None = None) -> str:
        """Write atomically and durably; returns the new version.

        Raises:
            Conflict: With `replaces=None`, something is there already; with a version, another one is there, or none.
        """

    def delete(self, path: str, version: str | None = None) -> None:
        """Delete it if it exists. Conflict if a version is given and another one is there."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """All paths below `prefix`, in no particular order."""


class Lease(Protocol):
    """Shows all services on an outbox that its holder is alive."""

    def renew(self) -> None:
        """Make sure that it is held. OSError if the outbox does not allow it."""

    def close(self) -> None:
        """Not held any more."""


class Outbox(Store, Protocol):
    """A store that several services can write results into.

    Each file or object may carry a stamp: a time in ns since 1970 that the caller chooses.
    """

    @property
    def is_remote(self) -> bool:
        """Whether each call is a request over a network, which takes time and may cost money."""

    @property
    def conditional(self) -> bool:
        """Whether the server itself refuses a write whose condition does not hold. Then `lock` does nothing, and what
        `note` writes is as durable as anything else. OSError if this cannot be found out."""

    def write(
        self,
        path: str,
        data: bytes,
        *,
        replaces: str | None = None,
        stamp_ns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """See Store.

        Args:
            stamp_ns: Stored with the content, as a file's mtime or in an object's metadata.
            metadata: An object's user metadata; files have none.
        """

    def metadata(self, path: str) -> Mapping[str, str]:
        """An object's user metadata, without reading its content; empty for files.

        Raises:
            FileNotFoundError: There is no such object.
        """

    def note(self, path: str, data: bytes, *, replaces: str | None) -> None:
        """As `write`, but a power cut may undo it."""

    def stamp(self, path: str, ns: int, version: str | None = None, metadata: Mapping[str, str] | None = None) -> None:
        """Set stamp and metadata, as `write` does. Conflict if a version is given and another one is there."""

    def stamps(self, folder: str) -> Mapping[str, int]:
        """The stamps in one folder, by name; empty if there is no such folder."""

    def stamped(self, path: str) -> int | None:
        """The stamp of one path; None if nothing is there."""

    def entries(self, prefix: str = "") -> Iterator[ListedObject]:
        """As `list`, with size, version and date."""

    def granularity(self) -> int:
        """By how many ns two stamps must differ to be distinguishable."""

    def lock(self, name: str) -> AbstractContextManager[None]:
        """A lock among all services on this outbox; does nothing where conditional writes decide instead."""

    def lease(self, path: str) -> Lease:
        """Take a lease at this path, which shows all others that its holder is alive, until it is closed."""

    def is_leased(self, path: str) -> bool:
        """Whether a living process, here or elsewhere, holds a lease at this path."""

    def remove_expired(self, path: str) -> bool:
        """Remove the lease of a dead holder; true if it was removed."""

    def sweep(self) -> int:
        """Remove the temporary files of dead services; returns how many. Safe while other services run."""

    def probe(self, probe_ns: int) -> int:
        """Write a probe with this stamp and return the stamp as stored. OSError if nothing can be written."""
