"""Logs: one JSON object a line on stderr, in ASCII, whatever the names of the photos are."""

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

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TAKEN: Final = frozenset({"time", "level", "event", "logger", "error"})
_TALKATIVE: Final = ("aiohttp", "asyncio", "botocore", "boto3", "numba", "PIL", "urllib3", "watchdog")
_LEVELS: Final = {"rejected": logging.WARNING, "retried": logging.WARNING, "failed": logging.ERROR}

_TAIL_BYTES: Final = 4096
_REQUEST: ContextVar[str | None] = ContextVar("_REQUEST", default=None)

_photos = logging.getLogger("facecraft.photos")


class JsonFormatter(logging.Formatter):
    """`time` (UTC), `level`, `logger`, `event` (the message), `request_id` where that is set, what `extra` holds, and
    `error`, the whole traceback."""

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
            if name not in _OWN:
                line[f"{name}_" if name in _TAKEN else name] = _plain(value)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


@contextmanager
def requested(request_id: str) -> Iterator[None]:
    """What is logged in this context, and in threads that got a copy of it, names the request."""
    token = _REQUEST.set(request_id)
    try:
        yield
    finally:
        _REQUEST.reset(token)


_TAIL: ContextVar["Tail | None"] = ContextVar("_TAIL", default=None)


class Tail(logging.Handler):
    """The last 4 KB of what is logged in this context, and in threads that got a copy of it, in the log's own lines."""

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
        """What is there by now; in ASCII, and from anywhere in a line on."""
        return self._kept.decode()


def _plain(value: object) -> object:
    """What JSON can say of the value: no NaN, no foreign types, no keys but text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | None) else str(value)


def setup(level: str = "INFO", stream: TextIO | None = None) -> None:
    """All logging of the process goes to `stream` (stderr) from `level` on; libraries speak from WARNING on only."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _TALKATIVE:
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
    """The one closing line of a photo: `photo.done`, `photo.rejected`, ... at a level that fits the outcome."""
    fields = {
        "uri": event.uri,
        "version": version or event.version,
        "outcome": outcome,
        "reason": reason,
        "attempt": event.attempt,
        "stages_ms": {name: round(float(ms), 1) for name, ms in (stages_ms or {}).items()},
    }
    _photos.log(_LEVELS.get(outcome, logging.INFO), f"photo.{outcome}", extra=fields)
