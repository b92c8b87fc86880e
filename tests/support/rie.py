"""AWS' runtime interface emulator: the real binary, from the PyPI wheel of aws-sam-cli, which is not installed.

`make rie` brings it.
"""

import http.client
import json
import platform
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

from tests.support.ports import free_port
from tests.support.tools import CACHE, downloaded, needed, placed

VERSION = "1.170.0"
SUMS = {
    "x86_64": "6b1e686e62ab2baf5759c412c4864276ef2a88b094fca53ec070637ccba9b9a5",
    "arm64": "ec2e5d09633d853834c008b1ef264bf834b258a94d551d2b2074966494b39a21",
}
MACHINE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
BINARY = CACHE / f"aws-lambda-rie-{VERSION}-{MACHINE}"
PATH = "/2015-03-31/functions/function/invocations"
SOON = 120.0


def fetch():
    """Bring it where that was not done before."""
    if BINARY.exists():
        return BINARY
    with downloaded(f"aws-sam-cli=={VERSION}") as wheel, zipfile.ZipFile(wheel) as files:
        return placed(BINARY, files.read(f"samcli/local/rapid/aws-lambda-rie-{MACHINE}"), SUMS[MACHINE])


class Emulator:
    """The function in the emulator, begun by the first call. Use as a context: both are ended."""

    def __init__(self, environ, *command):
        self.port = free_port()
        listen = ["--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"]
        line = [needed(BINARY, "`make rie`"), *listen, "--runtime-api-address", f"127.0.0.1:{free_port()}", *command]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end
        self.process = subprocess.Popen(
            line, cwd=Path(__file__).parents[2], env=environ, stdout=self._log, stderr=self._log, start_new_session=True
        )

    def __enter__(self):
        pause = threading.Event()
        for _ in range(int(SOON / 0.05)):
            assert self.process.poll() is None, self.said()
            if self._listens():
                return self
            pause.wait(0.05)
        raise AssertionError("the emulator does not listen")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(SOON)
        self._log.close()

    def invoke(self, event):
        """The status, and the body: JSON, or text where the emulator itself answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SOON)
        try:
            connection.request("POST", PATH, json.dumps(event))
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith((b"{", b"[")) else text.decode()
        finally:
            connection.close()

    def said(self):
        self._log.seek(0)
        return self._log.read().decode()

    def _listens(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.client.NOT_FOUND
        except OSError:
            return False
        finally:
            connection.close()


if __name__ == "__main__":
    sys.stdout.write(f"{fetch()}\n")
