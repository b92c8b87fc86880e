"""The models in this process, where there can be no worker processes (Lambda). A crash in native code ends it all."""

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
from handler.workers.worker_process import Handler, WorkerTimedOut
from pipeline.errors import ModelError
from sources.sqs.batch import ANSWER_SECONDS

_FAIR_SHARE: Final = 0.5
"""A photo that had this share of its call's time is itself the reason why it was not enough."""

_BUSY: Final = "the photo before this one is not finished yet"
_LOADING: Final = "the models are not loaded yet"
_LATE: Final = "too little of the call's time was left for this photo"


def load_in_process(settings: CommonSettings) -> Handler:
    """Read and verify the models while their libraries are imported, then load them. May raise ModelError."""
    warnings.filterwarnings("ignore", "Could not obtain multiprocessing lock")  # there is one process
    importer = ThreadPoolExecutor(1, "imports")
    imports = importer.submit(child.import_libraries, restoring=will_restore(settings))
    importer.shutdown(wait=False)  # an error in the models is raised at once
    model_set = build_model_set(settings)
    imports.result()
    return child.load(model_set)


class InProcess:
    """Processes one photo at a time, on a thread that lives as long as the process.

    A photo has `timeout` seconds at most, and never more than its call. Native code that does not end in time goes on;
    the next photo waits for it. Loading begins at once; photos wait for it as for a photo before them.

    Args:
        load: Loads the models. May raise ModelError.
        timeout: Seconds that a photo may take.
    """

    def __init__(self, load: Callable[[], Handler], timeout: float) -> None:
        self._timeout = timeout
        self._thread = ThreadPoolExecutor(1, "models")
        self._loading = self._thread.submit(load)
        self._remaining: Callable[[], float] = _no_deadline
        self._fair_seconds = math.inf
        self._overdue: Future[Reply] | None = None

    def is_loaded(self, seconds: float) -> bool:
        """Whether the models are loaded within that time. Raises ModelError if they cannot be."""
        if self._loading not in wait([self._loading], seconds).done:
            return False
        self._loading.result()
        return True

    @contextmanager
    def within(self, remaining: Callable[[], float]) -> Iterator[None]:
        """End each photo that is run inside before `remaining` reaches 0. For one caller at a time."""
        self._remaining, self._fair_seconds = remaining, _FAIR_SHARE * remaining()
        try:
            yield
        finally:
            self._remaining, self._fair_seconds = _no_deadline, math.inf

    def is_free(self, seconds: float) -> bool:
        """Whether all photos of earlier calls have ended within that time."""
        if self._overdue is not None and self._overdue in wait([self._overdue], seconds).done:
            self._overdue = None
        return self._overdue is None

    def run(self, job: Job) -> Reply:
        """Process one photo. A job that is `version_only` needs no models and no time limit.

        Raises:
            WorkerTimedOut: The photo took longer than its limit.
            PoolUnavailable: The photo had too little time, and is not the cause.
        """
        if job.version_only:
            return child.read_version(job)
        limit = min(self._timeout, self._remaining() - ANSWER_SECONDS)
        if limit <= 0:
            raise PoolUnavailable(_LATE)
        future = self._thread.submit(self._handle, job)
        if future in wait([future], limit).done:
            return future.result()
        if future.cancel():
            raise PoolUnavailable(_BUSY if self._loading.done() else _LOADING)
        self._overdue = future
        if limit < min(self._timeout, self._fair_seconds - ANSWER_SECONDS):
            raise PoolUnavailable(_LATE)
        raise WorkerTimedOut(f"no result after {limit:.1f} s; raise the function's timeout or send a smaller photo")

    def _handle(self, job: Job) -> Reply:
        try:
            handler = self._loading.result()
        except ModelError as error:  # the next call reports it
            raise PoolUnavailable(str(error)) from error
        reply: Reply = handler.handle(job)
        return reply


def _no_deadline() -> float:
    return math.inf
