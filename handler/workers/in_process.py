"""The models in this very process, for where there can be no workers: a photo that crashes them ends all of it."""

import math
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Final

from handler.config.settings import CommonSettings
from handler.models.select import build_model_set, will_restore
from handler.workers import child
from handler.workers.messages import Job, Reply
from handler.workers.pool import PoolUnavailable
from handler.workers.process import Loaded, WorkerTimedOut
from pipeline.errors import ModelError
from sources.sqs.batch import ANSWER_SECONDS

_FAIR: Final = 0.5
"""A photo that had so much of its call's time is itself the reason that it did not suffice."""

_BUSY: Final = "the photo before this one is not finished yet"
_LOADING: Final = "the models are not loaded yet"
_LATE: Final = "too little of the call's time was left for this photo"


def _endless() -> float:
    return math.inf


def load_at_once(settings: CommonSettings) -> Loaded:
    """Read and verify the models while their libraries are imported, then load them. ModelError."""
    warnings.filterwarnings("ignore", "Could not obtain multiprocessing lock")  # there is one process
    aside = ThreadPoolExecutor(1, "imports")
    imports = aside.submit(child.import_libraries, restoring=will_restore(settings))
    aside.shutdown(wait=False)  # models that are not right are told at once
    model_set = build_model_set(settings)
    imports.result()
    return child.load(model_set)


class InProcess:
    """One photo at a time, on a thread that lives as long as the process; `timeout` seconds at most, and never longer
    than the call has. What native code does not end in time goes on, and is waited for by the next photo.

    Loading is begun at once; photos wait for it as for a photo before them.
    """

    def __init__(self, load: Callable[[], Loaded], timeout: float) -> None:
        self._timeout = timeout
        self._models = ThreadPoolExecutor(1, "models")
        self._loading = self._models.submit(load)
        self._remaining: Callable[[], float] = _endless
        self._fair = math.inf
        self._late: Future[Reply] | None = None

    def is_loaded(self, seconds: float) -> bool:
        """Whether the models are loaded within that time. ModelError where they are not right."""
        if self._loading not in wait([self._loading], seconds).done:
            return False
        self._loading.result()
        return True

    @contextmanager
    def within(self, remaining: Callable[[], float]) -> Iterator[None]:
        """Photos that are run in here end before that time does. Not to be entered by two at once."""
        self._remaining, self._fair = remaining, _FAIR * remaining()
        try:
            yield
        finally:
            self._remaining, self._fair = _endless, math.inf

    def is_free(self, seconds: float) -> bool:
        """Whether no photo of an earlier call is worked on any more, within that time."""
        if self._late is not None and self._late in wait([self._late], seconds).done:
            self._late = None
        return self._late is None

    def run(self, job: Job) -> Reply:
        """WorkerTimedOut or PoolUnavailable where there is no reply in time."""
        limit = min(self._timeout, self._remaining() - ANSWER_SECONDS)
        if limit <= 0:
            raise PoolUnavailable(_LATE)
        future = self._models.submit(self._work, job)
        if future in wait([future], limit).done:
            return future.result()
        if future.cancel():
            raise PoolUnavailable(_BUSY if self._loading.done() else _LOADING)
        self._late = future
        if limit < min(self._timeout, self._fair - ANSWER_SECONDS):
            raise PoolUnavailable(_LATE)
        raise WorkerTimedOut(f"no result after {limit:.1f} s; raise the function's timeout or send a smaller photo")

    def look(self, job: Job) -> Reply:
        """Only read the photo: no model is needed for that."""
        return child.look(job)

    def _work(self, job: Job) -> Reply:
        try:
            loaded = self._loading.result()
        except ModelError as error:  # the next call says so
            raise PoolUnavailable(str(error)) from error
        return loaded.work(job)
