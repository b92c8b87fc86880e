"""The Invoke endpoint with a function that is played, on a server of its own."""

import http.client
import json
import logging
import threading
from dataclasses import replace

from handler.http.auth import Guard
from handler.http.invoke import PATH, InvokeRoute
from handler.http.server import ServerThread, make_app
from handler.serverless.calls import CallExecutor
from handler.serverless.invocation import FunctionError
from handler.telemetry.metrics import Metrics
from tests.handler.http.test_server import Service

SOON = 10.0
_log = logging.getLogger("played")


class Played:
    """A function that does what its event asks for."""

    def __init__(self):
        self.calls, self.threads, self.remaining = [], [], []
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, event, invocation):
        self.calls.append(invocation.request_id)
        self.threads.append(threading.current_thread().name)
        self.remaining.append(invocation.remaining())
        match event:
            case {"log": lines}:
                for line in lines:
                    _log.warning("%s", line)
            case {"fail": kind}:
                raise FunctionError(kind, "send a photo: é")
            case {"divide": number}:
                return {"quotient": 1 / number}
            case {"hold": _}:
                self.begun.release()
                assert self.go_on.acquire(timeout=SOON)
        return {"echo": event}


class Desk:
    """Use as a context. `url` is where it listens."""

    def __init__(self, *, limit=4, seconds=SOON, loopback=True, key=None, read_seconds=SOON):
        self.function, self.metrics, self.reasons = Played(), Metrics(), []
        self.calls = CallExecutor(self.function, limit, self.metrics)
        invoke = InvokeRoute(self.calls, Guard(loopback, key), lambda: self.reasons, self.metrics, seconds)
        app = make_app(Service(), invoke=replace(invoke, read_seconds=read_seconds))
        self.server = ServerThread(app, "127.0.0.1", 0)

    def __enter__(self):
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.port}"
        return self

    def __exit__(self, *_):
        for _ in range(10):
            self.function.go_on.release()
        self.calls.drain()
        self.server.stop()

    def post(self, body=b"{}", method="POST", path=PATH, **headers):
        """The answer's status, headers and bytes. Headers with `_` for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=SOON)
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, sent, {name.replace("_", "-"): each for name, each in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def refused(self, body=b"{}", **headers):
        """Status, the error's type and message."""
        status, answered, content = self.post(body, **headers)
        told = json.loads(content)
        return status, answered["x-amzn-ErrorType"], told.get("message") or told["Message"]

    def hold(self, number=1, **headers):
        """So many calls are in the function by now; threads that end with their answers, in `answers`."""
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(self.post({"hold": 1}, **headers))) for _ in range(number)
        ]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert self.function.begun.acquire(timeout=SOON)
        return threads, answers

    def counted(self, end):
        """How many calls ended so."""
        name = f'facecraft_invocations_total{{end="{end}"}} '
        lines = self.metrics.render()[0].decode().splitlines()
        return float(next(line for line in lines if line.startswith(name)).removeprefix(name))
