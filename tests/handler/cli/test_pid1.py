"""The service as PID 1, as in a container that has no init: in a name space of its own."""

import functools
import signal
import subprocess
import sys

import psutil
import pytest

from tests.handler.service_runner import ROOT, SOON, environment, run

_ALONE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")
ORPHAN = """
import os, subprocess, time
from pathlib import Path
from handler.cli.pid1 import leave_pid_1
leave_pid_1()
orphan = subprocess.run(["sh", "-c", "sleep 0 & echo $!"], stdout=subprocess.PIPE, text=True).stdout.strip()
for _ in range(3000):
    if not Path("/proc", orphan).exists():
        break
    time.sleep(0.01)
print(os.getppid(), Path("/proc", orphan).exists())
"""


@functools.cache
def _allowed():
    try:
        return subprocess.run([*_ALONE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def as_pid_1(tmp_path):
    """Starts Python as PID 1."""
    if not _allowed():
        pytest.skip("this machine lets nobody make a name space of processes")
    environ = environment(tmp_path / "none", INBOX=tmp_path / "in", OUTBOX=tmp_path / "out")

    def start(*arguments):
        return subprocess.Popen(
            [*_ALONE, sys.executable, *arguments], cwd=ROOT, env=environ, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


def test_orphans_are_reaped(as_pid_1):
    said, _ = as_pid_1("-c", ORPHAN).communicate(timeout=SOON)

    assert said.split() == ["1", "False"]


@pytest.mark.parametrize(("number", "times", "codes"), [
    (signal.SIGTERM, 1, {0}), (signal.SIGINT, 1, {0}), (signal.SIGTERM, 2, {0, 128 + signal.SIGTERM}),
])  # fmt: skip
def test_signals_are_heard(as_pid_1, number, times, codes):
    with as_pid_1("-m", "handler", "watch") as service:
        for line in service.stderr:
            if '"service.started"' in line:
                break
        (init,) = psutil.Process(service.pid).children()
        for _ in range(times):
            init.send_signal(number)
        service.communicate(timeout=SOON)

    assert service.returncode in codes


def test_the_exit_code_of_a_command_is_its_own(as_pid_1):
    with as_pid_1("-m", "handler", "once", "in") as wrong:
        wrong.communicate(timeout=SOON)

    assert wrong.returncode == run("once", "in", environ=environment("none")).returncode == 2


def test_a_service_that_was_killed_says_so(as_pid_1):
    code = (
        "import os, signal\nfrom handler.cli.pid1 import leave_pid_1\n"
        "leave_pid_1()\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    with as_pid_1("-c", code) as killed:
        killed.communicate(timeout=SOON)

    assert killed.returncode == 128 + signal.SIGKILL
