"""What a source yields, and what every source can do."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """A photo appeared, or changed. Holds its path, never its bytes.

    Attributes:
        uri: `file:///...` (percent-encoded) or `s3://bucket/key` (key decoded).
        path: Below the inbox, with `/` between its parts.
        version: Etag or versionId, or mtime and size.
        attempt: How often the source has yielded this photo, from 1.
        receipt: For the source's own use.
        queued_at: When the source learned of the photo, in seconds of the monotonic clock; None if unknown.
        source: The source's name, as in `FACECRAFT_SOURCES`.
    """

    uri: str
    path: str
    version: str
    attempt: int = 1
    receipt: str = ""
    queued_at: float | None = field(default=None, compare=False)
    source: str = field(default="folder", compare=False)


class Source(Protocol):
    """Yields events until it is stopped or exhausted. Each event is settled once: by `ack`, `retry` or `give_up`."""

    def __iter__(self) -> Iterator[Event]: ...

    def ack(self, event: Event) -> None:
        """The photo is done, skipped or rejected, and its report is durable."""

    def retry(self, event: Event, error: str, delay: float) -> None:
        """Yield the event again after `delay` seconds."""

    def give_up(self, event: Event) -> None:
        """The attempts are used up, and the report says so. A queue with a dead-letter queue moves the event there."""

    def stop(self) -> None:
        """Yield nothing more; events that were yielded may still be settled."""
