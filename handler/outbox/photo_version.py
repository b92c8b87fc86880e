"""Which version of a photo was read, and what tells one content from another."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Checksums:
    """What tells one content of a photo from another: sums of the photo and of its sidecar, and the photo's bytes.

    `sha256` is None where the photo was too large to be read.
    """

    sha256: str | None
    bytes: int
    sidecar_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class PhotoVersion:
    """What was read: its sums, and when photo or sidecar last changed and were read (ns since 1970).

    `etags` are those of the objects, the photo's and the sidecar's; files have none.
    """

    checksums: Checksums
    changed_ns: int
    read_at_ns: int
    etags: tuple[str, ...] = ()


UNREAD: Final = PhotoVersion(Checksums(None, 0), 0, 0)
"""Of a photo that could not be read."""
