"""The version of a photo that was read, and the checksums of its content."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Checksums:
    """Identify the content of a photo and its sidecar.

    Attributes:
        sha256: Of the photo; None if it was too large to be read.
        bytes: The photo's size.
        sidecar_sha256: Of the sidecar; None if there is none.
    """

    sha256: str | None
    bytes: int
    sidecar_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class PhotoVersion:
    """What was read.

    Attributes:
        checksums: Of the content.
        changed_ns: When photo or sidecar last changed, in ns since 1970.
        read_at_ns: When they were read, in ns since 1970.
        etags: Of the photo's object, and of its sidecar's if there is one; empty for files.
    """

    checksums: Checksums
    changed_ns: int
    read_at_ns: int
    etags: tuple[str, ...] = ()


UNREAD: Final = PhotoVersion(Checksums(None, 0), 0, 0)
"""For a photo that could not be read."""
