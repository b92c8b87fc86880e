"""Turns what native libraries such as libtiff print to file descriptor 2 into log lines, so that every line is JSON."""

import logging
import os
import sys
import threading
from typing import Final

from handler.telemetry import log

_STDERR: Final = 2
_MAX_LENGTH: Final = 2000

_log = logging.getLogger("facecraft.native")


def as_log_lines() -> None:
    """Redirect stderr of this process into its log, which goes to the former stderr.

    What a crash prints last may be lost.
    """
    level = logging.getLevelName(logging.getLogger().level)
    own = os.fdopen(os.dup(_STDERR), "w", buffering=1)
    source, target = os.pipe()
    os.dup2(target, _STDERR)
    os.close(target)
    sys.stderr = os.fdopen(os.dup(_STDERR), "w", buffering=1)
    log.setup(level, own)
    threading.Thread(target=_pump, args=(source,), name="stderr", daemon=True).start()


def _pump(source: int) -> None:
    with os.fdopen(source, errors="backslashreplace") as lines:
        for line in lines:
            if text := line.strip():
                _log.warning("native.message", extra={"text": text[:_MAX_LENGTH]})
