"""SIGTERM and SIGINT: the first one stops, the second one ends the process."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

_NUMBERS: Final = (signal.SIGTERM, signal.SIGINT)


def on_signals(stop: Callable[[], None]) -> list[int]:
    """From now on the first signal calls `stop`, and the second ends the process at once. Gives those seen so far.

    Heard by a thread: Python runs a handler in the main thread alone, and only when that comes to its next bytecode.
    What arrives just before it begins to wait would be lost, and `stop` might need a lock that it holds.
    """
    seen: list[int] = []
    here, there = socket.socketpair()
    there.setblocking(False)
    signal.set_wakeup_fd(there.detach())

    def listen() -> None:
        while True:
            (number,) = here.recv(1)
            if seen:
                os._exit(128 + number)
            seen.append(number)
            stop()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    for number in _NUMBERS:
        signal.signal(number, _heard)
    return seen


def _heard(_number: int, _frame: FrameType | None) -> None:
    """The byte is written already."""
