"""Runs the `docker` command and reads its answers."""

import json
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LOOK_SECONDS = 0.5


class NotProvedError(Exception):
    """What docker/README.md says of the image is not true; the message says what was seen instead."""


def docker(*arguments, check=True, given=None):
    """Run it. Raises NotProvedError with its last lines if it fails and `check` is set."""
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
    """The first true value that `seen` returns. Raises NotProvedError with `what` after so many seconds."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while time.monotonic() < end:
        if found := seen():
            return found
        pause.wait(_LOOK_SECONDS)
    raise NotProvedError(f"{what}: not within {seconds} s")


def proved(holds, what):
    if not holds:
        raise NotProvedError(what)
