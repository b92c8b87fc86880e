"""Events, and the sources that yield them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """This photo, in this version, appeared. A path, never the bytes.

    Attributes:
        uri: `file:///...` (percent-encoded) or `s3://bucket/key` (key decoded).
        path: The photo's path below the inbox, with `/` between its parts.
        version: Etag or versionId, or mtime and size.
        attempt: How often the source has yielded this photo, from 1.
        receipt: The source's own.
        queued_at: When the source learned of it, in seconds of the monotonic clock; None where it does not know.
        source: Which source yielded it, named as in `FACECRAFT_SOURCES`.
    """

    uri: str
    path: str
    version: str
    attempt: int = 1
    receipt: str = ""
    queued_at: float | None = field(default=None, compare=False)
    source: str = field(default="folder", compare=False)


class Source(Protocol):
    """Yields events until it is stopped or exhausted; each is settled once, by `ack`, `retry` or `give_up`."""

    def __iter__(self) -> Iterator[Event]: ...

    def ack(self, event: Event) -> None:
        """The photo is settled: done, skipped or rejected, and its report is durable."""

    def retry(self, event: Event, error: str, delay: float) -> None:
        """Yield the event again after `delay` seconds."""

    def give_up(self, event: Event) -> None:
        """The attempts are used up, and the report says so. Where there is a place for such events they go there."""

    def stop(self) -> None:
        """Yield nothing more; what was yielded may still be settled."""
