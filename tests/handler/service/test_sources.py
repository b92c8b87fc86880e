"""Photos on their whole way through folders, source, workers and process; only the model workers are played."""

import json
import os
import threading
import unicodedata
from collections import Counter
from contextlib import ExitStack

import pytest

from handler.outbox.attempts import Attempts
from handler.outbox.paths import report_path
from handler.outbox.reports import ReportStore
from handler.processing.slots import Workers
from handler.workers.outcome import Processed
from pipeline.formats.completeness import is_complete
from pipeline.image.provenance import owner_of
from sources.folder.source import FolderSource
from sources.stores.local import FileStore
from tests.chaos.audit import snapshot
from tests.handler.fakes import done, process_between

SOON = 20.0


class Service:
    """One of the services on an inbox and an outbox; waits for outcomes, and counts what was worked on."""

    def __init__(self, root, *answers, slots=1):
        self.inbox, self.outbox = FileStore(root / "in"), FileStore(root / "out")
        self.outcomes, self.worked = [], Counter()
        self._changed = threading.Condition()
        self._attempts = Attempts(self.outbox)
        process = process_between(self.inbox, self.outbox, self._attempts, *answers or [self.work] * 1000)
        self.source = FolderSource(
            self.inbox.root,
            settle_seconds=0.1,
            rescan_seconds=3600,
            done_in=ReportStore(self.outbox).done_in,
            is_complete=is_complete,
        )
        self._workers = Workers(self.source, process, self, slots)

    def __enter__(self):
        self._workers.start()
        return self

    def __exit__(self, *_):
        self.source.stop()
        assert self._workers.wait(SOON)
        self.source.close()
        self._attempts.close()

    def work(self, job):
        reply = done(job)
        if isinstance(reply, Processed):
            self.worked[job.path] += 1
        return reply

    def taken(self, event):
        pass

    def settled(self, event, outcome):
        with self._changed:
            self.outcomes.append((event.path, outcome.name))
            self._changed.notify_all()

    def until(self, true):
        with self._changed:
            assert self._changed.wait_for(lambda: true(self.outcomes), SOON), self.outcomes
            return list(self.outcomes)

    def report(self, path):
        return json.loads((self.outbox.root / os.fsdecode(os.fsencode(report_path(path)))).read_bytes())


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def images(outbox):
    """Each image with its owner."""
    names = (path for path in outbox.list() if not path.startswith("reports/"))
    return {name: owner_of(outbox.read(name).data) for name in names}


ODD_NAMES = [
    " ",
    "-rf.jpg",
    "a\nb.jpg",
    "a b+c%20%2e.jpg",
    "...jpg",
    "👩.jpg",
    unicodedata.normalize("NFC", "Zoë.jpg"),
    unicodedata.normalize("NFD", "Zoë.jpg"),
    "Anna.jpg",
    "anna.JPG",
    "anna.jpg",
    os.fsdecode(b"caf\xe9.jpg"),
    "x" * 251 + ".jpg",
    "é" * 125 + ".heic",
    "no extension",
    "a.json.jpg",
]


def test_photos_of_all_names_and_of_one_content_get_their_own_results(inbox, tmp_path):
    for name in ODD_NAMES:
        (inbox / name).write_bytes(b"the same photo")
    (inbox / "reports").mkdir()
    (inbox / "reports" / "anna.jpg").write_bytes(b"the same photo")
    photos = [*(name for name in ODD_NAMES if not name.startswith(".")), "reports/anna.jpg"]

    with Service(tmp_path) as service:
        service.until(lambda outcomes: len(outcomes) == len(photos))

    owners = images(service.outbox)
    for path in photos:
        names = [file["name"] for file in service.report(path)["outputs"]]
        assert [owners.pop(name) for name in names] == [path, path]
    assert owners == {}


def test_a_touch_and_the_same_bytes_again_are_no_work(inbox, tmp_path):
    photo = inbox / "anna.jpg"
    photo.write_bytes(b"a photo")
    with Service(tmp_path) as service:
        service.until(lambda outcomes: len(outcomes) == 1)
        for again in (photo.touch, lambda: photo.chmod(0o600), lambda: photo.write_bytes(b"a photo")):
            number = len(service.outcomes)
            again()
            service.until(lambda outcomes, number=number: len(outcomes) > number)

    assert {name for _, name in service.outcomes[1:]} == {"skipped"}
    assert service.worked == {"anna.jpg": 1}


def test_a_photo_that_is_replaced_while_it_is_in_work_is_done_in_both_versions(inbox, tmp_path):
    photo = inbox / "anna.jpg"
    photo.write_bytes(b"first")

    def replaced(job):
        reply = done(job)
        photo.write_bytes(b"second")
        return reply

    with Service(tmp_path, replaced) as service:
        service.until(lambda outcomes: len(outcomes) == 2)

    assert service.outcomes == [("anna.jpg", "done")] * 2
    assert service.report("anna.jpg")["source"]["bytes"] == len(b"second")
    assert images(service.outbox) == {"anna.png": "anna.jpg", "anna.jpg": "anna.jpg"}


def test_a_photo_that_is_taken_away_while_it_is_in_work_has_its_portrait(inbox, tmp_path):
    photo = inbox / "anna.jpg"
    photo.write_bytes(b"a photo")

    def taken_away(job):
        reply = done(job)
        photo.unlink()
        return reply

    with Service(tmp_path, taken_away) as service:
        assert service.until(lambda outcomes: outcomes) == [("anna.jpg", "done")]
    assert len(images(service.outbox)) == 2


def test_two_services_do_each_photo_once_between_them(inbox, tmp_path):
    photos = [f"{number // 10}/{number % 10}.jpg" for number in range(60)]
    with ExitStack() as stack:
        services = [stack.enter_context(Service(tmp_path, slots=2)) for _ in range(2)]
        for path in photos:
            (inbox / path).parent.mkdir(exist_ok=True)
            (inbox / path).write_bytes(path.encode())
        for service in services:
            service.until(lambda outcomes: len({path for path, name in outcomes if name != "retried"}) == len(photos))

    worked = services[0].worked + services[1].worked
    assert worked == dict.fromkeys(photos, 1)
    names = {file["name"]: path for path in photos for file in services[0].report(path)["outputs"]}
    assert images(services[0].outbox) == names
    assert not (tmp_path / "out/.facecraft/attempts").exists() or not any(
        (tmp_path / "out/.facecraft/attempts").iterdir()
    )


def test_the_inbox_is_left_as_it_was(inbox, tmp_path):
    (inbox / "sales").mkdir()
    for name in ("anna.jpg", "sales/bert.jpg", "anna.jpg.toml", ".hidden", "half.part"):
        (inbox / name).write_bytes(b"width = 800")
    (inbox / "link.jpg").symlink_to("anna.jpg")
    before = snapshot(inbox)

    with Service(tmp_path) as service:
        service.until(lambda outcomes: len(outcomes) == 3)

    assert snapshot(inbox) == before
