"""Logs one JSON object per line on stderr, in ASCII whatever the photos are called."""

import json
import logging
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, TextIO

from sources.events import Event

_STANDARD_ATTRIBUTES: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_RESERVED: Final = frozenset({"time", "level", "event", "logger", "error"})
_VERBOSE_LIBRARIES: Final = ("aiohttp", "asyncio", "botocore", "boto3", "numba", "PIL", "urllib3", "watchdog")
_LEVELS: Final = {"rejected": logging.WARNING, "retried": logging.WARNING, "failed": logging.ERROR}

_TAIL_BYTES: Final = 4096
_REQUEST: ContextVar[str | None] = ContextVar("_REQUEST", default=None)

_photos = logging.getLogger("facecraft.photos")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON.

    Its keys: `time` (UTC), `level`, `logger`, `event` (the message), `request_id` if one is set, those of `extra` (with
    `_` appended to a reserved name), and `error`, the traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        if request_id := _REQUEST.get():
            line["request_id"] = request_id
        for name, value in vars(record).items():
            if name not in _STANDARD_ATTRIBUTES:
                line[f"{name}_" if name in _RESERVED else name] = _plain(value)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


@contextmanager
def requested(request_id: str) -> Iterator[None]:
    """Adds `request_id` to the lines logged in this context and in threads that run in a copy of it."""
    token = _REQUEST.set(request_id)
    try:
        yield
    finally:
        _REQUEST.reset(token)


_TAIL: ContextVar["Tail | None"] = ContextVar("_TAIL", default=None)


class Tail(logging.Handler):
    """Collects the last 4 KB of the lines logged in this context and in threads that run in a copy of it.

    A context manager: collects from `__enter__` to `__exit__`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._kept = b""

    def __enter__(self) -> "Tail":
        _TAIL.set(self)
        logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self)
        _TAIL.set(None)

    def emit(self, record: logging.LogRecord) -> None:
        if _TAIL.get() is self:
            self._kept = (self._kept + f"{self.format(record)}\n".encode())[-_TAIL_BYTES:]

    def text(self) -> str:
        """The lines collected so far, in ASCII; the first may be cut off."""
        return self._kept.decode()


def _plain(value: object) -> object:
    """The value in types that JSON has: NaN, infinities and other types as text, all keys as text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | None) else str(value)


def setup(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sends all logging of the process, and Python warnings, to one stream.

    Args:
        level: The lowest level that is logged; verbose libraries log from WARNING.
        stream: stderr by default.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)


def photo_line(
    event: Event,
    outcome: str,
    *,
    version: str | None = None,
    reason: str | None = None,
    stages_ms: Mapping[str, float] | None = None,
) -> None:
    """Logs the line that ends each photo: `photo.done`, `photo.rejected`, ... at the level of the outcome.

    Args:
        event: The event of the photo.
        outcome: See `OutcomeName` in `metrics`.
        version: The version that was read, if it is not the event's.
        reason: Why it was rejected or failed, from `pipeline.reasons`.
        stages_ms: Milliseconds per stage.
    """
    fields = {
        "uri": event.uri,
        "version": version or event.version,
        "outcome": outcome,
        "reason": reason,
        "attempt": event.attempt,
        "stages_ms": {name: round(float(ms), 1) for name, ms in (stages_ms or {}).items()},
    }
    _photos.log(_LEVELS.get(outcome, logging.INFO), f"photo.{outcome}", extra=fields)
