"""A worker process at the other end of a pipe that nobody else holds, with one request at a time.

Workers share no lock and no pipe: at whatever moment one is killed, the others and its successor go on.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

from pipeline.errors import ModelError

_PR_SET_PDEATHSIG: Final = 1
_EXIT_SECONDS: Final = 10.0
_BOOTSTRAP: Final = """
import sys
sys.path[:] = sys.argv[2:]
from handler.workers.worker_process import serve
serve(int(sys.argv[1]))
"""


class WorkerDied(Exception):
    """The worker ended while it held this photo: a crash in native code, or the kernel's out-of-memory killer."""


class WorkerTimedOut(Exception):
    """The photo took longer than its time limit; its worker was killed."""


class RequestNotStarted(Exception):
    """The worker had ended before it took the request up, so the photo is not the cause."""


class Handler(Protocol):
    """What a worker process loads: it answers requests, one at a time."""

    @property
    def device(self) -> str:
        """The device that its networks run on, such as `cpu`."""

    def handle(self, request: Any) -> Any:  # noqa: ANN401  # whatever its clients send; it has to be picklable
        """The reply, which has to be picklable. An exception ends the process."""


class WorkerProcess:
    """Starts a process that loads a handler, and asks it.

    The kernel kills the process when the thread that started it ends, so that thread has to outlive it.

    Args:
        load: Runs in the process and returns its handler. Picklable; may raise ModelError.
    """

    def __init__(self, load: Callable[[], Handler]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-c", _BOOTSTRAP, str(theirs.fileno()), *sys.path]
            self._process = subprocess.Popen(  # noqa: S603  # ourselves, and what we import from
                command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        self._pipe: Connection = Connection(ours.detach())
        self._load = load
        self.answered = 0
        """How many requests it has answered."""

    def load(self, timeout: float) -> str:
        """Load the handler.

        Returns:
            The handler's device.

        Raises:
            ModelError: The models do not load.
            WorkerDied: The process ended.
            WorkerTimedOut: It took longer than `timeout` seconds and was killed.
        """
        try:
            answer = self._exchange((self._load, os.getpid()), timeout)
        except RequestNotStarted as error:
            raise WorkerDied(str(error)) from error
        if isinstance(answer, ModelError):
            raise answer
        return str(answer)

    def ask(self, request: object, timeout: float) -> Any:  # noqa: ANN401  # what the handler returns
        """Return the handler's reply. When this raises, the process has ended.

        Raises:
            WorkerDied: The process ended during the request.
            WorkerTimedOut: There was no reply within `timeout` seconds; the process was killed.
            RequestNotStarted: The process had ended before.
        """
        reply = self._exchange(request, timeout)
        self.answered += 1
        return reply

    def _exchange(self, message: object, timeout: float) -> Any:  # noqa: ANN401
        try:
            self._pipe.send(message)
            if self._pipe.poll(timeout):
                return self._pipe.recv()
        except ConnectionError as error:  # the message was never read
            raise RequestNotStarted(f"the worker had ended with exit code {self.end()}") from error
        except (EOFError, OSError) as error:  # it ended before or during its reply
            raise WorkerDied(f"the worker ended with exit code {self.end()}") from error
        self.end()
        raise WorkerTimedOut(f"no result after {timeout:g} s")

    def ends_within(self, seconds: float) -> bool:
        """Whether the process ends, killed or not, within that time."""
        hang_up = select.poll()
        hang_up.register(self._pipe, 0)  # no event but the other side's hanging up
        return bool(hang_up.poll(1000 * seconds))

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int | None:
        """Kill the process if it still runs.

        Returns:
            Its exit code; None if the kernel keeps it although it was killed, as on a mount that hangs.
        """
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(_EXIT_SECONDS)
        return None

    def close(self) -> None:
        """Close our end of the pipe. Only for a process that has ended, and while no other thread asks it."""
        self._pipe.close()


def serve(fd: int) -> None:
    """Runs in the process: loads the handler, then answers requests until the service hangs up or dies."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # sent to the whole group: the service drains, and ends us afterwards
    os.set_inheritable(fd, False)
    with Connection(fd) as pipe, suppress(EOFError, ConnectionError):
        load, parent = pipe.recv()
        _end_with(parent)
        try:
            handler: Handler = load()
        except ModelError as error:
            pipe.send(error)
            return
        pipe.send(handler.device)
        while True:
            pipe.send(handler.handle(pipe.recv()))


def _end_with(parent: int) -> None:
    """Have the kernel kill this process when the service dies, however that happens (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
