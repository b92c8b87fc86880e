"""What a worker answers: always a reply that can travel between processes, read from real folders."""

import os
import pickle
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from handler.config.options import DEFAULTS, SIDECAR_BYTES
from handler.outbox.photo_version import Checksums
from handler.workers import child
from handler.workers.messages import Job
from handler.workers.outcome import Failed, Processed, Rejected, Skipped, Vanished
from pipeline.models.catalog import Verified, card
from pipeline.models.model_set import ModelSet
from pipeline.types import Limits
from sources.stores.base import Conflict
from sources.stores.local import FileStore

ROOT = Path(__file__).parents[3]
PORTRAITS = ROOT / "tests" / "portraits"
SMALL = (PORTRAITS / "sally_ride_small.jpg").read_bytes()


@pytest.fixture
def inbox(tmp_path):
    return FileStore(tmp_path)


def job(inbox, path="anna.jpg", data=SMALL, known=None, **limits):
    if data is not None:
        (inbox.root / path).write_bytes(data)
    return Job(inbox, path, DEFAULTS, {}, Limits(**limits), known)


def answer(portrait_pipeline, job):
    return travelled(child.process_photo(job, portrait_pipeline))


def sum_of(data):
    return sha256(data).hexdigest()


def travelled(reply):
    """As it arrives in the service."""
    return pickle.loads(pickle.dumps(reply))  # noqa: S301 - its own bytes


def test_process_photo_returns_portraits_with_checksums_and_options(inbox, portrait_pipeline):
    reply = answer(portrait_pipeline, job(inbox))

    assert isinstance(reply, Processed)
    assert reply.seen.checksums == Checksums(sum_of(SMALL), len(SMALL))
    assert reply.seen.changed_ns == (inbox.root / "anna.jpg").stat().st_ctime_ns
    assert {picture.kind for picture in reply.result.portraits[0].pictures} == {"png", "jpg"}
    assert (reply.recipe["width"], reply.recipe["from"]["width"]) == (648, "default")


def test_load_changed_models_raises(tmp_path):
    model = Verified(card("u2netp"), tmp_path / "model.onnx", 0, 0)
    code = (
        "import pickle, sys\nfrom handler.workers import child\nfrom pipeline.errors import ModelError\n"
        "try:\n    child.load(pickle.load(sys.stdin.buffer))\nexcept ModelError as error:\n    print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        input=pickle.dumps(ModelSet(model, model)),
        capture_output=True,
        check=True,
    )

    assert b"model.onnx: No such file or directory. It was there at the start" in ended.stdout


def test_process_photo_done_checksums_is_skipped(inbox, portrait_pipeline):
    known = answer(portrait_pipeline, job(inbox)).seen.checksums

    assert isinstance(answer(portrait_pipeline, job(inbox, known=known)), Skipped)
    (inbox.root / "anna.jpg.toml").write_text("width = 300")
    assert isinstance(answer(portrait_pipeline, job(inbox, known=known)), Processed)


def test_process_photo_sidecar_options_are_used_and_its_time_counts(inbox, portrait_pipeline):
    (inbox.root / "anna.jpg.toml").write_text("width = 300\nheight = 400")

    reply = answer(portrait_pipeline, job(inbox))

    assert (reply.result.portraits[0].pictures[0].width, reply.recipe["from"]["width"]) == (300, "sidecar")
    assert reply.seen.checksums.sidecar_sha256 == sum_of(b"width = 300\nheight = 400")
    assert reply.seen.changed_ns >= (inbox.root / "anna.jpg.toml").stat().st_ctime_ns


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("width = ", "is not TOML"),
        ("widht = 300", "widht"),
        ("width = 3", "width"),
        ("#" * (SIDECAR_BYTES + 1), "the limit is 65,536"),
    ],
)
def test_process_photo_invalid_sidecar_is_rejected(inbox, portrait_pipeline, text, said):
    (inbox.root / "anna.jpg.toml").write_text(text)

    reply = answer(portrait_pipeline, job(inbox))

    assert isinstance(reply, Rejected)
    assert reply.reason == "invalid_options"
    assert said in reply.hint


def test_process_photo_without_face_is_rejected_with_facts(inbox, portrait_pipeline):
    data = (PORTRAITS / "no_face_cat.png").read_bytes()

    reply = answer(portrait_pipeline, job(inbox, "cat.png", data))

    assert (reply.reason, reply.facts["faces"]) == ("no_face_detected", {"count": 0})
    assert reply.facts["source"] == {"format": "PNG", "width": 451, "height": 300}
    assert reply.recipe["width"] == 648


def test_process_photo_over_limit_is_rejected_unread(inbox, portrait_pipeline):
    reply = answer(portrait_pipeline, job(inbox, max_bytes=1000))

    assert reply.reason == "too_large"
    assert "13,641 bytes; the limit is 1,000, set by FACECRAFT_MAX_UPLOAD_SIZE_MB" in reply.hint
    assert reply.seen.checksums == Checksums(None, len(SMALL))
    assert isinstance(answer(portrait_pipeline, job(inbox, known=reply.seen.checksums, max_bytes=1000)), Skipped)
    assert isinstance(
        answer(portrait_pipeline, job(inbox, known=reply.seen.checksums)), Processed
    )  # the limit was raised


@pytest.mark.parametrize("path", ["gone.jpg", "folder/gone.jpg"])
def test_process_photo_gone_is_vanished(inbox, portrait_pipeline, path):
    assert answer(portrait_pipeline, job(inbox, path, data=None)) == Vanished()
    assert child.read_version(job(inbox, path, data=None)) == Vanished()


def test_process_photo_unreadable_fails(inbox, portrait_pipeline):
    (inbox.root / "anna.jpg").symlink_to("/etc/passwd")

    reply = answer(portrait_pipeline, job(inbox, data=None))

    assert isinstance(reply, Failed)
    assert reply.reason == "unreadable"


class Writing(FileStore):
    """Someone writes the photo whenever it is read."""

    def read(self, path, limit=None):
        if path.endswith(".toml"):
            return FileStore.read(self, path, limit)
        raise Conflict(f"{path!r} changed while it was read")


def test_process_photo_changed_while_read_fails_without_count(inbox, portrait_pipeline):
    reply = answer(portrait_pipeline, job(Writing(inbox.root)))

    assert (reply.reason, reply.counts) == ("changed", False)


class Unpicklable(Exception):
    """As native libraries raise them: it cannot travel."""

    def __init__(self, number, text):
        super().__init__(f"{number} {text}")
        self.held = open(os.devnull)  # noqa: PTH123, SIM115 - what cannot be pickled

    def __del__(self):
        self.held.close()


class Failing:
    """A pipeline that raises an error."""

    device = "cpu"

    def __init__(self, error):
        self.error = error

    def process(self, *_):
        raise self.error


@pytest.mark.parametrize("error", [ValueError("bad value"), MemoryError(), KeyError("x"), Unpicklable(7, "boom")])
def test_process_photo_pipeline_error_fails_with_traceback(inbox, error):
    reply = answer(Failing(error), job(inbox))

    assert isinstance(reply, Failed)
    assert reply.reason == "processing_error"
    assert type(error).__name__ in reply.error


def test_read_version_returns_checksums(inbox):
    reply = child.read_version(job(inbox))

    assert isinstance(reply, Skipped)
    assert reply.seen.checksums == Checksums(sum_of(SMALL), len(SMALL))


def test_read_version_unreadable_has_its_change_time(tmp_path):
    """Else its report would carry no stamp that the next scan recognises, and the photo be tried for ever."""
    (tmp_path / "anna.jpg").mkdir()
    job = Job(FileStore(tmp_path), "anna.jpg", DEFAULTS, {}, Limits())

    reply = child.read_version(job)

    assert isinstance(reply, Skipped)
    assert reply.seen.changed_ns == (tmp_path / "anna.jpg").stat().st_ctime_ns


def test_process_photo_unreadable_sidecar_is_named(tmp_path):
    (tmp_path / "anna.jpg").write_bytes(b"photo")
    (tmp_path / "anna.jpg.toml").mkdir()

    reply = child.read_version(Job(FileStore(tmp_path), "anna.jpg", DEFAULTS, {}, Limits()))
    answer = child.process_photo(Job(FileStore(tmp_path), "anna.jpg", DEFAULTS, {}, Limits()), None)

    assert isinstance(reply, Skipped)
    assert isinstance(answer, Failed)
    assert "its sidecar cannot be read" in answer.error
