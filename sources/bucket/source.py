"""Photos that appear in a bucket: notifications report them at once, scans find what they missed."""

import sys
import time
from collections.abc import Callable
from typing import Final

from sources.events import Event
from sources.scanning.backlog import Backlog, BacklogItem
from sources.scanning.scanner import Batch, Scanner
from sources.scanning.source import Count, ScanningSource, count_nothing

MAX_PATHS: Final = 100_000


class BucketSource(ScanningSource):
    """Yields what was announced and what scans found, alternately. The worker reads whatever the object is by then."""

    def __init__(  # noqa: PLR0913 - each is a setting or a seam of its own, and all but two go by name
        self,
        scanner: Scanner,
        uri: Callable[[str], str],
        *,
        rescan_seconds: float,
        once: bool = False,
        max_paths: int = MAX_PATHS,
        clock: Callable[[], float] = time.monotonic,
        on_count: Count = count_nothing,
        idle: Callable[[], bool] = lambda: True,
    ) -> None:
        """Scans with `scanner`.

        Args:
            scanner: Lists the photos that are not done.
            uri: The URI of the object at a path.
            rescan_seconds: Pause between two scans.
            once: Scan once; the iteration ends when all photos are settled.
            max_paths: How many paths are remembered at a time; no limit with `once`.
            clock: Monotonic seconds.
            on_count: Counts events, ignored names and the like.
            idle: Whether the queue that announces the same photos has nothing left. Only then are photos yielded that
                only scans found; else they are dropped until the next scan.
        """
        self._uri, self._idle = uri, idle
        backlog = Backlog(0, sys.maxsize if once else max_paths)
        super().__init__(scanner, backlog, rescan_seconds, clock, on_count, once=once)

    def announce(self, path: str, version: str = "") -> bool:
        """Queue a photo that a notification names; `version` is "" where it is unknown.

        Returns:
            False if there is no room, or the source is stopped.
        """
        self._count("events", 1)
        with self._work:
            room = self._backlog.add_event(path, self._clock(), version=version)
            self._work.notify_all()
            return room and not self.stopped

    def ack(self, event: Event) -> None:
        """Release the photo; it is work again if another version was announced meanwhile."""
        with self._work:
            self._backlog.finish_ack(event.path, self._clock(), changed=False)
            self._work.notify_all()

    def on_batch(self, batch: Batch, *, by_rescan: bool, first: bool) -> bool:
        """See `ScanningSource`. A scan of a million keys takes minutes: `attached` does not wait for its end."""
        self._rescanner.mark_listed()
        return super().on_batch(batch, by_rescan=by_rescan, first=first)

    def _check(self, item: BacklogItem) -> Event | None:
        if not item.from_event and not self._idle():
            with self._work:
                self._backlog.drop(item)
                self._backlog.forget_scanned()
            return None
        if item.by_rescan:
            self._count("rescan_found", 1)
        source = "webhook" if item.from_event else "poll"
        return Event(
            self._uri(item.path), item.path, item.version, item.attempt, queued_at=item.queued_at, source=source
        )
