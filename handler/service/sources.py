"""Builds the sources that the settings name, and merges them into one."""

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
    """A source that a message queue feeds."""

    @property
    def most_attempts(self) -> int | None:
        """How often the queue delivers a message; None if unlimited or not yet known."""

    def idle(self) -> bool:
        """Whether no message is queued or in flight, so that a scan finds only what the queue missed."""

    def share_slots(self, in_progress: Callable[[], int]) -> None:
        """Leaves the slots free that another source uses; `in_progress` returns how many."""


@dataclass(frozen=True, slots=True)
class SourceSet:
    """All sources of a service as one.

    Attributes:
        source: Yields the photos.
        attached: By kind of source, a function that returns why it does not work; None while it works.
        mode: How photos are found, as in `/status`.
        announce: Queues the photo at a path; does nothing for a folder, whose rescan finds it.
        accept: Queues the photos that a body of `POST /events` names, and returns whether there was room; None without
            webhooks.
        most_attempts: Returns the queue's own limit of deliveries; None without a queue or a known limit.
    """

    source: Member
    attached: Mapping[str, Callable[[], str | None]]
    mode: Callable[[], str]
    announce: Callable[[str], object] = field(default=lambda _path: None)
    accept: Callable[[bytes], bool] | None = None
    most_attempts: Callable[[], int | None] = lambda: None

    def recheck(self, paths: Iterable[str]) -> None:
        """Queues photos that a dead service had in progress: by a bucket's listing alone they may look done."""
        for path in paths:
            self.announce(path)


def from_folder(source: FolderSource) -> SourceSet:
    return SourceSet(source, {"folder": source.attached}, lambda: source.mode)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Builds the sources of an inbox in a bucket.

    Attributes:
        inbox: The bucket, or a prefix in it.
        outbox: Its reports are compared with the inbox to find photos that are not done.
        rescan_seconds: How often they are compared.
        dated: See `ReportObjects`.
        on_count: Counts events and ignored names.
    """

    inbox: S3Store
    outbox: S3Store | FileStore
    rescan_seconds: float
    dated: bool
    on_count: Count

    def source_set(self, names: tuple[SourceName, ...], queue: Queue | None = None, *, once: bool = False) -> SourceSet:
        """Builds the sources.

        Args:
            names: Their kinds.
            queue: The source of the kind `sqs`, if that is among them.
            once: Scan the bucket once, then end.
        """
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
