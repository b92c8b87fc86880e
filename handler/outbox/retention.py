"""Deletes old portraits if FACECRAFT_CLEANUP_AGE_HOURS is set; their reports stay."""

import logging
import threading
import time
from itertools import takewhile
from typing import Final

from handler.outbox.attempts import Attempts
from handler.outbox.paths import INVOCATIONS, JOBS
from handler.outbox.writer import OutboxWriter
from sources.scanning.source import Count
from sources.stores.base import Conflict, ListedObject, Outbox

_log = logging.getLogger(__name__)

_HOUR: Final = 3600.0
_NOT_OURS: Final = ("reports/", "originals/", f"{JOBS}/")


class Retention:
    """Searches the outbox at the start and every hour, in a thread of its own, until `ended` is set.

    A photo's images are deleted once its report is older than `hours`. The report stays, or the photo would be
    processed again. The images of direct calls have no report, so their own age counts. None: nothing is deleted.
    """

    def __init__(
        self, outbox: Outbox, attempts: Attempts, hours: float | None, ended: threading.Event, on_count: Count
    ) -> None:
        self._writer, self._attempts, self._ended, self._count = OutboxWriter(outbox), attempts, ended, on_count
        self._seconds = (hours or 0) * _HOUR
        self._thread = threading.Thread(target=self._keep_looking, name="cleanup", daemon=True)

    def start(self) -> None:
        if self._seconds:
            self._thread.start()

    def join(self) -> None:
        if self._seconds:
            self._thread.join()

    def run(self, now_ns: int) -> int:
        """Search once; returns how many files were deleted. OSError if the outbox does not allow it."""
        before_ns = now_ns - int(self._seconds * 1e9)
        entries = takewhile(lambda _: not self._ended.is_set(), self._writer.outbox.entries())
        return sum(self._expire(entry.path, before_ns) for entry in entries if _may_go(entry, before_ns))

    def _keep_looking(self) -> None:
        while not self._ended.is_set():
            try:
                self._tell(self.run(time.time_ns()))
            except OSError as error:
                _log.warning("Old portraits cannot be deleted (%s). Next try within the hour.", error)
            self._ended.wait(min(_HOUR, self._seconds / 4))

    def _tell(self, number: int) -> None:
        if number:
            self._count("expired", number)
            _log.info("cleanup.done", extra={"deleted": number})

    def _expire(self, name: str, before_ns: int) -> int:
        try:
            owner = self._writer.owner(name)
            if owner is None:
                return 0
            if not name.startswith(f"{INVOCATIONS}/"):
                return 0 if self._attempts.find(owner)[1] else self._writer.expire(owner, before_ns)
        except Conflict:  # it is just being made again
            return 0
        self._writer.outbox.delete(name)
        return 1


def _may_go(entry: ListedObject, before_ns: int) -> bool:
    return (
        0 < entry.changed_ns < before_ns
        and entry.path.endswith((".png", ".jpg"))
        and not entry.path.startswith(_NOT_OURS)
    )
