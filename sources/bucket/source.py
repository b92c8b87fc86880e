"""Photos that appear in a bucket: announcements bring them soon, scans bring what nobody announced."""

import sys
import time
from collections.abc import Callable
from typing import Final

from sources.events import Event
from sources.scanning.backlog import Backlog, BacklogItem
from sources.scanning.batch import Batch
from sources.scanning.rescan import Scans
from sources.scanning.source import Count, ScanningSource, count_nothing

MOST: Final = 100_000


class _Told:
    """Stands for a watch: whoever announces does so by himself, and scans keep to their intervals."""

    mode: Final = "events"

    def attach(self) -> None:
        pass


def _always() -> bool:
    return True


class BucketSource(ScanningSource):
    """Yields what was announced and what scans found, in turns; the object is whatever lies there when it is read.

    With `once` the iteration ends when all is settled. Not more than `most` paths are remembered at a time. Beside a
    queue, `idle` says whether that has nothing left: only then what scans found is yielded, else it is forgotten until
    the next scan.
    """

    def __init__(  # noqa: PLR0913 - each is a setting or a seam of its own, and all but two go by name
        self,
        scanner: Scans,
        uri: Callable[[str], str],
        *,
        rescan_seconds: float,
        once: bool = False,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
        on_count: Count = count_nothing,
        idle: Callable[[], bool] = _always,
    ) -> None:
        self._uri, self._idle = uri, idle
        backlog = Backlog(0, sys.maxsize if once else most)
        super().__init__(scanner, None if once else _Told(), backlog, rescan_seconds, clock, on_count)

    def announce(self, path: str, version: str = "") -> bool:
        """Someone told of this photo, in this version where that is known; False where there is no room for it."""
        self._count("events", 1)
        with self._work:
            room = self._backlog.announce(path, self._clock(), version=version)
            self._work.notify_all()
            return room and not self.stopped

    def ack(self, event: Event) -> None:
        """Let go of the photo; it is work again if another version was announced meanwhile."""
        with self._work:
            self._backlog.settle(event.path, self._clock(), changed=False)
            self._work.notify_all()

    def found(self, batch: Batch, *, by_rescan: bool, first: bool) -> bool:
        """For the scan's thread. A million keys take minutes: that they can be listed is known before the end."""
        self._rescans.reached()
        return super().found(batch, by_rescan=by_rescan, first=first)

    def _judge(self, item: BacklogItem) -> Event | None:
        if not item.announced and not self._idle():
            with self._work:
                self._backlog.drop(item)
                self._backlog.forget_backlog()
            return None
        if item.by_rescan:
            self._count("rescan_found", 1)
        source = "webhook" if item.announced else "poll"
        return Event(self._uri(item.path), item.path, item.version, item.attempt, queued_at=item.known, source=source)
