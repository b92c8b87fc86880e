"""A process where Lambda's functions are: a read-only root, uid 993 without a home, 512 MB of /tmp, no shm, no network.

What it may reach are doors: ports of its own loopback that lead to servers out here.
"""

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOON = 60.0
_CHUNK = 65_536
_ALONE = ("unshare", "--user", "--map-root-user", "--mount", "--net")


@functools.cache
def _allowed():
    nested = [*_ALONE, "unshare", "--user", "--map-user=993", "true"]
    try:
        return subprocess.run(nested, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def allowed():
    """Skips the test where no name space may be made."""
    if not _allowed():
        pytest.skip("this machine lets nobody make a name space")


class Door:
    """Leads whoever connects to the listener to `target`, host:port."""

    def __init__(self, listener, target):
        host, _, port = target.rpartition(":")
        self._listener, self._target = listener, (host, int(port))
        self._open = [listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self):
        with suppress(OSError):  # it was closed
            while True:
                inside, _ = self._listener.accept()
                outside = socket.create_connection(self._target)
                self._open += [inside, outside]
                for each in (inside, outside):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for ends in ((inside, outside), (outside, inside)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source, target):
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


class Room:
    """Runs `command` there, with just this environment. `doors` are ports inside, and host:port of what is behind.

    The repository, the environment of Python and `kept` folders can be read. Use as a context: ends the process.
    """

    def __init__(self, command, environ, doors, *, kept=(), tmp="512m"):
        allowed()
        self._command, self._ports, self._targets = list(map(str, command)), list(doors), list(doors.values())
        self._environ = {"PATH": os.environ["PATH"], "LANG": "en_US.UTF-8", "TZ": ":UTC"} | environ
        self._kept = [str(Path(each).resolve()) for each in (ROOT, sys.prefix, sys.base_prefix, *kept)]
        self._tmp = tmp
        self._said = []

    def __enter__(self):
        here, there = socket.socketpair()
        with here, there:
            told = {"command": self._command, "environ": self._environ, "kept": self._kept, "tmp": self._tmp}
            told |= {"ports": self._ports, "outside": there.fileno()}
            code = [sys.executable, "-m", "tests.support.lambda_inside", json.dumps(told)]
            self.process = subprocess.Popen(
                [*_ALONE, *code], cwd=ROOT, pass_fds=[there.fileno()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            there.close()
            _, numbers, _, _ = socket.recv_fds(here, 16, len(self._ports))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        listeners = [socket.socket(fileno=number) for number in numbers]
        self._doors = [Door(*ends) for ends in zip(listeners, self._targets, strict=bool(numbers))]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.ended()
        for each in self._doors:
            each.close()
        self.process.stdout.close()

    def ended(self):
        """Its exit status, once it has ended."""
        status = self.process.wait(SOON)
        self._reader.join(SOON)
        return status

    def said(self):
        """What it has written so far, to stdout and stderr."""
        return b"".join(self._said).decode()

    def lines(self):
        """Those of its log."""
        return [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]

    @property
    def tmp(self):
        """Its /tmp, seen from here."""
        return Path(f"/proc/{self.process.pid}/root/tmp")

    def written(self):
        """All that lies in its /tmp, without the folders that are shown there."""
        own = self.tmp.stat().st_dev
        found = []
        for folder, folders, files in os.walk(self.tmp):
            folders[:] = [name for name in folders if Path(folder, name).stat().st_dev == own]
            found += [str(Path(folder, name)) for name in (*folders, *files)]
        return sorted(found)

    def memory(self):
        """What the process holds, in MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def frozen(self):
        """As between two calls, and for hours; `thawed` ends it."""
        self.process.send_signal(signal.SIGSTOP)

    def thawed(self):
        self.process.send_signal(signal.SIGCONT)

    def _read(self):
        for line in self.process.stdout:
            self._said.append(line)
