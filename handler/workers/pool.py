"""The model workers: processes that hold the models, each supervised and replaced by a thread of its own."""

import functools
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from handler.workers import child
from handler.workers.messages import Job, Reply
from handler.workers.round_robin import RoundRobin
from handler.workers.worker_process import Handler, RequestNotStarted, WorkerDied, WorkerProcess, WorkerTimedOut
from pipeline.errors import ModelError
from pipeline.models.model_set import ModelSet
from sources.backoff import Backoff

LoadModels = Callable[[ModelSet], Handler]
"""Loads the models inside a worker process. Picklable; may raise ModelError."""

_log = logging.getLogger(__name__)

_LOAD_SECONDS: Final = 300.0
"""Enough for the slowest disk; a process that takes longer hangs."""

_BACKOFF: Final = Backoff(first=1.0, factor=2.0, longest=60.0)
_POLL_SECONDS: Final = 5.0
_STABLE_SECONDS: Final = 60.0
"""A worker that has lived this long, or has answered, clears the failures before it."""

_MAX_FAILURES: Final = 3
"""Failures in a row after which a missing worker is a reason not to be ready."""


class PoolUnavailable(Exception):
    """No worker can take the photo now. The photo is not the cause."""


@dataclass(frozen=True, eq=False, slots=True)
class PoolLane:
    """A queue of its own for the pool's workers. Lanes are served round-robin, so that none starves another.

    Attributes:
        pool: Whose workers process the photos.
        max_wait: Seconds that a job waits for a worker; None waits without end.
    """

    pool: "ModelPool"
    max_wait: float | None = None

    def run(self, job: Job) -> Reply:
        """As `ModelPool.run`, in this lane."""
        return self.pool.run(job, self)


class ModelPool:
    """Worker processes that each process one photo at a time.

    A worker that ends is replaced: at once if a photo ended it, after a growing pause if it did not load or was idle.

    Args:
        build: Selects and verifies the models. May raise ModelError.
        workers: How many processes.
        timeout: Seconds that a photo may take; its worker is killed then.
        on_death: Called after each worker that ended unexpectedly.
        load: Loads the models inside a worker.
    """

    def __init__(
        self,
        build: Callable[[], ModelSet],
        workers: int,
        timeout: float,
        on_death: Callable[[], None] = lambda: None,
        load: LoadModels = child.load,
    ) -> None:
        self._build, self._timeout, self._on_death, self._load = build, timeout, on_death, load
        self._changed = threading.Condition()
        self._verifying = threading.Lock()
        self._running: set[WorkerProcess] = set()
        self._loaded: set[WorkerProcess] = set()
        self._idle: set[WorkerProcess] = set()
        self._busy: set[WorkerProcess] = set()
        self._round_robin = RoundRobin()
        self._default_lane = PoolLane(self)
        self._failures_in_a_row = [0] * workers
        self._reason = "models are loading"
        self._was_loaded = self._draining = self._stopping = self._verified = False
        self._threads = [
            threading.Thread(target=self._supervise, args=[number], daemon=True) for number in range(workers)
        ]
        self.model_set: ModelSet | None = None
        self.device = ""
        self.load_seconds = 0.0
        self.deaths = 0
        self.failures = 0

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def unready(self) -> str | None:
        """Why no photo can be processed now; None if one can, and while dead workers are being replaced."""
        with self._changed:
            being_replaced = self._was_loaded and min(self._failures_in_a_row) < _MAX_FAILURES
            return None if self._loaded or being_replaced else self._reason

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until a worker has loaded its models. False if none has in time, or when the pool is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._loaded or self._ending(), timeout)
            return bool(self._loaded)

    def waiting(self) -> int:
        """How many jobs wait for a worker."""
        with self._changed:
            return len(self._round_robin)

    def run(self, job: Job, lane: PoolLane | None = None) -> Reply:
        """Process one photo in a worker, as soon as one is free.

        Raises:
            WorkerDied: Its worker ended.
            WorkerTimedOut: It took too long, and its worker was killed.
            PoolUnavailable: No worker was free within the lane's `max_wait`, or the pool is stopping.
        """
        while True:
            process = self._acquire(lane or self._default_lane)
            try:
                reply: Reply = process.ask(job, self._timeout)
            except RequestNotStarted:
                continue
            except (WorkerDied, WorkerTimedOut) as error:
                with self._changed:
                    self._loaded.discard(process)  # tells its thread that it did not end idle
                if self._stopping:
                    raise PoolUnavailable("the service is stopping") from error
                raise
            else:
                return reply
            finally:
                self._release(process)

    def stop_waiting(self) -> None:
        """Stop waiting for models to load, now and later. Jobs in work go on."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End all workers, busy ones too."""
        with self._changed:
            self._stopping = True
            for process in self._running:
                process.kill()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    # In the thread of whoever has a job

    def _acquire(self, lane: PoolLane) -> WorkerProcess:
        with self._changed:
            ticket = self._round_robin.join(lane)

            def is_next() -> bool:
                return bool(self._idle) and self._round_robin.is_next(ticket)

            self._changed.wait_for(
                lambda: is_next() or self._stopping or (self._draining and not self._loaded), lane.max_wait
            )
            self._changed.notify_all()  # whoever is next now may find another idle worker
            if self._stopping or not is_next():
                self._round_robin.leave(lane, ticket)
                if self._ending():
                    raise PoolUnavailable("the service is stopping")
                raise PoolUnavailable(f"no worker was free for {lane.max_wait:g} s")
            self._round_robin.served(lane, ticket)
            process = self._idle.pop()
            self._busy.add(process)
            return process

    def _release(self, process: WorkerProcess) -> None:
        ended = process.ends_within(0)
        with self._changed:
            self._busy.discard(process)
            if not ended:
                self._idle.add(process)
            self._changed.notify_all()

    # In the thread of each worker

    def _supervise(self, number: int) -> None:
        while not self._ending():
            start = time.monotonic()
            process = self._start_process()
            failed = process is None or self._ends_idle(process)
            proven = process is not None and (process.answered > 0 or time.monotonic() - start > _STABLE_SECONDS)
            with self._changed:
                self._failures_in_a_row[number] = (0 if proven else self._failures_in_a_row[number]) + failed
                pause = _BACKOFF.after(self._failures_in_a_row[number]) if failed else 0.0
                self._changed.wait_for(self._ending, pause)

    def _ending(self) -> bool:
        return self._draining or self._stopping

    def _start_process(self) -> WorkerProcess | None:
        """A process that has loaded its models, now idle. None if that failed; the reason is kept."""
        start = time.monotonic()
        process: WorkerProcess | None = None
        try:
            process = WorkerProcess(functools.partial(self._load, self._verified_models()))
            with self._changed:
                self._running.add(process)
                if self._stopping:
                    process.kill()
            device = process.load(_LOAD_SECONDS)
        except (ModelError, OSError, WorkerDied, WorkerTimedOut) as error:
            self._load_failed(error)
            if process:
                self._forget(process)
            return None
        with self._changed:
            self.device, self.load_seconds, self._was_loaded = device, time.monotonic() - start, True
            self._loaded.add(process)
            self._idle.add(process)
            self._changed.notify_all()
        return process

    def _verified_models(self) -> ModelSet:
        """Hashed once for all workers; again after a failure, because a file may have been replaced."""
        with self._verifying:
            if self.model_set is None or not self._verified:
                self.model_set = self._build()
                self._verified = True
            return self.model_set

    def _load_failed(self, error: Exception) -> None:
        not_started = f"the model worker did not start ({sys.executable}: {error}); see the log for what it printed"
        reason = str(error) if isinstance(error, ModelError) else not_started
        with self._changed:
            self._verified = False
            self._reason = reason
            self.failures += 1
        if not self._ending():
            _log.error("models.failed", extra={"reason": reason, "next": "it is tried again, with growing pauses"})

    def _ends_idle(self, process: WorkerProcess) -> bool:
        """Wait until the process ends. Whether it was idle, so that no photo was the cause."""
        while not (process.ends_within(_POLL_SECONDS) or self._stopping or process not in self._loaded):
            pass
        with self._changed:
            self._changed.wait_for(lambda: process not in self._busy)
            idle = process in self._loaded
            self._loaded.discard(process)
            self._idle.discard(process)
            self._reason = "the model workers ended; new ones are starting"
            self.deaths += not self._stopping
            self._changed.notify_all()
        if not self._stopping:
            self._on_death()
        self._forget(process)
        return idle

    def _forget(self, process: WorkerProcess) -> None:
        process.end()
        process.close()
        with self._changed:
            self._running.discard(process)
