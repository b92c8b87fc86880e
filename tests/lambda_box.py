"""A process that may do what Lambda lets it do: one folder can be written, there is no home and no shared memory."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UID = 993
_MOUNTS = """
mount -t tmpfs -o size=$2,mode=1777 none "$1" || exit 77
mount -t tmpfs -o ro none /dev/shm || exit 77
mount -o remount,bind,ro / || exit 77
shift 2
exec unshare --user --map-user=993 --map-group=990 -- env -i "$@"
"""


def boxed(command, temporary, size="512m", **environ):
    """The ended process. `temporary`, a folder, is the only one that it can write, and holds `size`.

    Skips the test where this machine lets nobody make a name space.
    """
    known = {"TMPDIR": temporary, "PATH": "/usr/bin:/bin", "AWS_REGION": "eu-central-1"}
    variables = [f"{name}={value}" for name, value in (known | environ).items()]
    outside = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", _MOUNTS, "box", str(temporary), size]
    try:
        ended = subprocess.run(
            [*outside, *variables, sys.executable, *map(str, command)],
            cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if ended.returncode == 77 or "unshare failed" in ended.stderr:
        pytest.skip("this machine lets nobody make a name space")
    return ended
