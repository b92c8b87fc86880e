"""Logs: one JSON object a line on stderr, in ASCII, whatever the names of the photos are."""

import json
import logging
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, TextIO

from sources.base import Event

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TAKEN: Final = frozenset({"time", "level", "event", "logger", "error"})
_TALKATIVE: Final = ("aiohttp", "asyncio", "botocore", "boto3", "numba", "PIL", "pebble", "urllib3", "watchdog")
_LEVELS: Final = {"rejected": logging.WARNING, "retried": logging.WARNING, "failed": logging.ERROR}

_photos = logging.getLogger("facecraft.photos")


class JsonFormatter(logging.Formatter):
    """`time` (UTC), `level`, `logger`, `event` (the message), what `extra` holds, and `error`, the whole traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _OWN:
                line[f"{name}_" if name in _TAKEN else name] = _plain(value)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


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
    event: Event, outcome: str, *, reason: str | None = None, stages_ms: Mapping[str, float] | None = None
) -> None:
    """The one closing line of a photo: `photo.done`, `photo.rejected`, ... at a level that fits the outcome."""
    fields = {
        "uri": event.uri,
        "version": event.version,
        "outcome": outcome,
        "reason": reason,
        "attempt": event.attempt,
        "stages_ms": {name: round(float(ms), 1) for name, ms in (stages_ms or {}).items()},
    }
    _photos.log(_LEVELS.get(outcome, logging.INFO), f"photo.{outcome}", extra=fields)
