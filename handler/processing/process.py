"""One photo, from event to outcome. The only place that decides what is final and what is tried again."""

import errno
import logging
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final, Protocol

from handler.config.options import Presets, ResolvedOptions
from handler.config.settings import CommonSettings
from handler.outbox.attempts import Attempt, Attempts, InWork
from handler.outbox.metadata import source_metadata
from handler.outbox.originals import AfterPolicy
from handler.outbox.photo_version import UNREAD, PhotoVersion
from handler.outbox.reports import NO_REPORT, ReportStore, StoredReport, done_checksums, trusted_stamp, untrusted_stamp
from handler.outbox.writer import OutboxWriter
from handler.processing import report
from handler.processing.locks import PhotoLocks
from handler.workers.messages import Job, Reply
from handler.workers.outcome import Done, Failed, Outcome, Processed, Rejected, Skipped, Vanished
from handler.workers.pool import PoolUnavailable
from handler.workers.worker_process import WorkerDied, WorkerTimedOut
from pipeline.errors import PhotoRejected
from pipeline.types import Limits
from sources.backoff import Backoff
from sources.events import Event
from sources.stores.base import Conflict
from sources.stores.location import AnyStore

_log = logging.getLogger(__name__)

_SOON: Final = 1.0
_LATER: Final = 10.0
_LONGEST: Final = 60.0
_ELSEWHERE: Final = Backoff(first=5.0, factor=2.0, longest=_LONGEST)
_FAILURES: Final = Backoff(first=2.0, factor=2.0, longest=_LONGEST)
_NEVER: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR)
"""errno values that a retry does not fix."""


class Pool(Protocol):
    """Processes photos; see `handler.workers.pool.ModelPool`."""

    def run(self, job: Job) -> Reply: ...


@dataclass(frozen=True, slots=True)
class _Task:
    """One photo in work: its event, the attempt, and the report that the next one replaces."""

    event: Event
    attempt: Attempt
    replaces: StoredReport

    @property
    def path(self) -> str:
        return self.event.path


@dataclass(frozen=True, slots=True)
class Process:
    """Callable: Event -> Outcome. No photo makes it raise."""

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
    """How often the queue delivers a photo at most, if there is a queue: the report must be written before that."""

    @classmethod
    def between(
        cls, inbox: AnyStore, outbox: AnyStore, attempts: Attempts, pool: Pool, settings: CommonSettings
    ) -> "Process":
        """The one way to make it: between two stores, as the settings say."""
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
            return self._with_lock(event)
        finally:
            self.locks.leave(event.path)

    def _with_lock(self, event: Event) -> Outcome:
        alone = self.attempts.is_suspect(event.path)
        with self.locks.alone() if alone else self.locks.together():
            return self._guarded(event, alone=alone)

    def _guarded(self, event: Event, *, alone: bool) -> Outcome:
        """Faults of inbox, outbox and pool cost no attempt: the photo is given back and tried later."""
        try:
            return self._attempt(event, alone=alone)
        except InWork as error:
            # not each second: a queue counts how often it delivers a message
            outcome = Failed("conflict", str(error), _ELSEWHERE.after(event.attempt))
        except Conflict as error:
            outcome = Failed("conflict", str(error), _SOON)
        except PoolUnavailable as error:
            outcome = Failed("no_workers", str(error), _SOON)
        except OSError as error:
            outcome = Failed("outbox_unavailable", str(error), _later(event))
        except Exception:  # noqa: BLE001  # a fault in our own code costs the photo an attempt, and no thread
            return self._own_fault(event, alone=alone)
        return self._give_back(event, outcome)

    def _give_back(self, event: Event, outcome: Failed) -> Failed:
        try:
            self.attempts.release(event.path, self.writer.tidy)
        except OSError as error:  # the outbox is full or away; a marker that is left counts no attempt by itself
            return Failed(outcome.reason, f"{outcome.error}; {error}", outcome.retry_in)
        return outcome

    def _own_fault(self, event: Event, *, alone: bool) -> Outcome:
        _log.exception("photo.error", extra={"uri": event.uri})
        trace = traceback.format_exc(limit=-8)
        try:
            return self._failure(self._begin(event, None, alone=alone), "processing_error", trace)
        except Exception:  # noqa: BLE001  # it cannot even be counted: tried again as rarely as possible
            _log.exception("photo.error", extra={"uri": event.uri})
            return Failed("processing_error", trace, _LONGEST)

    def _attempt(self, event: Event, *, alone: bool) -> Outcome:
        found = None
        if self.inbox.has_etags:
            found = self.report_store.read(event.path)
            if seen := self._done_already(event, found):
                return Skipped(seen=seen)
        task = self._begin(event, found, alone=alone)
        if task.attempt.number > self._limit():
            return self._used_up(task, *self.attempts.last_failure(event.path))
        try:
            reply = self.pool.run(self._job(task))
        except WorkerDied as error:
            return self._failure(task, "processing_crashed", str(error))
        except WorkerTimedOut as error:
            return self._failure(task, "processing_timed_out", str(error))
        return self._conclude(task, reply)

    def _done_already(self, event: Event, found: StoredReport) -> PhotoVersion | None:
        """The photo's version if it is done, found without a marker, a worker or a write; None: process the photo."""
        if self.after.acts or self.attempts.is_marked(event.path):
            return None
        try:
            return self.report_store.done_version(event.path, found, self.inbox)
        except OSError:  # it cannot be read: what that means is decided where photos are read
            return None

    def _begin(self, event: Event, found: StoredReport | None, *, alone: bool) -> _Task:
        """Mark the photo, and read its report unless what was `found` before still holds.

        A report that another service wrote just before the marker must not be missed. But if there was neither a report
        nor a marker, the report is not read again: the other service would have had to publish, report and remove its
        marker between two requests of this one. If that does happen, this one's first image or its report is refused,
        because each is written only if nothing is there; what it did write is deleted, and the photo is compared again.
        """
        attempt = self.attempts.begin(event.path, alone=alone)
        if found is None or found != NO_REPORT or not attempt.clean:
            found = self.report_store.read(event.path)
        return _Task(event, attempt, found)

    def _job(self, task: _Task) -> Job:
        return Job(self.inbox, task.path, self.base, self.presets, self.limits, done_checksums(task.replaces.content))

    def _conclude(self, task: _Task, reply: Reply) -> Outcome:
        match reply:
            case Processed():
                return self._finish(task, self._processed(task, reply))
            case Rejected():
                return self._finish(task, self._rejected(task, reply))
            case Skipped():
                return self._finish(task, self._skipped(task, reply))
            case Vanished():
                if not task.attempt.clean:
                    self.writer.tidy(task.path)
                self.attempts.done(task.path)
                return reply
            case Failed(reason, error) if reply.counts:
                return self._failure(task, reason, error)
            case Failed(reason):
                wait = _SOON if reason == "changed" else _later(task.event)
                return self._give_back(task.event, replace(reply, retry_in=wait))

    def _finish(self, task: _Task, outcome: Outcome) -> Outcome:
        """The report is written. A photo that was replaced meanwhile gets a marker, because dates may hide it."""
        # in a folder, dates tell the next rescan
        if outcome.version and self.inbox.version(task.path) not in (None, outcome.version):
            self.attempts.mark_replaced(task.path)
            return Failed("conflict", "the photo was replaced while it was processed", _SOON)
        self.attempts.done(task.path)
        return outcome

    def _skipped(self, task: _Task, reply: Skipped) -> Skipped:
        done = (task.replaces.content or {}).get("outcome") == "done"
        if not task.attempt.first:
            self.writer.tidy(task.path)
        with self._locked(task):
            if not (done and self._apply_after(task.event, reply.seen)):
                self._restamp(task.event, reply.seen, task.replaces.version)
        return reply

    def _processed(self, task: _Task, reply: Processed) -> Outcome:
        with self._locked(task):
            self.attempts.publishing(task.path)
            try:
                outputs = self.writer.publish(task.path, reply.result.portraits, task.replaces)
            except PhotoRejected as blocked:
                return self._reject(task, Rejected(blocked.reason, blocked.hint, reply.recipe, seen=reply.seen))
            self._done(task, reply.seen, report.done(task.event, reply, outputs, task.attempt.number))
        names = tuple(str(file["name"]) for files in outputs for file in files)
        return Done(names, reply.result.stages_ms, tuple(reply.result.facts["notes"]), seen=reply.seen)

    def _done(self, task: _Task, seen: PhotoVersion, text: report.Report) -> None:
        if not self.after.acts:
            self._commit(task, seen, text)
            return
        # until the photo has left the inbox: if the service dies before that, the photo is found again
        unsettled = untrusted_stamp(seen.changed_ns, self.report_store.granularity)
        version = self.writer.commit(
            task.path, text, replaces=task.replaces, changed_ns=unsettled, clean=task.attempt.clean
        )
        if not self._apply_after(task.event, seen):
            self._restamp(task.event, seen, version)

    def _locked(self, task: _Task) -> AbstractContextManager[None]:
        return self.writer.locked(task.path, task.replaces, exclusive=task.attempt.is_exclusive())

    def _apply_after(self, event: Event, seen: PhotoVersion) -> bool:
        """Whether the photo has left the inbox, or may do so yet; else it stays there and counts as done."""
        try:
            if self.after.acts:
                self.after.act(event.path, seen.checksums)
            return self.after.takes
        except (Conflict, OSError) as error:
            level = logging.ERROR if isinstance(error, OSError) else logging.WARNING
            _log.log(level, "after.failed", extra={"uri": event.uri, "after": self.after.action, "why": str(error)})
            return isinstance(error, OSError) and error.errno not in _NEVER

    def _rejected(self, task: _Task, reply: Rejected) -> Rejected:
        with self._locked(task):
            return self._reject(task, reply)

    def _reject(self, task: _Task, reply: Rejected) -> Rejected:
        self._commit(task, reply.seen, report.rejected(task.event, reply, task.attempt.number))
        return reply

    def _failure(self, task: _Task, reason: str, error: str) -> Outcome:
        """Count a failed attempt. The photo is tried again after a growing pause, or reported when none is left."""
        count = self.attempts.failed(task.path, error, reason)
        if count < self._limit():
            return Failed(reason, error, _FAILURES.after(count))
        return self._used_up(task, reason, error)

    def _limit(self) -> int:
        return min(self.max_attempts, self.most_attempts() or self.max_attempts)

    def _used_up(self, task: _Task, reason: str, error: str) -> Outcome:
        seen = self._look(task)
        number = min(task.attempt.number, self._limit())
        with self._locked(task):
            self.attempts.reporting(task.path, task.replaces.version)
            self._commit(task, seen, report.failed(task.event, seen, reason, error, number))
        return self._finish(task, Failed(reason, error, seen=seen))

    def _look(self, task: _Task) -> PhotoVersion:
        """What a report can say about the content of a photo that could not be processed."""
        try:
            return self.pool.run(replace(self._job(task), version_only=True)).seen
        except (WorkerDied, WorkerTimedOut):
            return UNREAD

    def _commit(self, task: _Task, seen: PhotoVersion, text: report.Report) -> None:
        self.writer.commit(
            task.path,
            text,
            replaces=task.replaces,
            changed_ns=self._stamp(seen),
            metadata=self._metadata(task.event, seen),
            clean=task.attempt.clean,
        )

    def _restamp(self, event: Event, seen: PhotoVersion, version: str | None) -> None:
        self.report_store.restamp(event.path, self._stamp(seen), version, self._metadata(event, seen))

    def _metadata(self, event: Event, seen: PhotoVersion) -> dict[str, str]:
        """If the object could not be read, only the event has its version."""
        unread = (event.version,) if self.inbox.has_etags and event.version else ()
        return source_metadata(seen.etags or unread)

    def _stamp(self, seen: PhotoVersion) -> int:
        if seen.etags:  # etags differ for different contents, however soon one followed the other
            return seen.changed_ns
        return trusted_stamp(seen.changed_ns, seen.read_at_ns, self.report_store.granularity)


def _later(event: Event) -> float:
    """Seconds until something that is away is tried again."""
    return min(_LATER * event.attempt, _LONGEST)
