"""The model workers: processes that hold the models, each supervised and replaced by a thread of its own."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from handler.workers import child
from handler.workers.messages import Job, Reply
from handler.workers.process import Load, ModelProcess, NotBegun, Task, WorkerDied, WorkerTimedOut
from handler.workers.round_robin import RoundRobin
from pipeline.errors import ModelError
from pipeline.models.model_set import ModelSet
from sources.backoff import Backoff

_log = logging.getLogger(__name__)

_LOAD_SECONDS: Final = 300.0
"""Enough for the slowest disk; a process that takes longer hangs."""

_BACKOFF: Final = Backoff(first=1.0, factor=2.0, longest=60.0)
_LOOK_SECONDS: Final = 5.0
_STEADY: Final = 60.0
"""A worker that has lived this many seconds, or answered, makes good for the setbacks before it."""

_PATIENCE: Final = 3
"""Setbacks in a row after which a worker that is missing is a reason not to be ready."""


class PoolUnavailable(Exception):
    """There are no workers just now; the photo has nothing to do with it."""


class Lane:
    """A way of its own to a pool's workers. Lanes are served in turns: none starves another, however many wait in it.

    `patience` is how many seconds a job waits for a worker; None has no end.
    """

    def __init__(self, answer: Callable[[Task, Job, "Lane"], Reply], patience: float | None = None) -> None:
        self._answer = answer
        self.patience = patience

    def run(self, job: Job) -> Reply:
        """Process one photo; WorkerDied, WorkerTimedOut or PoolUnavailable where there is no reply."""
        return self._answer("work", job, self)

    def look(self, job: Job) -> Reply:
        """Only read the photo: Skipped where that works. Raises as `run` does."""
        return self._answer("look", job, self)


class ModelPool:
    """`workers` processes with the models of the kit that `build` verifies. One photo each, `timeout` seconds at most.

    One that ends is replaced: at once where a photo ended it, with growing pauses where it did not load or was idle.
    """

    def __init__(
        self,
        build: Callable[[], ModelSet],
        workers: int,
        timeout: float,
        on_death: Callable[[], None] = lambda: None,
        load: Load = child.load,
    ) -> None:
        self._build, self._timeout, self._on_death, self._load = build, timeout, on_death, load
        self._changed = threading.Condition()
        self._verifying = threading.Lock()
        self._running: set[ModelProcess] = set()
        self._loaded: set[ModelProcess] = set()
        self._idle: set[ModelProcess] = set()
        self._busy: set[ModelProcess] = set()
        self._round_robin = RoundRobin()
        self._own_lane = Lane(self._answer)
        self._setbacks = [0] * workers
        self._reason = "models are loading"
        self._begun = self._draining = self._stopping = self._verified = False
        self._seats = [threading.Thread(target=self._keep, args=[seat], daemon=True) for seat in range(workers)]
        self.model_set: ModelSet | None = None
        self.device = ""
        self.load_seconds = 0.0
        self.deaths = 0
        self.failures = 0

    def start(self) -> None:
        for seat in self._seats:
            seat.start()

    def unready(self) -> str | None:
        """Why no photo can be processed now; None where all is well, also while dead workers are replaced."""
        with self._changed:
            replaced = self._begun and min(self._setbacks) < _PATIENCE
            return None if self._loaded or replaced else self._reason

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Whether the models were loaded within the time; at once False when the pool is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._loaded or self._ending(), timeout)
            return bool(self._loaded)

    def run(self, job: Job) -> Reply:
        """As `Lane.run`, in the pool's own lane."""
        return self._own_lane.run(job)

    def look(self, job: Job) -> Reply:
        return self._own_lane.look(job)

    def lane(self, patience: float) -> Lane:
        """Another one."""
        return Lane(self._answer, patience)

    def stop_waiting(self) -> None:
        """From now on nobody waits for models to be loaded, or loaded again; what is in work goes on."""
        with self._changed:
            self._draining = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End all workers, also those at work."""
        with self._changed:
            self._stopping = True
            for process in self._running:
                process.kill()
            self._changed.notify_all()
        for seat in self._seats:
            seat.join()

    # Whoever has a job

    def _answer(self, task: Task, job: Job, lane: Lane) -> Reply:
        while True:
            process = self._taken(lane)
            try:
                return process.ask(task, job, self._timeout)
            except NotBegun:
                continue
            except (WorkerDied, WorkerTimedOut) as error:
                with self._changed:
                    self._loaded.discard(process)  # so it did not end idle
                if self._stopping:
                    raise PoolUnavailable("the service is stopping") from error
                raise
            finally:
                self._give_back(process)

    def _taken(self, lane: Lane) -> ModelProcess:
        with self._changed:
            ticket = self._round_robin.join(lane)
            self._changed.wait_for(lambda: self._ends_waiting(ticket), lane.patience)
            self._changed.notify_all()  # whoever is next now may find another idle worker
            if self._stopping or not self._has_turn(ticket):
                self._round_robin.leave(lane, ticket)
                raise PoolUnavailable(self._why_none(lane))
            self._round_robin.served(lane, ticket)
            process = self._idle.pop()
            self._busy.add(process)
            return process

    def _ends_waiting(self, ticket: object) -> bool:
        return self._has_turn(ticket) or self._stopping or (self._draining and not self._loaded)

    def _has_turn(self, ticket: object) -> bool:
        return bool(self._idle) and self._round_robin.is_next(ticket)

    def _why_none(self, lane: Lane) -> str:
        return "the service is stopping" if self._ending() else f"no worker was free for {lane.patience:g} s"

    def _give_back(self, process: ModelProcess) -> None:
        over = process.ends_within(0)
        with self._changed:
            self._busy.discard(process)
            if not over:
                self._idle.add(process)
            self._changed.notify_all()

    # The thread of each worker

    def _keep(self, seat: int) -> None:
        while not self._ending():
            began = time.monotonic()
            process = self._loaded_process()
            failed = process is None or self._ends_idle(process)
            proven = process is not None and (process.answered > 0 or time.monotonic() - began > _STEADY)
            with self._changed:
                self._setbacks[seat] = (0 if proven else self._setbacks[seat]) + failed
                pause = _BACKOFF.after(self._setbacks[seat]) if failed else 0.0
                self._changed.wait_for(self._ending, pause)

    def _ending(self) -> bool:
        return self._draining or self._stopping

    def _loaded_process(self) -> ModelProcess | None:
        """One that has all its models, on offer; None, with the reason kept, where that fails."""
        start = time.monotonic()
        process: ModelProcess | None = None
        try:
            process = self._new(self._verified_models())
            device = process.load(_LOAD_SECONDS)
        except (ModelError, OSError, WorkerDied, WorkerTimedOut) as error:
            self._failed(_why(error))
            if process:
                self._forget(process)
            return None
        with self._changed:
            self.device, self.load_seconds, self._begun = device, time.monotonic() - start, True
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

    def _new(self, model_set: ModelSet) -> ModelProcess:
        process = ModelProcess(self._load, model_set)
        with self._changed:
            self._running.add(process)
            if self._stopping:
                process.kill()
        return process

    def _failed(self, reason: str) -> None:
        with self._changed:
            self._verified = False
            self._reason = reason
            self.failures += 1
        if not self._ending():
            _log.error("models.failed", extra={"reason": reason, "next": "it is tried again, with growing pauses"})

    def _ends_idle(self, process: ModelProcess) -> bool:
        """Wait for its end; whether no photo was the reason."""
        while not (process.ends_within(_LOOK_SECONDS) or self._stopping or process not in self._loaded):
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

    def _forget(self, process: ModelProcess) -> None:
        process.end()
        process.close()
        with self._changed:
            self._running.discard(process)


def _why(error: Exception) -> str:
    if isinstance(error, ModelError):
        return str(error)
    return f"the model worker did not start ({sys.executable}: {error}); see the log for what it printed"
