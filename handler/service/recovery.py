"""Cleans up what dead services left in the outbox: at the start, and regularly after it."""

from collections.abc import Callable, Iterable

from handler.outbox.attempts import Attempts
from handler.outbox.reports import ReportStore, last_changed
from handler.outbox.writer import OutboxWriter
from sources.stores.base import Conflict
from sources.stores.location import AnyStore


class Recovery:
    """Removes what dead services left behind, and announces the photos that they had in progress.

    Attributes:
        conditional: `Outbox.conditional`; None for folders, and before the first `run`.
    """

    def __init__(
        self,
        inbox: AnyStore,
        report_store: ReportStore,
        writer: OutboxWriter,
        attempts: Attempts,
        announce: Callable[[Iterable[str]], None],
    ) -> None:
        """`announce` gets the paths of photos that a dead service had in progress, once per death."""
        self._inbox, self._report_store, self._writer, self._attempts = inbox, report_store, writer, attempts
        self._announce = announce
        self._announced: set[str] = set()
        self.conditional: bool | None = None

    def run(self) -> bool:
        """Recover once.

        Returns:
            Whether it finished; false if another service wrote a marker meanwhile.

        Raises:
            OSError: The outbox cannot be read or written.
        """
        outbox = self._writer.outbox
        try:
            outbox.sweep()
            if outbox.is_remote:
                self.conditional = outbox.conditional
            suspects = self._attempts.suspects(self._is_work, self._writer.tidy)
        except Conflict:
            return False
        self._announce(suspects - self._announced)
        self._announced = suspects
        return True

    def _is_work(self, path: str) -> bool:
        """Whether the photo exists and its current version has no report."""
        return self._inbox.exists(path) and not self._report_store.is_done(path, last_changed(self._inbox, path))
