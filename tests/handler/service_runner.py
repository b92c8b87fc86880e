"""Runs the real service as a process of its own, and asks it what it is asked over HTTP."""

import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOON = 60.0
WATCH = (sys.executable, "-m", "handler", "watch")


def environment(models, **settings):
    """The variables of a service: ours alone, with short pauses."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FACECRAFT_")}
    ours = {"MODELS_DIR": models, "PORT": 0, "HOST": "127.0.0.1", "SETTLE_SECONDS": 0.2, "RESCAN_SECONDS": 1}
    return kept | {f"FACECRAFT_{name}": str(value) for name, value in (ours | settings).items()}


def run(*arguments, environ):
    """A command of the service, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "handler", *map(str, arguments)],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=SOON, check=False,
    )  # fmt: skip


class Watch:
    """`facecraft watch`. Use as a context: it is killed at the end where it still runs."""

    def __init__(self, folder, models, *, command=WATCH, **settings):
        self.inbox, self.outbox = folder / "in", folder / "out"
        self.inbox.mkdir(exist_ok=True)
        environ = environment(models, **({"INBOX": self.inbox, "OUTBOX": self.outbox} | settings))
        self.process = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self._unread = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        self.port = self.logged("service.started")["port"]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stderr.close()

    def _read(self):
        for line in self.process.stderr:
            self._unread.put(line)

    def logged(self, event, **fields):
        """The next line of the log about that."""
        while True:
            line = json.loads(self._unread.get(timeout=SOON))
            self.lines.append(line)
            if line["event"] == event and fields.items() <= line.items():
                return line

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def invoke(self, event, **headers):
        """A call: its status, headers and answer. Headers with `_` for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SOON)
        try:
            named = {name.replace("_", "-"): each for name, each in headers.items()}
            connection.request("POST", "/2015-03-31/functions/function/invocations", json.dumps(event), named)
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read() or "null")
        finally:
            connection.close()

    def ask(self, path):
        status, body = self.get(path)
        return status, json.loads(body)

    def until(self, path, true):
        """Ask until the answer (status, content) is so; that answer."""
        pause = threading.Event()
        for _ in range(int(SOON / 0.05)):
            if true(*(answer := self.ask(path))):
                return answer
            pause.wait(0.05)
        raise AssertionError(f"{path} still says {answer}")

    def ready(self):
        self.until("/ready", lambda status, _: status == 200)
        return self

    def drop(self, photo, path, sidecar=None):
        """The photo appears in the inbox, whole, as `path`; its sidecar is there already."""
        target = self.inbox / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if sidecar:
            target.with_name(f"{target.name}.toml").write_text(sidecar)
        aside = self.inbox.parent / "aside"
        aside.write_bytes(Path(photo).read_bytes())
        aside.rename(target)
        return target.as_uri()

    def settled(self, uri):
        """Its closing line; the lines in between are kept in `lines`."""
        while True:
            for line in self.lines:
                if line.get("uri") == uri and line["event"].startswith("photo.") and line["event"] != "photo.error":
                    self.lines.remove(line)
                    return line
            self.lines.append(json.loads(self._unread.get(timeout=SOON)))

    def closing_lines(self):
        """Those of all photos, once the process has ended."""
        return [line for line in self.rest() if line["event"].startswith("photo.")]

    def rest(self):
        """All lines that nobody asked for, once the process has ended."""
        self.process.wait(SOON)
        self._reader.join()
        while not self._unread.empty():
            self.lines.append(json.loads(self._unread.get()))
        return self.lines

    def report(self, path):
        return json.loads((self.outbox / "reports" / f"{path}.json").read_bytes())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SOON)
