"""What a scanner is, and what it yields: a listing in parts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


class ReportsUnavailable(OSError):
    """The reports in the outbox cannot be listed, so nobody knows what is done; the inbox itself is fine."""


@dataclass(slots=True)
class Batch:
    """Part of a listing.

    Attributes:
        paths: Photos below the root that have no report on their current version.
        ignored: How many names were skipped because they are never photos.
        versions: The versions of the paths, as far as the listing shows them.
    """

    paths: list[str] = field(default_factory=list)
    ignored: int = 0
    versions: dict[str, str] = field(default_factory=dict)


class Scanner(Protocol):
    """Lists the photos of one inbox that are not done."""

    @property
    def root(self) -> str:
        """What is scanned, for messages."""

    @property
    def remedy(self) -> str:
        """What the operator can do if it cannot be scanned."""

    def scan(self, folder: str = "") -> Iterator[Batch]:
        """All work below this folder, "" for the whole root.

        Raises:
            ReportsUnavailable: The outbox cannot be listed.
            OSError: The root cannot be listed.
        """
