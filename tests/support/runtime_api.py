"""A server of Lambda's Runtime API, as its documentation has it: what awslambdaric asks for work and gives answers to.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import queue
import re
import sys
import threading
import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SOON = 120.0
MOST_BYTES = 6 * 1024 * 1024 + 100
"""What Lambda takes of an answer."""

_ANSWER = re.compile(r"/2018-06-01/runtime/invocation/([^/]+)/(response|error)")
_ARN = "arn:aws:lambda:eu-central-1:123456789012:function:facecraft"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the function said. `kind` is response or error; `type` is that of the error, from its header or, where
    there is none (awslambdaric sends it with errors of the init phase alone), from its body."""

    kind: str
    body: object
    type: str | None
    seconds: float


@dataclass(slots=True)
class Call:
    """One invocation. `answer` comes in time or not at all."""

    event: object
    seconds: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    begun: float | None = None
    answer: Future = field(default_factory=Future)

    def result(self):
        """The answer; an AssertionError where Lambda would have ended the function."""
        answer = self.answer.result(timeout=SOON + self.seconds)
        assert answer.seconds < self.seconds, f"Task timed out after {self.seconds:.2f} seconds"
        return answer


class RuntimeApi:
    """Hands calls to one function, one after the other. Use as a context; `address` is AWS_LAMBDA_RUNTIME_API."""

    def __init__(self):
        self.init_error = Future()
        self.idle = threading.Event()
        self.refused = []
        self._calls = queue.Queue()
        self._known = {}
        self._asked = False
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": self}))

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._calls.put(None)
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self):
        return "{}:{}".format(*self._server.server_address)

    def send(self, event, seconds=SOON):
        """The call, which its function has not answered yet. `event` that is bytes is sent as it is."""
        call = Call(event, seconds)
        self._known[call.id] = call
        self._calls.put(call)
        return call

    def call(self, event, seconds=SOON):
        return self.send(event, seconds).result()

    def ready(self):
        """Waits for the end of the init phase; an AssertionError where it failed."""
        pause = threading.Event()
        for _ in range(int(SOON / 0.02)):
            if self.idle.is_set():
                return self
            assert not self.init_error.done(), self.init_error.result()
            pause.wait(0.02)
        raise AssertionError("the function does not ask for work")

    # What the function asks

    def next(self):
        """The next call, begun; None where there will be none."""
        self._asked = True
        self.idle.set()
        call = self._calls.get()
        self.idle.clear()
        if call:
            call.begun = time.monotonic()
        return call

    def answered(self, name, kind, body, error_type):
        """The status and the body that the documentation names for that."""
        call = self._known.get(name)
        if call is None or call.begun is None:
            return self._no(HTTPStatus.BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
        with self._lock:
            if call.answer.done():
                return self._no(HTTPStatus.FORBIDDEN, "InvalidStateTransition", "Transition is not allowed")
            seconds = time.monotonic() - call.begun
            if kind == "response" and len(body) > MOST_BYTES:
                said = f"Exceeded maximum allowed payload size ({MOST_BYTES} bytes)."
                call.answer.set_result(
                    Answer("error", {"errorMessage": said}, "Function.ResponseSizeTooLarge", seconds)
                )
                return self._no(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", said)
            told = json.loads(body)
            error_type = error_type or (told.get("errorType") if kind == "error" else None)
            call.answer.set_result(Answer(kind, told, error_type, seconds))
        return HTTPStatus.ACCEPTED, {"status": "OK"}

    def failed_to_begin(self, body, error_type):
        if self._asked or self.init_error.done():
            return self._no(HTTPStatus.FORBIDDEN, "InvalidStateTransition", "Transition is not allowed")
        self.init_error.set_result(Answer("init_error", json.loads(body), error_type, 0.0))
        return HTTPStatus.ACCEPTED, {"status": "OK"}

    def _no(self, status, kind, said):
        self.refused.append(kind)
        return status, {"errorMessage": said, "errorType": kind}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A function that is ended leaves its connections as they are."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm, wbufsize = True, -1  # else each answer waits for the client to acknowledge its headers
    api = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path != "/2018-06-01/runtime/invocation/next":
            self._send(HTTPStatus.NOT_FOUND, b"404 page not found")
        elif call := self.api.next():
            deadline = int(1000 * (time.time() + call.seconds))
            told = {"Aws-Request-Id": call.id, "Deadline-Ms": deadline, "Invoked-Function-Arn": _ARN}
            told["Trace-Id"] = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"
            event = call.event if isinstance(call.event, bytes) else json.dumps(call.event).encode()
            self._send(HTTPStatus.OK, event, {f"Lambda-Runtime-{name}": value for name, value in told.items()})
        else:
            self.close_connection = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        error_type = self.headers["Lambda-Runtime-Function-Error-Type"]
        if self.path == "/2018-06-01/runtime/init/error":
            status, said = self.api.failed_to_begin(body, error_type)
        elif found := _ANSWER.fullmatch(self.path):
            status, said = self.api.answered(*found.groups(), body, error_type)
        else:
            status, said = HTTPStatus.NOT_FOUND, {}
        self._send(status, json.dumps(said).encode())

    def _send(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, str(value))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
