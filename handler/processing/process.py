"""One photo from event to outcome. The only place that decides what is final and what is tried again."""

import errno
import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from handler.config.options import Presets, ResolvedOptions
from handler.config.settings import CommonSettings
from handler.outbox.attempts import Attempts, InWork
from handler.outbox.metadata import made_from
from handler.outbox.originals import AfterPolicy
from handler.outbox.photo_version import Checksums, PhotoVersion
from handler.outbox.reports import ReportStore, known_sums, trusted_stamp, unsettled_stamp
from handler.outbox.writer import OutboxWriter
from handler.processing import report
from handler.processing.locks import PhotoLocks
from handler.processing.outcome import Done, Failed, Outcome, Rejected, Skipped, Vanished
from handler.workers.messages import Away, Changed, Faulted, Finished, Gone, Job, Refused, Reply, Same
from handler.workers.pool import PoolUnavailable
from handler.workers.process import WorkerDied, WorkerTimedOut
from pipeline.errors import PhotoRejected
from pipeline.types import Limits
from sources.backoff import Backoff
from sources.events import Event
from sources.stores.base import Conflict
from sources.stores.location import AnyStore
from sources.stores.s3 import S3Store

_log = logging.getLogger(__name__)

_SOON: Final = 1.0
_LATER: Final = 10.0
_LONGEST: Final = 60.0
_ELSEWHERE: Final = Backoff(first=5.0, factor=2.0, longest=_LONGEST)
_FAILURES: Final = Backoff(first=2.0, factor=2.0, longest=_LONGEST)
_REPLACED: Final = "the photo was replaced while it was worked on"
_NEVER: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR)
"""Errors that trying again each minute does not cure."""


class Pool(Protocol):
    """Where photos are worked on; see `handler.workers.pool.ModelPool`."""

    def run(self, job: Job) -> Reply: ...

    def look(self, job: Job) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """What the outbox holds about a photo: the report, its version to replace, the attempt that is running."""

    report: Mapping[str, Any] | None
    version: str | None
    attempt: int


@dataclass(frozen=True, slots=True)
class Process:
    """Callable: Event -> Outcome. Never raises for a photo's sake."""

    inbox: AnyStore
    report_store: ReportStore
    writer: OutboxWriter
    attempts: Attempts
    after: AfterPolicy
    pool: Pool
    locks: PhotoLocks
    base: ResolvedOptions
    presets: Presets
    limits: Limits
    max_attempts: int
    most_attempts: Callable[[], int | None] = lambda: None
    """How often a queue hands a photo out, where one does and says so: its report must come before."""

    @classmethod
    def between(
        cls, inbox: AnyStore, outbox: AnyStore, attempts: Attempts, pool: Pool, settings: CommonSettings
    ) -> "Process":
        """As the settings say."""
        return cls(
            inbox=inbox,
            report_store=ReportStore(outbox),
            writer=OutboxWriter(outbox),
            attempts=attempts,
            after=AfterPolicy(inbox, outbox, settings.after),
            pool=pool,
            locks=PhotoLocks(),
            base=settings.recipe(),
            presets=settings.presets,
            limits=settings.limits(),
            max_attempts=settings.max_attempts,
        )

    def __call__(self, event: Event) -> Outcome:
        if not self.locks.enter(event.path):
            return Failed("conflict", "it is in work already", _SOON)
        try:
            return self._in_turn(event)
        finally:
            self.locks.leave(event.path)

    def _in_turn(self, event: Event) -> Outcome:
        alone = self.attempts.is_suspect(event.path)
        with self.locks.alone() if alone else self.locks.together():
            return self._guarded(event, alone=alone)

    def _guarded(self, event: Event, *, alone: bool) -> Outcome:
        """Faults of inbox, outbox and pool are nobody's attempt: the photo is taken back and tried later."""
        try:
            return self._attempt(event, alone=alone)
        except InWork as error:
            # not each second: a queue counts how often a message was handed out
            outcome = Failed("conflict", str(error), _ELSEWHERE.after(event.attempt))
        except Conflict as error:
            outcome = Failed("conflict", str(error), _SOON)
        except PoolUnavailable as error:
            outcome = Failed("no_workers", str(error), _SOON)
        except OSError as error:
            outcome = Failed("outbox_unavailable", str(error), _later(event))
        except Exception:  # noqa: BLE001  # a fault in our own code costs the photo an attempt, and no thread
            return self._own_fault(event, alone=alone)
        return self._given_back(event, outcome)

    def _given_back(self, event: Event, outcome: Failed) -> Failed:
        try:
            self.attempts.release(event.path)
        except OSError as error:  # the outbox is full or away; the marker that stands counts nothing by itself
            return Failed(outcome.reason, f"{outcome.error}; {error}", outcome.retry_in)
        return outcome

    def _own_fault(self, event: Event, *, alone: bool) -> Outcome:
        _log.exception("photo.error", extra={"uri": event.uri})
        trace = traceback.format_exc(limit=-8)
        try:
            return self._failure(event, self._standing(event, alone=alone), "processing_error", trace)
        except Exception:  # noqa: BLE001  # it cannot even be counted: as rarely as possible, then
            _log.exception("photo.error", extra={"uri": event.uri})
            return Failed("processing_error", trace, _LONGEST)

    def _attempt(self, event: Event, *, alone: bool) -> Outcome:
        standing = self._standing(event, alone=alone)
        if standing.attempt > self._limit():
            return self._used_up(event, standing, *self.attempts.last_failure(event.path))
        try:
            reply = self.pool.run(self._job(event, standing))
        except WorkerDied as error:
            return self._failure(event, standing, "processing_crashed", str(error))
        except WorkerTimedOut as error:
            return self._failure(event, standing, "processing_timed_out", str(error))
        return self._settled(event, standing, reply)

    def _standing(self, event: Event, *, alone: bool) -> Standing:
        # first the marker: a report that another service writes meanwhile must not be missed
        attempt = self.attempts.begin(event.path, alone=alone)
        previous, version = self.report_store.previous(event.path)
        return Standing(previous, version, attempt)

    def _job(self, event: Event, standing: Standing) -> Job:
        return Job(self.inbox, event.path, self.base, self.presets, self.limits, known_sums(standing.report))

    def _settled(self, event: Event, standing: Standing, reply: Reply) -> Outcome:
        match reply:
            case Finished():
                return self._over(event, reply.seen, self._finished(event, standing, reply))
            case Refused():
                return self._over(event, reply.seen, self._refused(event, standing, reply))
            case Same(seen):
                return self._over(event, seen, self._skipped(event, standing, seen))
            case Gone():
                self.writer.tidy(event.path)
                self.attempts.done(event.path)
                return Vanished()
            case Changed() | Away():
                return self._given_back(event, _unread(event, reply))
            case Faulted(reason, error):
                return self._failure(event, standing, reason, error)

    def _over(self, event: Event, seen: PhotoVersion, outcome: Outcome) -> Outcome:
        """Its report stands. Where the photo is another one by now, dates may hide that, and a marker stands for it."""
        if self._is_replaced(event, seen):
            self.attempts.anew(event.path)
            return Failed("conflict", _REPLACED, _SOON)
        self.attempts.done(event.path)
        return replace(outcome, version=seen.etags[0]) if seen.etags else outcome

    def _skipped(self, event: Event, standing: Standing, seen: PhotoVersion) -> Outcome:
        done = standing.report is not None and standing.report.get("outcome") == "done"
        with self.writer.turn(event.path, standing.version):
            if not (done and self._acted(event, seen)):
                self._restamp(event, seen, standing.version)
        return Skipped()

    def _finished(self, event: Event, standing: Standing, reply: Finished) -> Outcome:
        with self.writer.turn(event.path, standing.version):
            if self._is_replaced(event, reply.seen):
                raise Conflict(_REPLACED)
            try:
                outputs = self.writer.publish(event.path, reply.result.portraits, standing.report)
            except PhotoRejected as blocked:
                refused = Refused(reply.seen, reply.recipe, blocked.reason, blocked.hint)
                return self._reject(event, standing, refused)
            self._done(event, standing, reply.seen, report.done(event, reply, outputs, standing.attempt))
        names = tuple(str(file["name"]) for files in outputs for file in files)
        return Done(names, reply.result.stages_ms, tuple(reply.result.facts["notes"]))

    def _done(self, event: Event, standing: Standing, seen: PhotoVersion, text: report.Report) -> None:
        if not self.after.acts:
            self._commit(event, standing, seen, text)
            return
        # until the photo is taken out: a service that dies before that leaves it to be found again
        unsettled = unsettled_stamp(seen.changed_ns, self.report_store.granularity)
        version = self.writer.commit(event.path, text, replaces=standing.version, changed_ns=unsettled)
        if not self._acted(event, seen):
            self._restamp(event, seen, version)

    def _is_replaced(self, event: Event, seen: PhotoVersion) -> bool:
        """Whether the object is another one by now. A folder's stamps tell that to the next rescan."""
        if not isinstance(self.inbox, S3Store) or not seen.etags:
            return False
        return self.inbox.version(event.path) not in (None, seen.etags[0])

    def _acted(self, event: Event, seen: PhotoVersion) -> bool:
        """Whether the photo was, or may yet be, taken out of the inbox; else it stays there, and is settled."""
        try:
            if self.after.acts:
                self.after.act(event.path, seen.checksums)
            return self.after.takes
        except (Conflict, OSError) as error:
            level = logging.ERROR if isinstance(error, OSError) else logging.WARNING
            _log.log(level, "after.failed", extra={"uri": event.uri, "after": self.after.what, "why": str(error)})
            return isinstance(error, OSError) and error.errno not in _NEVER

    def _refused(self, event: Event, standing: Standing, reply: Refused) -> Outcome:
        with self.writer.turn(event.path, standing.version):
            return self._reject(event, standing, reply)

    def _reject(self, event: Event, standing: Standing, reply: Refused) -> Outcome:
        self._commit(event, standing, reply.seen, report.rejected(event, reply, standing.attempt))
        return Rejected(reply.reason, reply.hint)

    def _failure(self, event: Event, standing: Standing, reason: str, error: str) -> Outcome:
        """A counted failure: tried again with growing pauses, or reported when the attempts are used up."""
        count = self.attempts.failed(event.path, error, reason)
        if count < self._limit():
            return Failed(reason, error, _FAILURES.after(count))
        return self._used_up(event, standing, reason, error)

    def _limit(self) -> int:
        return min(self.max_attempts, self.most_attempts() or self.max_attempts)

    def _used_up(self, event: Event, standing: Standing, reason: str, error: str) -> Outcome:
        seen = self._look(event, standing)
        attempt = min(standing.attempt, self._limit())
        with self.writer.turn(event.path, standing.version):
            self.attempts.reporting(event.path, standing.version)
            self._commit(event, standing, seen, report.failed(event, seen, reason, error, attempt))
        return self._over(event, seen, Failed(reason, error))

    def _look(self, event: Event, standing: Standing) -> PhotoVersion:
        """What the report of a photo that could not be processed says of its content."""
        unknown = PhotoVersion(Checksums(None, 0), 0, 0)
        try:
            reply = self.pool.look(self._job(event, standing))
        except (WorkerDied, WorkerTimedOut):
            return unknown
        return reply.seen if isinstance(reply, Same) else unknown

    def _commit(self, event: Event, standing: Standing, seen: PhotoVersion, text: report.Report) -> None:
        about, stamp = self._about(event, seen), self._stamp(seen)
        self.writer.commit(event.path, text, replaces=standing.version, changed_ns=stamp, about=about)

    def _restamp(self, event: Event, seen: PhotoVersion, version: str | None) -> None:
        self.report_store.restamp(event.path, self._stamp(seen), version, self._about(event, seen))

    def _about(self, event: Event, seen: PhotoVersion) -> dict[str, str]:
        """Of an object that could not be read only the event tells the version."""
        unread = (event.version,) if isinstance(self.inbox, S3Store) and event.version else ()
        return made_from(seen.etags or unread)

    def _stamp(self, seen: PhotoVersion) -> int:
        if seen.etags:  # they tell one content from another, however soon it followed
            return seen.changed_ns
        return trusted_stamp(seen.changed_ns, seen.read_at_ns, self.report_store.granularity)


def _unread(event: Event, reply: Changed | Away) -> Failed:
    if isinstance(reply, Away):
        return Failed("inbox_unavailable", reply.error, _later(event))
    return Failed("changed", "the photo changed while it was read", _SOON)


def _later(event: Event) -> float:
    """Seconds until something that is away is tried again."""
    return min(_LATER * event.attempt, _LONGEST)
