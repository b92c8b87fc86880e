"""What an object store's notification says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObjectCreated:
    """An object that was created, as its event describes it.

    `key` is decoded; `size` is in bytes; None: the event does not say.
    """

    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None
    sequencer: str | None = None
    size: int | None = None

    @property
    def version(self) -> str:
        """The etag, else the versionId, else nothing."""
        return self.etag or self.version_id or ""


@dataclass(frozen=True, slots=True)
class Notification:
    """All that one body says: created objects, the names of other events (`ObjectRemoved:Delete`), and what is wrong
    with the rest of it, None if nothing is."""

    created: tuple[ObjectCreated, ...] = ()
    ignored: tuple[str, ...] = ()
    error: str | None = None


def is_older(one: str | None, other: str | None) -> bool:
    """Whether the first of two sequencers of one key is the older; False where one of them is missing."""
    if one is None or other is None:
        return False
    width = max(len(one), len(other))
    return one.upper().rjust(width, "0") < other.upper().rjust(width, "0")
