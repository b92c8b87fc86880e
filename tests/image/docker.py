"""The `docker` command, and what was read with it."""

import json
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LOOK_SECONDS = 0.5


class NotProvedError(Exception):
    """What README says of the image does not hold; the message says what was seen instead."""


def docker(*arguments, check=True, given=None):
    """Run it; NotProvedError with its last lines where it fails and `check` is set."""
    ended = subprocess.run(
        ["docker", *map(str, arguments)], input=given, capture_output=True, text=True, cwd=ROOT, check=False
    )
    if check and ended.returncode != 0:
        lines = "\n".join((ended.stderr or ended.stdout).splitlines()[-15:])
        raise NotProvedError(f"docker {arguments[0]} ended with {ended.returncode}:\n{lines}")
    return ended


def inspected(name):
    return json.loads(docker("inspect", name).stdout)[0]


def wait_until(seen, what, seconds):
    """What `seen` gives, as soon as that is true; NotProvedError with `what` after so many seconds."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < end:
        if found := seen():
            return found
        pause.wait(_LOOK_SECONDS)
    raise NotProvedError(f"{what}: not within {seconds} s")


def proved(holds, what):
    if not holds:
        raise NotProvedError(what)
