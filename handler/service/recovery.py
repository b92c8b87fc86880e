"""What services that died left behind in the outbox is put in order: at the start, and then now and then."""

from collections.abc import Callable, Iterable

from handler.outbox.attempts import Attempts
from handler.outbox.reports import ReportStore, last_changed
from handler.outbox.writer import OutboxWriter
from sources.stores.base import Conflict
from sources.stores.location import AnyStore
from sources.stores.s3 import S3Store


class Recovery:
    """`announce` puts photos to work that a dead service had in work, once for each death."""

    def __init__(
        self,
        inbox: AnyStore,
        report_store: ReportStore,
        writer: OutboxWriter,
        attempts: Attempts,
        announce: Callable[[Iterable[str]], None],
    ) -> None:
        self._inbox, self._report_store, self._writer, self._attempts = inbox, report_store, writer, attempts
        self._announce = announce
        self._announced: set[str] = set()
        self.conditional: bool | None = None
        """Whether the outbox's server keeps conditions; None for folders, and before it was asked."""

    def run(self) -> bool:
        """Whether all is in order: not where another service that is alive wrote a marker just then. OSError where
        the outbox does not let us."""
        outbox = self._writer.outbox
        try:
            outbox.sweep()
            if isinstance(outbox, S3Store):
                self.conditional = outbox.conditional
            suspects = self._attempts.suspects(self._is_work, self._writer.tidy)
        except Conflict:
            return False
        self._announce(suspects - self._announced)
        self._announced = suspects
        return True

    def _is_work(self, path: str) -> bool:
        """Whether the photo is there, and no report stands for what it is now."""
        return self._inbox.exists(path) and not self._report_store.is_done(path, last_changed(self._inbox, path))
