"""What the light workers of test_pool run in their processes: no models, only what a job's words ask for."""

import ctypes
import os
import signal
import struct
import sys
from pathlib import Path

from pipeline.errors import ModelError


class Light:
    device = "cpu"

    def handle(self, job):
        """A job's words, see `_WORDS`."""
        word, *arguments = job.split()
        return _WORDS[word](*arguments)


def _hold(file):
    """Touch the file, then wait for the service's end."""
    Path(file).touch()
    signal.pause()


def _wait(fifo):
    """Say who waits, then wait for word through the pipe."""
    Path(f"{fifo}-{os.getpid()}").touch()
    Path(fifo).read_bytes()
    return os.getpid()


def _note(file, name):
    """Write down whose turn it was."""
    with Path(file).open("a") as notes:
        notes.write(f"{name}\n")


def _native():
    """Native code that never comes back, holding Python's lock as it may."""
    ctypes.PyDLL(None).sleep(100_000)


def _torn():
    """A reply that is cut off in the middle, as by a kill while it is sent."""
    os.write(int(sys.argv[1]), struct.pack("!i", 1 << 20) + b"the beginning")
    os.kill(os.getpid(), signal.SIGKILL)


_WORDS = {
    "pid": os.getpid,
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "exit": lambda: os._exit(3),
    "hang": signal.pause,
    "native": _native,
    "note": _note,
    "hold": _hold,
    "wait": _wait,
    "torn": _torn,
}


def load(model_set):
    return Light()


def load_without_end(model_set):
    """As on a mount that hangs: it says that it has begun, and never returns."""
    model_set.landmarks.path.touch()
    signal.pause()


def load_nothing(model_set):
    raise ModelError("model.dat: does not load: fetch it again")


def load_and_die(model_set):
    os.kill(os.getpid(), signal.SIGKILL)


def load_once(model_set):
    """The first one loads, the others do not."""
    try:
        model_set.landmarks.path.touch(exist_ok=False)
    except FileExistsError:
        raise ModelError("model.dat: changed since it was verified") from None
    return Light()
