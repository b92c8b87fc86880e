"""What a store of photos and results is: its contract, its values and its errors."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

STATE: Final = ".facecraft"
"""Our own folder in the outbox: temporaries, locks, attempts. No listing of a store shows it."""


class Unavailable(OSError):
    """The whole store is away, or lets us in no more: that says nothing of any path."""


class Conflict(Exception):
    """Someone else wrote this path first: read what stands there and compare again."""


class TooLarge(Exception):
    """The object holds more bytes than the caller's limit; nothing of it was kept.

    `size` is what it says it holds, `changed_ns` when it last changed, `etag` an object's.
    """

    def __init__(self, size: int, changed_ns: int, etag: str | None = None) -> None:
        self.size, self.changed_ns, self.etag = size, changed_ns, etag
        super().__init__(size, changed_ns, etag)

    def __str__(self) -> str:
        return f"{self.size:,} bytes"


@dataclass(frozen=True, slots=True)
class Blob:
    """What lay at a path: bytes, the version that `Store.write` compares, when it last changed (ns since 1970).

    `metadata` is what an object's uploader said of it, by names in lower case; files have none.
    """

    data: bytes
    version: str
    changed_ns: int
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ListedObject:
    """What a listing tells of one file or object; `etag`: its version; `changed_ns` as in `Blob`."""

    path: str
    etag: str
    size: int
    changed_ns: int


class Store(Protocol):
    """Bytes under paths with `/` between the parts, below one root and never outside, whatever a path or a link says.

    One implementation for files, one for S3; used at both ends. Picklable, so that a worker process reads for itself.
    """

    @property
    def has_etags(self) -> bool:
        """Whether versions are etags: equal ones mean equal contents, whatever the dates say."""

    def uri(self, path: str) -> str:
        """`file:///...` (percent-encoded, bytes that are not UTF-8 too) or `s3://bucket/key` (plain)."""

    def read(self, path: str, limit: int | None = None) -> Blob:
        """All bytes, of one version. FileNotFoundError, PermissionError, TooLarge (told before and while reading),
        Conflict when it changed while it was read."""

    def exists(self, path: str) -> bool: ...

    def version(self, path: str) -> str | None:
        """As in `Blob`, of what lies there now; None where nothing does."""

    def changed(self, path: str) -> int:
        """When what lies there last changed (ns since 1970), readable or not; 0 where that cannot be told."""

    def write(self, path: str, data: bytes, *, replaces: str | None = None) -> str:
        """Whole or not at all, durable on return; gives the new version. `replaces=None`: only where nothing stands;
        `replaces=version`: only where that version stands. Else Conflict."""

    def delete(self, path: str, version: str | None = None) -> None:
        """Gone on return; nothing happens where nothing stood. With a version, only where that one stands, else
        Conflict."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """Paths below `prefix`, in no order."""


class Lease(Protocol):
    """Shows all services on an outbox that its holder lives."""

    def renew(self) -> None:
        """Hold it again where it was lost or is about to be. OSError where the outbox does not let us."""

    def close(self) -> None:
        """Not held any more."""


class Outbox(Store, Protocol):
    """A store that several services can write results into. Stamps are ns since 1970; see each method."""

    @property
    def is_remote(self) -> bool:
        """Whether each call is a request over a network, which takes time and may cost money."""

    @property
    def conditional(self) -> bool:
        """Whether the server itself refuses a write whose condition does not hold: then `lock` does nothing, and what
        `note` wrote is as durable as anything else. OSError where that cannot be found out."""

    def write(
        self,
        path: str,
        data: bytes,
        *,
        replaces: str | None = None,
        stamp_ns: int | None = None,
        about: Mapping[str, str] | None = None,
    ) -> str:
        """See Store. `stamp_ns` is written with the content, as a file's mtime or an object's metadata; `about` becomes
        metadata, where there is any."""

    def note(self, path: str, data: bytes, *, replaces: str | None) -> None:
        """As `write`, but a power cut may take it again."""

    def stamp(self, path: str, ns: int, version: str | None = None, about: Mapping[str, str] | None = None) -> None:
        """Set stamp and metadata as `write` does; with a version, only where that one stands, else Conflict."""

    def stamps(self, folder: str) -> Mapping[str, int]:
        """The stamps of what lies in one folder, by name; empty where there is no such folder."""

    def stamped(self, path: str) -> int | None:
        """The stamp of one thing; None where nothing lies there."""

    def entries(self, prefix: str = "") -> Iterator[ListedObject]:
        """As `list`, with what the listing tells besides."""

    def granularity(self) -> int:
        """How many ns two stamps must differ to be told apart."""

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Among all services on this outbox one at a time; nothing where conditional writes decide instead."""

    def claim(self, path: str) -> Lease:
        """Make something that shows all others that its maker lives, until it is closed."""

    def is_claimed(self, path: str) -> bool:
        """Whether a living process, here or elsewhere, holds it."""

    def reap(self, path: str) -> bool:
        """Remove what was made by `claim`, if whoever held it is dead; true if it was removed."""

    def sweep(self) -> int:
        """Remove the temporaries of dead services; gives their number. Safe beside living ones."""

    def probe(self, probe_ns: int) -> int:
        """What a stamp reads after it was set so. OSError says why nothing can be written."""
