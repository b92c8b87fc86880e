"""Calls of the function: each in a thread, so many at once, with a deadline and one closing line in the log."""

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


class Stopping(Exception):
    """The service is stopping: no call begins any more."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call, and the `seconds` that it may take. `tail` hears what is logged meanwhile."""

    event: object
    request_id: str
    kind: InvocationType
    seconds: float
    tail: Tail | None = None
    began: float = field(default_factory=time.monotonic)

    def taken(self) -> float:
        return time.monotonic() - self.began

    def remaining(self) -> float:
        return self.seconds - self.taken()


class Calls:
    """At most `limit` calls have a place, whether they are worked on or wait for a worker."""

    def __init__(self, function: LambdaFunction, limit: int, metrics: Metrics) -> None:
        self._function, self._metrics = function, metrics
        self._threads = ThreadPoolExecutor(limit, thread_name_prefix="call")
        self._lock = Lock()
        self.limit = limit
        self.taken = 0

    def take_place(self) -> bool:
        """Whether there was one; it is the caller's until `give_back` or `begin`."""
        with self._lock:
            free = self.taken < self.limit
            self.taken += free
            return free

    def give_back(self) -> None:
        with self._lock:
            self.taken -= 1

    def begin(self, call: Call) -> Future[bytes]:
        """The answer, as JSON, or the function's error; the place is free again by then. Stopping after `drain`."""
        try:
            return self._threads.submit(self._run, call)
        except RuntimeError as error:  # how an executor says it
            raise Stopping from error

    def drain(self) -> None:
        """Return when all that began has ended; nothing begins any more."""
        self._threads.shutdown()

    def _run(self, call: Call) -> bytes:
        try:
            with requested(call.request_id), call.tail or nullcontext(), _Closing(call, self._metrics):
                if call.kind == "Event":
                    _log.info("invocation.accepted")  # all that is left of it where the service is killed
                answer = self._function(call.event, Invocation(call.request_id, call.remaining))
                return json.dumps(answer).encode()
        finally:
            self.give_back()


@dataclass(frozen=True, slots=True)
class _Closing:
    """Says how a call ended, in the log and in the metrics."""

    call: Call
    metrics: Metrics

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end = self._end(error)
        seconds = self.call.taken()
        self.metrics.called(end, seconds)
        fields = {
            "invocation_type": self.call.kind,
            "seconds": round(seconds, 3),
            "reason": error.kind if isinstance(error, FunctionError) else None,
            "why": str(error) if error else None,
        }
        fault = error is not None and not isinstance(error, FunctionError)
        level = logging.ERROR if fault else self._level(end)
        _log.log(level, f"invocation.{end}", extra=fields, exc_info=error if fault else None)

    def _end(self, error: BaseException | None) -> Ended:
        if self.call.kind == "RequestResponse" and self.call.remaining() <= 0:
            return "timed_out"
        return "failed" if error else "done"

    def _level(self, end: Ended) -> int:
        """Of an event that failed nobody else is told."""
        return logging.ERROR if self.call.kind == "Event" and end == "failed" else _LEVELS[end]
