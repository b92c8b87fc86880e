"""One model worker: a process at the other end of a pipe that no one else holds, with one job at a time.

No lock and no pipe is shared between workers: whatever instant one is killed at, the others and the next one go on.
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
from typing import Any, Final, Literal, Protocol

from handler.workers.messages import Job, Reply
from pipeline.errors import ModelError
from pipeline.models.model_set import ModelSet

Task = Literal["work", "look"]

_PR_SET_PDEATHSIG: Final = 1
_GRACE: Final = 10.0
_BEGIN: Final = """
import sys
sys.path[:] = sys.argv[2:]
from handler.workers.process import serve
serve(int(sys.argv[1]))
"""


class WorkerDied(Exception):
    """The process that held this photo ended: a crash in native code, or the kernel's out-of-memory killer."""


class WorkerTimedOut(Exception):
    """The photo took longer than its limit; its worker was ended."""


class NotBegun(Exception):
    """The process had ended before it took the job up: the photo has nothing to do with it."""


class Loaded(Protocol):
    """What a worker's process has loaded."""

    @property
    def device(self) -> str: ...

    def work(self, job: Job) -> Reply: ...

    def look(self, job: Job) -> Reply: ...


Load = Callable[[ModelSet], Loaded]
"""Picklable; ModelError where the models do not load."""


class ModelProcess:
    """Starts the process. The kernel ends it with the thread that made it, so that has to live on."""

    def __init__(self, load: Load, model_set: ModelSet) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-c", _BEGIN, str(theirs.fileno()), *sys.path]
            self._process = subprocess.Popen(  # noqa: S603  # ourselves, and what we import from
                command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
            )
        self._pipe: Connection = Connection(ours.detach())
        self._first = (load, model_set, os.getpid())
        self.answered = 0

    def load(self, timeout: float) -> str:
        """The device that its networks run on. ModelError, WorkerDied or WorkerTimedOut where it does not load."""
        try:
            answer = self._exchange(self._first, timeout)
        except NotBegun as error:
            raise WorkerDied(str(error)) from error
        if isinstance(answer, ModelError):
            raise answer
        return str(answer)

    def ask(self, task: Task, job: Job, timeout: float) -> Reply:
        """Its reply; WorkerDied, WorkerTimedOut or NotBegun where there is none, and the process is over then."""
        reply: Reply = self._exchange((task, job), timeout)
        self.answered += 1
        return reply

    def _exchange(self, message: object, timeout: float) -> Any:  # noqa: ANN401  # what the other side sends
        try:
            self._pipe.send(message)
            if self._pipe.poll(timeout):
                return self._pipe.recv()
        except ConnectionError as error:  # what we sent lies there unread
            raise NotBegun(f"the worker had ended with exit code {self.end()}") from error
        except (EOFError, OSError) as error:  # before its answer, or in the middle of it
            raise WorkerDied(f"the worker ended with exit code {self.end()}") from error
        self.end()
        raise WorkerTimedOut(f"no result after {timeout:g} s")

    def ends_within(self, seconds: float) -> bool:
        """Whether the process is over by then, killed or not."""
        end = select.poll()
        end.register(self._pipe, 0)  # no event but the other side's hanging up
        return bool(end.poll(1000 * seconds))

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> int | None:
        """Kill it where it still runs; its exit code, None where not even that ends it soon: the kernel holds it."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(_GRACE)
        return None

    def close(self) -> None:
        """Forget a process that is over; not while another thread asks it."""
        self._pipe.close()


def serve(fd: int) -> None:
    """What runs in the process: load, then one job after the other, until the service hangs up or dies."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # to whomever they were sent: the service drains, and then ends us
    os.set_inheritable(fd, False)
    with Connection(fd) as pipe, suppress(EOFError, ConnectionError):
        load, model_set, parent = pipe.recv()
        end_with(parent)
        try:
            loaded: Loaded = load(model_set)
        except ModelError as error:
            pipe.send(error)
            return
        pipe.send(loaded.device)
        while True:
            task, job = pipe.recv()
            pipe.send(loaded.look(job) if task == "look" else loaded.work(job))


def end_with(parent: int) -> None:
    """Have the kernel end this process with the service, however that dies (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
