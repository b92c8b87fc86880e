"""What the light workers of test_pool run in their processes: no models, only what a job's words ask for."""

import os
import signal
from pathlib import Path

from handler import modelworker
from handler.pool import Worker
from pipeline.errors import ModelError


def load(kit, parent):
    modelworker.end_with(parent)


def load_without_end(kit, parent):
    """As on a mount that hangs: it says that it has begun, and never returns."""
    modelworker.end_with(parent)
    kit.landmarks.path.touch()
    signal.pause()


def loaded():
    return "cpu"


def not_loaded():
    raise ModelError("model.dat: does not load: fetch it again")


def dies_before_it_answers():
    os.kill(os.getpid(), signal.SIGKILL)


def work(job):
    """`pid` | `crash` | `exit` | `hang` | `raise` | `hold FILE`: touch it, then wait for the service's end."""
    match job.split():
        case ["crash"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        case ["exit"]:
            os._exit(3)
        case ["hang"]:
            signal.pause()
        case ["raise"]:
            raise ModelError("model.dat: changed since it was verified")
        case ["hold", file]:
            Path(file).touch()
            signal.pause()
    return os.getpid()


LIGHT = Worker(load, loaded, work, work)
ENDLESS = Worker(load_without_end, loaded, work, work)
UNLOADED = Worker(load, not_loaded, work, work)
SHORT_LIVED = Worker(load, dies_before_it_answers, work, work)
