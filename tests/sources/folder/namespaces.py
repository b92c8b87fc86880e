"""Python code in a name space of its own, where it may mount and set limits without touching the machine."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_ALONE = ("unshare", "--user", "--map-root-user", "--mount")
_NEEDS = """
import json, os, subprocess, sys
from pathlib import Path

def mount(kind, place, options="rw"):
    subprocess.run(["mount", "-t", kind, "-o", options, "none", place], check=True)

def umount(place):
    subprocess.run(["umount", place], check=True)

here = Path(sys.argv[1])
"""


@functools.cache
def _allowed():
    try:
        return subprocess.run([*_ALONE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def alone(code, folder):
    """What the code prints, read as JSON; `here` is the folder. Skips the test where no name space may be made."""
    if not _allowed():
        pytest.skip("this machine lets nobody make a name space")
    command = [*_ALONE, sys.executable, "-c", _NEEDS + code, str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
