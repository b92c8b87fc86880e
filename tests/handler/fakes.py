"""What the tests of the handler share: small portraits, a pool without processes, replies as a worker gives them."""

import io
import json
import threading
from collections import deque
from dataclasses import replace

from PIL import Image, PngImagePlugin

from handler.config.options import DEFAULTS, recipe_facts
from handler.config.settings import CommonSettings
from handler.outbox.attempts import Attempts
from handler.outbox.paths import ATTEMPTS, report_path
from handler.processing.process import Process
from handler.workers import child
from handler.workers.outcome import Processed, Rejected, Skipped
from pipeline.image.provenance import PNG_KEY, mark
from pipeline.reasons import REASONS
from pipeline.types import Picture, Rendered, Result
from sources.events import Event
from sources.stores.local import FileStore

MAX_ATTEMPTS = 3
SOURCE = {"format": "JPEG", "width": 30, "height": 40}


def portrait(owner, grey=0, facts=None):
    """A portrait of 8 x 8 pixels that carries its owner's mark."""
    image, png, jpg = Image.new("L", (8, 8), grey), io.BytesIO(), io.BytesIO()
    text = PngImagePlugin.PngInfo()
    text.add_text(PNG_KEY, mark(owner))
    image.save(png, "PNG", pnginfo=text)
    image.save(jpg, "JPEG", comment=mark(owner))
    pictures = (Picture("jpg", jpg.getvalue(), 8, 8), Picture("png", png.getvalue(), 8, 8))
    return Rendered(pictures, facts or {})


def face(left=812):
    """One face's part of a report."""
    return {
        "faces": {"box": [left, 640, 900, 900], "landmarks": [[left + 8.5, 940.0]], "landmark_model": "68"},
        "geometry": {"roll_degrees": -2.1, "source_to_output": [[0.3, 0.0, -12.0], [0.0, 0.3, 40.0]]},
    }


def result(owner, faces=1):
    """The pipeline's result for a photo of so many faces, each a portrait."""
    facts = {
        "source": SOURCE,
        "face_count": faces,
        "cutout": "applied",
        "restoration": "unavailable",
        "restored_faces": [],
        "notes": ["enlarged"],
        "models": [{"name": "u2net", "sha256": "8d", "licence": "Apache-2.0"}],
    }
    portraits = tuple(portrait(owner, number, face(100 * number)) for number in range(faces))
    return Result(portraits, facts, {"decode": 41.0, "detect": 60.2})


def done(job, faces=1):
    """A worker's reply to a photo it can do, or has done."""
    return _unless_same(job, lambda seen: Processed(recipe_facts(DEFAULTS), result(job.path, faces), seen=seen))


def refused(job, reason="no_face_detected"):
    """A worker's reply to a photo that is itself the reason."""
    facts = {"source": SOURCE, "faces": {"count": 0}, "notes": []}
    return _unless_same(job, lambda seen: Rejected(reason, REASONS[reason], recipe_facts(DEFAULTS), facts, seen=seen))


def _unless_same(job, use):
    reply = child.read_version(replace(job, done_checksums=None))
    if not isinstance(reply, Skipped):
        return reply
    return reply if reply.seen.checksums == job.done_checksums else use(reply.seen)


class FakePool:
    """A pool without processes. Each answer is a reply, an error to raise, or a function of the job; then `done`.

    Jobs that want the photo's version only are answered with it.
    """

    def __init__(self, *answers):
        self.answers = deque(answers)
        self.jobs = []
        self._lock = threading.Lock()

    def run(self, job):
        if job.version_only:
            return self.read_version(job)
        with self._lock:
            self.jobs.append(job)
            answer = self.answers.popleft() if self.answers else done
        if isinstance(answer, Exception):
            raise answer
        return answer(job) if callable(answer) else answer

    def read_version(self, job):
        return child.read_version(job)


def process_between(inbox, outbox, attempts, *answers, after="keep"):
    """The process between two stores, with a pool that gives these answers."""
    settings = CommonSettings(after=after, max_attempts=MAX_ATTEMPTS)
    return Process.between(inbox, outbox, attempts, FakePool(*answers), settings)


def event(inbox, path):
    return Event(inbox.uri(path), path, "v1")


class Desk:
    """An inbox, an outbox, and services that process photos from one to the other."""

    def __init__(self, root):
        self.inbox, self.outbox = FileStore(root / "in"), FileStore(root / "out")
        for store in (self.inbox, self.outbox):
            store.root.mkdir(exist_ok=True)
        self.services = []
        self.process = self.service()

    def service(self, *answers, after="keep"):
        """Another service on the same folders, after what died left its suspects."""
        attempts = Attempts(self.outbox)
        attempts.suspects(self.inbox.exists)
        self.services.append(attempts)
        return process_between(self.inbox, self.outbox, attempts, *answers, after=after)

    def photo(self, path, data=b"a photo"):
        place = self.inbox.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return event(self.inbox, path)

    def run(self, event, *answers):
        self.process.pool.answers.extend(answers)
        return self.process(event)

    def report(self, path):
        return json.loads((self.outbox.root / report_path(path)).read_bytes())

    def images(self):
        return sorted(path for path in self.outbox.list() if not path.startswith("reports/"))

    def markers(self):
        return list(self.outbox.stamps(ATTEMPTS))
