"""Works on jobs: every photo on the model workers, the images and the record into the outbox."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from handler.api.fair_threads import FairThreads
from handler.api.models import Item
from handler.api.models import Job as JobRecord
from handler.api.store import JobStore, path_of
from handler.config.options import ResolvedOptions
from handler.outbox.writer import named, output
from handler.processing import report
from handler.processing.activity import Activity
from handler.processing.process import Pool
from handler.processing.slots import log_outcome
from handler.workers.messages import Job, Reply
from handler.workers.outcome import Done, Failed, Outcome, Processed, Rejected
from handler.workers.pool import PoolUnavailable
from handler.workers.worker_process import WorkerDied, WorkerTimedOut
from pipeline.reasons import REASONS
from pipeline.recipe import Recipe
from pipeline.types import Limits
from sources.events import Event
from sources.stores.base import Conflict, Store

NO_FACE: Final = "No face could be detected in the image"
"""The original's words, which its clients may show."""

INTERRUPTED: Final = "The service ended while this photo was in work: send it again."

_log = logging.getLogger(__name__)


class JobUnavailable(Exception):
    """There is no result now, and the photos are not the reason: the outbox or the workers are away."""


@dataclass(slots=True)
class _Run:
    """A job in work. `uploads` holds its photos, at `upload_path`."""

    job: JobRecord
    version: str
    base: ResolvedOptions
    uploads: Store
    left: int
    began: float = field(default_factory=time.monotonic)
    future: Future[JobRecord] = field(default_factory=Future)
    hindrance: str | None = None


class Jobs:
    """`threads` photos at once at most; they wait for the workers in `pool`'s lane, jobs in turns.

    `ended` is called with every job that is over.
    """

    def __init__(
        self,
        store: JobStore,
        pool: Pool,
        activity: Activity,
        limits: Limits,
        threads: int,
        ended: Callable[[JobRecord], None] = lambda _job: None,
    ) -> None:
        self.store, self._pool, self._activity, self._limits, self._ended = store, pool, activity, limits, ended
        self._threads = FairThreads(threads)
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._starting: set[str] = set()

    def create(self, job: JobRecord) -> str:
        """Write the record of a job that `submit` follows; returns its version. Conflict if the id is taken."""
        with self._lock:
            self._starting.add(job.id)
        try:
            return self.store.create(job)
        except (OSError, Conflict):
            self.abandon(job.id)
            raise

    def abandon(self, job_id: str) -> None:
        """The created job is not submitted after all."""
        with self._lock:
            self._starting.discard(job_id)

    def submit(
        self, job: JobRecord, version: str, base: ResolvedOptions, uploads: Store | None = None
    ) -> Future[JobRecord]:
        """Begin; the future has the finished job, or JobUnavailable. `uploads`: of a job that does not last."""
        waiting = [item for item in job.items if item.error is None and item.report is None]
        run = _Run(job, version, base, uploads or self.store.outbox, len(waiting))
        with self._lock:
            self._runs[job.id] = run
            self._starting.discard(job.id)
        for item in waiting:
            self._threads.submit(job.id, partial(self._work, run, item))
        if not waiting:
            self._finish(run)
        return run.future

    def quick(self, name: str, uploads: Store, path: str, base: ResolvedOptions) -> Future[Reply]:
        """One photo of which nothing is kept; the future has the worker's reply, or JobUnavailable."""
        future: Future[Reply] = Future()
        self._threads.submit(name, partial(self._quick, name, uploads, path, base, future))
        return future

    def current(self, job_id: str) -> Future[JobRecord] | None:
        """The future of a job that is in work here."""
        with self._lock:
            run = self._runs.get(job_id)
        return run.future if run else None

    def is_begun(self, job_id: str) -> bool:
        """Whether one of the job's photos is in work here, or was."""
        with self._lock:
            return job_id in self._runs and self._runs[job_id].job.status == "running"

    def has(self, job_id: str) -> bool:
        """Whether the job is in work here, or about to be."""
        with self._lock:
            return job_id in self._runs or job_id in self._starting

    def forget(self, job_id: str) -> None:
        """The job is deleted: its photos that nobody works on yet are left out."""
        with self._lock:
            run = self._runs.get(job_id)
        if run:
            self._less(run, self._threads.drop(job_id))

    def drain(self) -> None:
        """Finish what clients wait for; what lasts is left to the next service, but for the photos in work."""
        with self._lock:
            lasting = [run for run in self._runs.values() if run.job.lasting]
        for run in lasting:
            if dropped := self._threads.drop(run.job.id):
                run.hindrance = "the service is stopping"
                self._less(run, dropped)
        self._threads.drain()

    def resume(self, job: JobRecord, version: str, service: str, attempts: int) -> None:
        """Take up the job of a service that died; fail it where its photos are gone, or it ended that many services."""
        job = job.model_copy(update={"owner": service, "attempts": job.attempts + 1, "status": "queued"})
        if job.lasting and job.attempts < attempts:
            version = self.store.replace(job, version)
            self.submit(job, version, ResolvedOptions(Recipe(**job.recipe), job.origins))
            return
        for item in job.items:
            if item.report is None and item.error is None:
                item.error, item.error_message = "interrupted", INTERRUPTED
        job.status, job.finished = "failed", time.time()
        self.store.replace(job, version)
        self._ended(job)

    def _less(self, run: _Run, number: int) -> None:
        """So many photos of the run are over."""
        with self._lock:
            run.left -= number
            last = run.left == 0 and number > 0
        if last:
            self._finish(run)

    def _work(self, run: _Run, item: Item) -> None:
        try:
            run.job.status = "running"
            self._photo(run, item, _event(run.job.id, item.number, upload_path(run.job.id, item.number)))
        except (OSError, Conflict) as error:
            run.hindrance = f"the outbox: {error}"
        except PoolUnavailable as error:
            run.hindrance = str(error)
        except Exception:  # noqa: BLE001  # a fault in our own code costs this photo, and no thread
            _log.exception("photo.error", extra={"job": run.job.id})
            item.error, item.error_message = "processing_error", REASONS["processing_error"]
        self._less(run, 1)

    def _photo(self, run: _Run, item: Item, event: Event) -> None:
        with self._settling(event) as settle:
            reply = self._reply(Job(run.uploads, event.path, run.base, {}, self._limits))
            settle(self._conclude(run, item, event, reply))

    @contextmanager
    def _settling(self, event: Event) -> Iterator[Callable[[Outcome], None]]:
        """The photo is in work; it gets the outcome that is handed in, or none if an error comes first."""
        outcomes: list[Outcome] = [Failed("processing_error", "it was not worked on", 1.0)]
        self._activity.taken(event)
        try:
            yield outcomes.append
        finally:
            self._activity.settled(event, outcomes[-1])
            log_outcome(event, outcomes[-1])

    def _reply(self, job: Job) -> Reply:
        """A worker that dies is asked once more: another photo's memory may have been the reason."""
        for last in (False, True):
            try:
                return self._pool.run(job)
            except WorkerDied as error:
                if last:
                    return Failed("processing_crashed", str(error))
            except WorkerTimedOut as error:
                return Failed("processing_timed_out", str(error))
        raise AssertionError

    def _conclude(self, run: _Run, item: Item, event: Event, reply: Reply) -> Outcome:
        match reply:
            case Processed():
                item.report = report.done(event, reply, self._stored(run.job, item, reply), 1)
                outcome: Outcome = Done((), reply.result.stages_ms)
            case Rejected(reason, hint):
                item.report = report.rejected(event, reply, 1)
                item.error, item.error_message = reason, NO_FACE if reason == "no_face_detected" else hint
                outcome = reply
            case Failed(reason, error):
                reason = reason if reason in REASONS else "processing_error"
                item.report = report.failed(event, reply.seen, reason, error, 1)
                item.error, item.error_message = reason, REASONS[reason]
                outcome = Failed(reason, error)
            case _:
                item.error, item.error_message = "interrupted", INTERRUPTED
                return reply
        item.report["notes"] = [*item.report.get("notes", []), *run.job.notes]
        item.report["source"] = {**item.report["source"], "name": item.filename}
        return outcome

    def _stored(self, job: JobRecord, item: Item, reply: Processed) -> list[list[report.Report]]:
        """Write the images; the report's entries for them."""
        entries = []
        for files in named(str(item.number), reply.result.portraits):
            kept = [(name, picture) for name, picture in files if job.png or picture.kind != "png"]
            for name, picture in kept:
                self.store.put(job.id, name, picture.data)
            entries.append([output(path_of(job.id, name), picture) for name, picture in kept])
        return entries

    def _finish(self, run: _Run) -> None:
        job = run.job
        if run.hindrance is None:
            job.status = "done" if any(item.success for item in job.items) else "failed"
            job.finished = time.time()
            job.milliseconds = round(1000 * (time.monotonic() - run.began))
            try:
                self.store.replace(job, run.version)
            except Conflict:  # it was deleted meanwhile
                with suppress(OSError):
                    self.store.delete(job.id)
            except OSError as error:
                run.hindrance = f"the outbox: {error}"
        with self._lock:
            self._runs.pop(job.id, None)
        if run.hindrance is not None:
            run.future.set_exception(JobUnavailable(run.hindrance))
            return
        with suppress(OSError):  # what is left goes with the job
            for item in job.items if job.lasting else ():
                self.store.drop(job.id, f"upload-{item.number}")
        run.future.set_result(job)
        self._ended(job)

    def _quick(self, name: str, uploads: Store, path: str, base: ResolvedOptions, future: Future[Reply]) -> None:
        try:
            with self._settling(_event(name, 1, path)) as settle:
                reply = self._reply(Job(uploads, path, base, {}, self._limits))
                settle(Done((), reply.result.stages_ms) if isinstance(reply, Processed) else reply)
                future.set_result(reply)
        except PoolUnavailable as error:
            future.set_exception(JobUnavailable(str(error)))
        except Exception as error:  # noqa: BLE001  # as above; whoever waits is told
            future.set_exception(error)


def upload_path(job_id: str, number: int) -> str:
    return path_of(job_id, f"upload-{number}")


def _event(job_id: str, number: int, path: str) -> Event:
    return Event(f"upload:{job_id}/{number}", path, "", source="api", queued_at=time.monotonic())
