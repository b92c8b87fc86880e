"""The model workers: processes that hold the models, supervised by pebble, rebuilt where even pebble gives up."""

import logging
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Final, TypeVar

from pebble import ProcessExpired, ProcessPool

from handler import modelworker
from handler.replies import Job, Reply
from pipeline.errors import ModelError
from pipeline.kit import Kit

_log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

_TICK: Final = 0.2
_LONGEST_WAIT: Final = 60.0
_STEADY: Final = 60.0
"""A pool that has served this many seconds starts its back-off anew when it breaks."""


class WorkerDied(Exception):
    """The process that held this photo ended: a crash in native code, or the kernel's out-of-memory killer."""


class WorkerTimedOut(Exception):
    """The photo took longer than its limit; its worker was ended."""


class PoolUnavailable(Exception):
    """There are no workers just now; the photo has nothing to do with it."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What a worker's process runs; all of it picklable. See `handler.modelworker` for what each one may raise."""

    load: Callable[[Kit, int], None] = modelworker.load
    loaded: Callable[[], str] = modelworker.loaded
    work: Callable[[Job], Reply] = modelworker.work
    look: Callable[[Job], Reply] = modelworker.look


MODEL_WORKER: Final = Worker()


class ModelPool:
    """`workers` processes with the models of the kit that `build` verifies. One photo each, `timeout` seconds at most.

    Never give it more jobs at a time than workers: one that waits in it would be lost with a pool that breaks.
    """

    def __init__(
        self,
        build: Callable[[], Kit],
        workers: int,
        timeout: float,
        on_death: Callable[[], None] = lambda: None,
        worker: Worker = MODEL_WORKER,
    ) -> None:
        self._build, self._workers, self._timeout, self._on_death = build, workers, timeout, on_death
        self._worker = worker
        self._pool: ProcessPool | None = None
        self._reason = "models are loading"
        self._changed = threading.Condition()
        self._draining = self._stopping = False
        self._keeper = threading.Thread(target=self._keep, name="pool-keeper", daemon=True)
        self.kit: Kit | None = None
        self.device = ""
        self.load_seconds = 0.0
        self.deaths = 0
        self.failures = 0

    def start(self) -> None:
        self._keeper.start()

    def unready(self) -> str | None:
        """Why no photo can be processed now; None where all is well, also while a single dead worker is replaced."""
        with self._changed:
            return None if self._pool else self._reason

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Whether the models were loaded within the time; at once False when the pool is stopped."""
        with self._changed:
            self._changed.wait_for(lambda: self._pool or self._draining or self._stopping, timeout)
            return self._pool is not None

    def run(self, job: Job) -> Reply:
        """Process one photo; WorkerDied, WorkerTimedOut or PoolUnavailable where there is no reply."""
        return self._call(self._worker.work, job)

    def look(self, job: Job) -> Reply:
        """Only read the photo: Same where that works. Raises as `run` does."""
        return self._call(self._worker.look, job)

    def _call(self, function: Callable[[Job], Reply], job: Job) -> Reply:
        pool = self._await_pool()
        try:
            return self._answer(pool, pool.schedule(function, args=[job], timeout=self._timeout))
        except ProcessExpired as error:
            self._died()
            raise WorkerDied(f"the worker ended with exit code {error.exitcode}") from error
        except TimeoutError as error:
            self._died()
            raise WorkerTimedOut(f"no result after {self._timeout:g} s") from error
        except (BrokenProcessPool, CancelledError, RuntimeError, ModelError) as error:
            self._broken(pool, str(error))
            raise PoolUnavailable(str(error)) from error

    def _answer(self, pool: ProcessPool, future: "Future[_Answer]") -> _Answer:
        """As `Future.result`, but never waits for a pool that has ended: pebble forgets what it was given just then."""
        while not wait([future], _TICK).done:
            if self._stopping or not pool.active:
                raise BrokenProcessPool("the model workers ended")
        return future.result()

    def stop_waiting(self) -> None:
        """From now on nobody waits for models to be loaded, or loaded again; what is in work goes on."""
        with self._changed:
            self._draining = True
            self._stopping = self._stopping or self._pool is None
            self._changed.notify_all()

    def stop(self) -> None:
        """End all workers, also those at work."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._keeper.join()

    def _died(self) -> None:
        with self._changed:
            self.deaths += 1
        self._on_death()

    def _await_pool(self) -> ProcessPool:
        with self._changed:
            self._changed.wait_for(lambda: self._pool or self._draining or self._stopping)
            if self._pool is None:
                raise PoolUnavailable("the service is stopping")
            return self._pool

    def _broken(self, pool: ProcessPool, reason: str) -> None:
        with self._changed:
            if self._pool is pool:
                self._pool, self._reason = None, reason
                self._changed.notify_all()

    def _keep(self) -> None:
        """Build the pool, and build it again whenever it breaks, with growing pauses."""
        waits = _waits()
        while not self._stopping:
            started = time.monotonic()
            pool = self._loaded_pool()
            if pool:
                self._serve(pool)
            if time.monotonic() - started > _STEADY:
                waits = _waits()
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, next(waits))

    def _loaded_pool(self) -> ProcessPool | None:
        """A pool whose first worker has all its models; None, with the reason kept, where that fails."""
        start = time.monotonic()
        pool: ProcessPool | None = None
        try:
            self.kit = self._build()
            pool = self._new_pool(self.kit)
            self.device = self._answer(pool, pool.schedule(self._worker.loaded))
        except (ModelError, OSError, ProcessExpired, BrokenProcessPool, CancelledError, RuntimeError) as error:
            self._failed(_why(error))
            _end(pool)
            return None
        self.load_seconds = time.monotonic() - start
        return pool

    def _failed(self, reason: str) -> None:
        with self._changed:
            self._reason = reason
            self.failures += 1
        if not self._stopping:
            _log.error("models.failed", extra={"reason": reason, "next": "it is tried again, with growing pauses"})

    def _new_pool(self, kit: Kit) -> ProcessPool:
        return ProcessPool(
            max_workers=self._workers,
            initializer=self._worker.load,
            initargs=(kit, os.getpid()),
            context=multiprocessing.get_context("spawn"),
        )

    def _serve(self, pool: ProcessPool) -> None:
        """Offer the pool until it is broken or the service stops."""
        with self._changed:
            self._pool = pool
            self._changed.notify_all()
            while self._pool is pool and not self._stopping:
                self._changed.wait(1.0)
                if not pool.active and self._pool is pool:
                    self._pool, self._reason = None, "the model workers ended; new ones are starting"
            self._pool = None
        _end(pool)


def _waits() -> Iterator[float]:
    wait = 1.0
    while True:
        yield wait
        wait = min(2 * wait, _LONGEST_WAIT)


def _why(error: Exception) -> str:
    if isinstance(error, ModelError):
        return str(error)
    return f"the model worker did not start ({sys.executable}: {error}); see the log for what it printed"


def _end(pool: ProcessPool | None) -> None:
    if pool:
        pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves this one untyped
        pool.join()
