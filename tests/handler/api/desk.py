"""The real API on a port of its own, with workers that make small portraits at once."""

import http.client
import io
import json
import threading
import uuid

from PIL import Image

from handler.api.access import Access
from handler.api.answers import answer
from handler.api.callbacks import Callbacks
from handler.api.jobs import Jobs
from handler.api.routes import Api
from handler.api.store import JobStore
from handler.api.sweeper import Sweeper
from handler.config.load import load
from handler.http.server import ServerThread, make_app
from handler.outbox.attempts import Attempts
from handler.processing.activity import Activity
from handler.telemetry.metrics import Metrics
from handler.workers.outcome import Rejected, Skipped
from pipeline.reasons import REASONS
from sources.stores.location import store_at
from tests.handler.fakes import FakePool, done, refused
from tests.handler.http.test_server import Service


def jpeg(grey=100):
    data = io.BytesIO()
    Image.new("L", (30, 40), grey).save(data, "JPEG")
    return data.getvalue()


def portrait(job):
    """As a worker: a portrait for a picture, a refusal for everything else and for what says that it has no face."""
    data = job.inbox.read(job.path).data
    if b"no face" in data:
        return refused(job)
    try:
        Image.open(io.BytesIO(data)).load()
    except (OSError, SyntaxError):
        reason = "not_an_image" if data else "empty_file"
        return Rejected(reason, REASONS[reason])
    faces = 2 if job.base.recipe.face_policy == "all" else 1
    reply = done(job, faces)
    assert not isinstance(reply, Skipped)
    return reply


class HoldingPool(FakePool):
    """Answers as `portrait` does, while `go_on` is set."""

    def __init__(self):
        super().__init__()
        self.go_on, self.begun = threading.Event(), threading.Semaphore(0)
        self.go_on.set()
        self.work = portrait

    def run(self, job):
        with self._lock:
            self.jobs.append(job)
        self.begun.release()
        assert self.go_on.wait(30)
        return self.work(job)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def detail(self):
        return self.json["detail"]


class Desk:
    """Use as a context. `settings`: FACECRAFT_ variables beside the two folders."""

    def __init__(self, folder, threads=3, *, attempts=None, **settings):
        for name in ("in", "out"):
            (folder / name).mkdir(exist_ok=True)
        variables = {"INBOX": folder / "in", "OUTBOX": folder / "out", "HOST": "127.0.0.1"} | settings
        self.settings = load({f"FACECRAFT_{name}": str(value) for name, value in variables.items()})
        self.outbox = store_at(self.settings.outbox)
        self.pool, self.reasons, self.ended = HoldingPool(), [], threading.Event()
        self.attempts = Attempts(self.outbox)
        store, activity = JobStore(self.outbox), Activity(Metrics())
        key = self.settings.api_key.get_secret_value() if self.settings.api_key else None
        callbacks = Callbacks(self.settings.callback_hosts, key, lambda job: answer(job, store))
        self.jobs = Jobs(store, self.pool, activity, self.settings.limits(), threads, callbacks.send)
        limits = (self.settings.job_hours, self.settings.max_attempts)
        self.sweeper = Sweeper(self.jobs, self.attempts, *limits, self.ended)
        access = Access(self.settings.host == "127.0.0.1", key, self.settings.open, self.settings.cors_origins)
        everything = (self.sweeper, callbacks, lambda: self.reasons, self.attempts.service)
        self.api = Api(self.settings, access, self.jobs, *everything)
        self.server = ServerThread(make_app(Service(), install=self.api.install), "127.0.0.1", 0)

    def __enter__(self):
        self.attempts.hold_lease()
        self.server.start()
        self.api.start()
        return self

    def __exit__(self, *_):
        self.pool.go_on.set()
        self.ended.set()
        self.api.drain()
        self.server.stop()
        self.api.close()
        self.attempts.close()

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            found = connection.getresponse()
            return Answer(found.status, found.headers, found.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, *parts, headers=None, **fields):
        """A form: `parts` are (field, file name, bytes), or the photo's bytes alone."""
        files = [part if isinstance(part, tuple) else ("file", "anna.jpg", part) for part in parts]
        body, kind = form(files, fields)
        return self.ask("POST", f"/api/v1/{path}", body, **{"Content-Type": kind, **(headers or {})})

    def process(self, *parts, **more):
        return self.post("process", *(parts or (jpeg(),)), **more)

    def stored(self):
        return sorted(self.outbox.list("jobs"))


def form(files, fields=()):
    """A multipart body and its content type. A file name of None is a plain field."""
    boundary = uuid.uuid4().hex
    body = io.BytesIO()
    texts = [(name, None, str(value).encode()) for name, value in dict(fields).items()]
    for name, filename, data in [*texts, *files]:
        file = f'; filename="{filename}"' if filename is not None else ""
        body.write(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode())
        body.write(data + b"\r\n")
    body.write(f"--{boundary}--\r\n".encode())
    return body.getvalue(), f"multipart/form-data; boundary={boundary}"
