"""SIGTERM and SIGINT: the first stops the service gracefully, the second ends the process."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

_NUMBERS: Final = (signal.SIGTERM, signal.SIGINT)


def on_signals(stop: Callable[[], None]) -> list[int]:
    """Installs the handlers: the first signal calls `stop`, the second ends the process at once.

    `stop` runs in a thread of its own. Python runs signal handlers only in the main thread, between two bytecodes: a
    signal that arrives just before the main thread blocks would wait as long as it blocks, and a handler that needs a
    lock held by the main thread would never return.

    Args:
        stop: Called once, with the first signal.

    Returns:
        The numbers of the signals received so far. The list grows.
    """
    received: list[int] = []
    here, there = socket.socketpair()
    there.setblocking(False)
    signal.set_wakeup_fd(there.detach())

    def listen() -> None:
        while True:
            (number,) = here.recv(1)
            if received:
                os._exit(128 + number)
            received.append(number)
            stop()

    threading.Thread(target=listen, name="signals", daemon=True).start()
    for number in _NUMBERS:
        signal.signal(number, _do_nothing)
    return received


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Replaces the default action. Python has already written the number to the wakeup socket."""
