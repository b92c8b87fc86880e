"""The sources that the settings ask for, merged into one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from handler.config.fields import SourceName
from handler.outbox.bucket_index import ReportFiles, ReportObjects
from sources.bucket.inbox import BucketInbox
from sources.bucket.scanner import BucketScanner
from sources.bucket.source import BucketSource
from sources.bucket.webhook import Webhook
from sources.folder.source import FolderSource
from sources.merged import Member, MergedSource
from sources.scanning.source import Count
from sources.stores.local import FileStore
from sources.stores.s3 import S3Store


class Queue(Member, Protocol):
    """A source that tells whether it has nothing left, and how often it hands a photo out."""

    @property
    def most_attempts(self) -> int | None: ...

    def idle(self) -> bool: ...

    def share_slots(self, in_progress: Callable[[], int]) -> None:
        """Another source fills slots too, so many now."""


@dataclass(frozen=True, slots=True)
class SourceSet:
    """All sources of a service as one.

    Attributes:
        source: Yields the photos.
        attached: For each kind of source, what keeps it from working; None while it works.
        mode: How photos are found, as in `/status`.
        announce: Queues the photo at a path.
        accept: Takes a body of `POST /events` and says whether there was room for it; None without that source.
        most_attempts: The queue's own limit; None without a queue, and until it is known.
    """

    source: Member
    attached: Mapping[str, Callable[[], str | None]]
    mode: Callable[[], str]
    announce: Callable[[str], object] = field(default=lambda _path: None)
    accept: Callable[[bytes], bool] | None = None
    most_attempts: Callable[[], int | None] = lambda: None

    def recheck(self, paths: Iterable[str]) -> None:
        """Queue photos that a service died with: a listing may call them done although their reports are older."""
        for path in paths:
            self.announce(path)


def from_folder(source: FolderSource) -> SourceSet:
    return SourceSet(source, {"folder": source.attached}, lambda: source.mode)


@dataclass(frozen=True, slots=True)
class Bucket:
    """An inbox in a bucket, its outbox, and how often they are compared. `dated`: see `ReportObjects`."""

    inbox: S3Store
    outbox: S3Store | FileStore
    rescan_seconds: float
    dated: bool
    on_count: Count

    def source_set(self, names: tuple[SourceName, ...], queue: Queue | None = None, *, once: bool = False) -> SourceSet:
        """The sources of these names; `queue` is that of `sqs`. With `once` only what is there."""
        found = self._found(queue, once=once)
        if queue:
            queue.share_slots(found.in_progress)
        webhook = Webhook(BucketInbox(self.inbox.bucket, self.inbox.prefix), found.announce, self.on_count)
        attached: dict[str, Callable[[], str | None]] = {name: found.attached for name in (*names, "poll")}
        if queue:
            attached["sqs"] = queue.attached
        return SourceSet(
            MergedSource((queue, found)) if queue else found,
            attached,
            lambda: "polling" if names == ("poll",) else "events",
            found.announce,
            webhook.accept if "webhook" in names else None,
            lambda: queue.most_attempts if queue else None,
        )

    def _found(self, queue: Queue | None, *, once: bool) -> BucketSource:
        idle = queue.idle if queue else _always
        scanner = BucketScanner(str(self.inbox), self.inbox.entries, self._reports(), wanted=idle)
        return BucketSource(
            scanner, self.inbox.uri, rescan_seconds=self.rescan_seconds, once=once, on_count=self.on_count, idle=idle
        )

    def _reports(self) -> ReportObjects | ReportFiles:
        if isinstance(self.outbox, FileStore):
            return ReportFiles(self.inbox, self.outbox)
        return ReportObjects(self.inbox, self.outbox, self.dated)


def _always() -> bool:
    return True
