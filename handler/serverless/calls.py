"""Runs calls of the function in threads: a limited number, each with a deadline and one closing line in the log."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import Lock
from types import TracebackType
from typing import Final, Literal

from handler.serverless.invocation import Answer, FunctionError, Invocation
from handler.telemetry.log import Tail, requested
from handler.telemetry.metrics import Ended, Metrics

InvocationType = Literal["RequestResponse", "Event", "DryRun"]
LambdaFunction = Callable[[object, Invocation], Answer | None]

_log = logging.getLogger(__name__)

_LEVELS: Final[Mapping[Ended, int]] = {"done": logging.INFO, "timed_out": logging.WARNING, "failed": logging.WARNING}


class ExecutorStopped(Exception):
    """The service is stopping: it starts no more calls."""


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One call of the function.

    Attributes:
        event: What the function is called with.
        request_id: Identifies the call in the log.
        invocation_type: As in Lambda's Invoke API.
        seconds: How long it may take, from `started` on.
        tail: Collects what is logged during the call.
        started: By the monotonic clock.
    """

    event: object
    request_id: str
    invocation_type: InvocationType
    seconds: float
    tail: Tail | None = None
    started: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def remaining(self) -> float:
        return self.seconds - self.elapsed()


class CallExecutor:
    """Runs calls in threads. At most `limit` of them have a slot, whether they run or wait for a model worker."""

    def __init__(self, function: LambdaFunction, limit: int, metrics: Metrics) -> None:
        self._function, self._metrics = function, metrics
        self._threads = ThreadPoolExecutor(limit, thread_name_prefix="call")
        self._lock = Lock()
        self.limit = limit
        self.in_flight = 0
        """How many slots are taken."""

    def take_slot(self) -> bool:
        """Take a slot, which the caller gives back by `free_slot` or `submit`. False if there is none."""
        with self._lock:
            free = self.in_flight < self.limit
            self.in_flight += free
            return free

    def free_slot(self) -> None:
        with self._lock:
            self.in_flight -= 1

    def submit(self, call: FunctionCall) -> Future[bytes]:
        """Run a call that has a slot; the slot is free again before the future is done.

        Returns:
            The function's answer as JSON, or its error.

        Raises:
            ExecutorStopped: After `drain`.
        """
        try:
            return self._threads.submit(self._run, call)
        except RuntimeError as error:  # an executor that is shut down
            raise ExecutorStopped from error

    def drain(self) -> None:
        """Start no more calls, and wait until those that were started have ended."""
        self._threads.shutdown()

    def _run(self, call: FunctionCall) -> bytes:
        try:
            with requested(call.request_id), call.tail or nullcontext(), _ClosingLine(call, self._metrics):
                if call.invocation_type == "Event":
                    _log.info("invocation.accepted")  # the only trace of it if the service is killed
                answer = self._function(call.event, Invocation(call.request_id, call.remaining))
                return json.dumps(answer).encode()
        finally:
            self.free_slot()


@dataclass(frozen=True, slots=True)
class _ClosingLine:
    """Records how a call ended, in the log and in the metrics."""

    call: FunctionCall
    metrics: Metrics

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end = self._end(error)
        seconds = self.call.elapsed()
        self.metrics.called(end, seconds)
        fields = {
            "invocation_type": self.call.invocation_type,
            "seconds": round(seconds, 3),
            "reason": error.kind if isinstance(error, FunctionError) else None,
            "why": str(error) if error else None,
        }
        unexpected = error is not None and not isinstance(error, FunctionError)
        level = logging.ERROR if unexpected else self._level(end)
        _log.log(level, f"invocation.{end}", extra=fields, exc_info=error if unexpected else None)

    def _end(self, error: BaseException | None) -> Ended:
        if self.call.invocation_type == "RequestResponse" and self.call.remaining() <= 0:
            return "timed_out"
        return "failed" if error else "done"

    def _level(self, end: Ended) -> int:
        """An Event call has no caller that hears of its failure, so the log says it louder."""
        return logging.ERROR if self.call.invocation_type == "Event" and end == "failed" else _LEVELS[end]
