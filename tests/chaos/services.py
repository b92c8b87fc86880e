"""The service as a process that is started, and killed in every way."""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

import psutil

from tests.handler.service_runner import ROOT, environment

SOON = 120.0
REAL, LIGHT = ("-m", "handler", "watch"), ("-m", "tests.chaos.light_service")


class Services:
    """One after the other, on one inbox and outbox. Use as a context: what still runs is killed at the end."""

    def __init__(self, folder, command, models, environ=None, **settings):
        """`environ`: variables that are not ours."""
        self._command = [sys.executable, *command]
        self.folder, self.logs, self.process = folder, [], None
        for name in ("home", "tmp"):
            (folder / name).mkdir()
        self._environ = environment(models, **{"INBOX": folder / "in", "OUTBOX": folder / "out"} | settings)
        self._environ |= environ or {}
        self._environ |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def start(self):
        log = self.folder / f"log {len(self.logs)}"
        self.logs.append(log)
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environ, stderr=stderr, start_new_session=True
            )

    def workers(self):
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def stop(self, number=signal.SIGTERM, *, group=False, times=1):
        """Send the signal, see the service and all its workers end; its exit code."""
        workers = self.workers()
        ends = [end for end in map(_end_of, workers) if end is not None]
        for _ in range(times):
            (os.killpg if group else os.kill)(self.process.pid, number)
        code = self.process.wait(SOON)
        for worker in workers:  # one that was stopped before it could ask to end with its service
            with suppress(psutil.NoSuchProcess):
                worker.resume()
        outlived = [end for end in ends if not select.select([end], [], [], SOON)[0]]
        for end in ends:
            os.close(end)
        assert not outlived, "a worker outlived its service"
        return code

    def hit_a_worker(self, rng, number):
        """Whether there was one."""
        workers = self.workers()
        if not workers:
            return False
        try:
            rng.choice(workers).send_signal(number)
        except psutil.NoSuchProcess:
            return False
        return True


def _end_of(process):
    try:
        return os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None


DEATHS = (
    # what, to whom, which signal, how often, exit codes, weight; -15 is a signal before Python had begun
    ("service killed", "service", signal.SIGKILL, 1, {-9}, 10),
    ("service and workers killed", "group", signal.SIGKILL, 1, {-9}, 2),
    ("worker killed", "worker", signal.SIGKILL, 1, None, 5),
    ("worker crashed", "worker", signal.SIGSEGV, 1, None, 2),
    ("worker stopped", "worker", signal.SIGSTOP, 1, None, 1),
    ("service ended", "service", signal.SIGTERM, 1, {0, -15}, 2),
    ("service and workers ended", "group", signal.SIGTERM, 1, {0, -15}, 2),
    ("service ended twice", "service", signal.SIGTERM, 2, {0, 143, -15}, 2),
)


def at_once():
    pass


def kill(services, rng, deaths=DEATHS, away=at_once):
    """One death of some kind; its name, None where there was no worker. A service runs again, or still, afterwards.

    `away` returns when a service that has ended may start again.
    """
    name, whom, number, times, codes, _ = rng.choices(deaths, [death[-1] for death in deaths])[0]
    if whom == "worker":
        return name if services.hit_a_worker(rng, number) else None
    code = services.stop(number, group=whom == "group", times=times)
    assert code in codes, f"{name}: exit code {code}"
    away()
    services.start()
    return name
