"""What becomes of done photos: kept, moved or deleted, in real folders; nothing is lost on the way."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from handler.outbox.originals import AfterPolicy, moved_to
from handler.outbox.paths import report_path
from handler.workers.outcome import Done, Skipped, Vanished
from handler.workers.worker_process import WorkerDied
from sources.folder.scanner import FolderScanner
from tests.handler.fakes import MAX_ATTEMPTS, Desk, done, event, refused

DIES_BEFORE_IT_TAKES = """
import os, signal, sys
from pathlib import Path
from dataclasses import replace
from tests.handler.fakes import Desk, event
from handler.outbox.originals import AfterPolicy

class Dying(AfterPolicy):
    def act(self, path, sums):
        os.kill(os.getpid(), signal.SIGKILL)

desk = Desk(Path(sys.argv[1]))
process = replace(desk.process, after=Dying(desk.inbox, desk.outbox, "move"))
process(event(desk.inbox, "anna.jpg"))
"""


@pytest.fixture
def moving(desk):
    return desk.service(after="move")


@pytest.fixture
def deleting(desk):
    return desk.service(after="delete")


def inbox(desk):
    return sorted(desk.inbox.list())


def originals(desk):
    return {path: desk.outbox.read(path).data for path in desk.outbox.list("originals")}


def is_work(desk):
    """What a rescan would find."""
    report_store = desk.process.report_store
    return [path for batch in FolderScanner(str(desk.inbox.root), report_store.done_in).scan() for path in batch.paths]


def rests(desk, process, path):
    """Whether it is settled after a while: what is read at once after it was written is looked at again once more."""
    return any(path not in is_work(desk) or not process(event(desk.inbox, path)) for _ in range(1000))


def test_a_done_photo_is_moved_with_its_sidecar_and_keeps_its_date(desk, moving):
    desk.photo("sales/anna.jpg.toml", b"width = 800")
    anna = desk.photo("sales/anna.jpg")
    os.utime(desk.inbox.root / "sales/anna.jpg", ns=(5, 1_500_000_000_123_456_789))

    assert isinstance(moving(anna), Done)

    assert inbox(desk) == []
    assert originals(desk) == {
        "originals/sales/anna.jpg": b"a photo",
        "originals/sales/anna.jpg.toml": b"width = 800",
    }
    assert (desk.outbox.root / "originals/sales/anna.jpg").stat().st_mtime_ns == 1_500_000_000_123_456_789
    assert desk.report("sales/anna.jpg")["outcome"] == "done"
    assert desk.markers() == []


def test_a_done_photo_is_deleted_with_its_sidecar(desk, deleting):
    desk.photo("anna.jpg.toml", b"width = 800")

    assert isinstance(deleting(desk.photo("anna.jpg")), Done)

    assert (inbox(desk), originals(desk)) == ([], {})
    assert desk.images() == ["anna.jpg", "anna.png"]


def test_keep_leaves_everything(desk):
    desk.run(desk.photo("anna.jpg"))

    assert (inbox(desk), originals(desk)) == (["anna.jpg"], {})


@pytest.mark.parametrize("after", ["move", "delete"])
def test_rejected_and_failed_photos_stay_and_are_settled(desk, after):
    rejected, failed = desk.photo("cat.jpg"), desk.photo("crash.jpg")
    process = desk.service(refused, *[WorkerDied("-11")] * MAX_ATTEMPTS, after=after)

    process(rejected)
    for _ in range(MAX_ATTEMPTS):
        process(failed)
    assert rests(desk, process, "cat.jpg")
    assert rests(desk, process, "crash.jpg")
    assert inbox(desk) == ["cat.jpg", "crash.jpg"]
    assert originals(desk) == {}


def test_the_report_stands_before_the_photo_goes(desk):
    seen = []

    class Watching(AfterPolicy):
        def act(self, path, checksums):
            seen.extend(json.loads(desk.outbox.read(report_path(path)).data)["outputs"])
            super().act(path, checksums)

    process = replace(desk.process, after=Watching(desk.inbox, desk.outbox, "delete"))
    process(desk.photo("anna.jpg"))

    assert [file["name"] for file in seen] == ["anna.png", "anna.jpg"]
    assert inbox(desk) == []


def test_after_a_kill_between_report_and_move_the_photo_is_moved_and_not_done_again(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "anna.jpg").write_bytes(b"a photo")
    ended = subprocess.run(
        [sys.executable, "-c", DIES_BEFORE_IT_TAKES, tmp_path], cwd=Path(__file__).parents[3], check=False
    )
    assert ended.returncode == -9

    desk = Desk(tmp_path)
    process = desk.service(after="move")
    report = desk.report("anna.jpg")
    assert is_work(desk) == ["anna.jpg"]
    assert process(event(desk.inbox, "anna.jpg")) == Skipped()

    assert (inbox(desk), is_work(desk)) == ([], [])
    assert originals(desk) == {"originals/anna.jpg": b"a photo"}
    assert (desk.report("anna.jpg"), desk.markers()) == (report, [])


def test_a_photo_that_is_dropped_again_goes_again_without_work(desk, moving):
    moving(desk.photo("anna.jpg"))

    assert moving(desk.photo("anna.jpg")) == Skipped()

    assert len(moving.pool.jobs) == 2
    assert (inbox(desk), originals(desk)) == ([], {"originals/anna.jpg": b"a photo"})


def test_an_original_is_never_replaced_by_a_later_photo_of_its_name(desk, moving):
    contents = [b"monday", b"tuesday", b"monday"]
    for data in contents:
        assert isinstance(moving(desk.photo("scan.jpg", data)), Done)
        where = moved_to(desk.outbox, "scan.jpg", desk.report("scan.jpg"))
        assert desk.outbox.read(where).data == data

    tuesday = f"originals/scan~{sha256(b'tuesday').hexdigest()[:16]}.jpg"
    assert originals(desk) == {"originals/scan.jpg": b"monday", tuesday: b"tuesday"}
    assert inbox(desk) == []


@pytest.mark.parametrize("after", ["move", "delete"])
@pytest.mark.parametrize("change", ["anna.jpg", "anna.jpg.toml"])
def test_what_changed_meanwhile_is_not_touched_and_is_work_again(desk, after, change):
    anna = desk.photo("anna.jpg")

    def changed(job):
        reply = done(job)
        desk.photo(change, b"width = 900")
        return reply

    process = desk.service(changed, after=after)
    assert isinstance(process(anna), Done)
    assert {"anna.jpg", change} <= set(inbox(desk))
    assert is_work(desk) == ["anna.jpg"]

    assert isinstance(process(anna), Done)
    assert inbox(desk) == []


def test_a_sidecar_that_went_meanwhile_makes_the_photo_work_again(desk):
    desk.photo("anna.jpg.toml", b"width = 900")
    anna = desk.photo("anna.jpg")

    def changed(job):
        reply = done(job)
        (desk.inbox.root / "anna.jpg.toml").unlink()
        return reply

    process = desk.service(changed, after="delete")
    process(anna)
    assert inbox(desk) == ["anna.jpg"]
    assert isinstance(process(anna), Done)
    assert inbox(desk) == []


def test_a_photo_that_cannot_go_stays_and_is_settled(desk, moving, caplog):
    (desk.outbox.root / "originals").mkdir()
    (desk.outbox.root / "originals" / "sales").write_bytes(b"in the way")
    anna = desk.photo("sales/anna.jpg")

    assert isinstance(moving(anna), Done)

    (record,) = [record for record in caplog.records if record.message == "after.failed"]
    assert (record.uri, record.after, record.levelname) == (anna.uri, "move", "ERROR")
    assert inbox(desk) == ["sales/anna.jpg"]
    assert rests(desk, moving, "sales/anna.jpg")
    assert desk.report("sales/anna.jpg")["outcome"] == "done"


def test_where_it_may_go_later_it_is_tried_again(desk, moving):
    class Full(AfterPolicy):
        def act(self, path, checksums):
            raise OSError(errno.ENOSPC, "No space left on device")

    anna = desk.photo("anna.jpg")
    process = replace(desk.process, after=Full(desk.inbox, desk.outbox, "move"))
    assert isinstance(process(anna), Done)
    for _ in range(50):
        assert process(anna) == Skipped()
    assert is_work(desk) == ["anna.jpg"]

    assert moving(anna) == Skipped()
    assert inbox(desk) == []


@pytest.mark.parametrize("after", ["move", "delete"])
def test_a_link_stays_and_so_does_what_it_leads_to(desk, after):
    desk.photo("real/anna.jpg")
    (desk.inbox.root / "link.jpg").symlink_to("real/anna.jpg")
    process = desk.service(after=after)

    assert isinstance(process(event(desk.inbox, "link.jpg")), Done)

    assert (desk.inbox.root / "link.jpg").read_bytes() == b"a photo"
    assert originals(desk) == {}


def test_two_services_on_one_inbox_take_a_photo_once(desk, moving):
    other, anna = desk.service(after="move"), desk.photo("anna.jpg")

    def overtaken(job):
        assert moving(anna).reason == "conflict"
        return done(job)

    other.pool.answers.append(overtaken)
    assert isinstance(other(anna), Done)
    assert moving(anna) == Vanished()
    assert originals(desk) == {"originals/anna.jpg": b"a photo"}


def test_photos_done_before_stay_until_they_are_touched(desk, moving):
    anna = desk.photo("anna.jpg")
    desk.run(anna)
    desk.process(anna)
    assert inbox(desk) == ["anna.jpg"]

    (desk.inbox.root / "anna.jpg").touch()
    assert is_work(desk) == ["anna.jpg"]
    assert moving(anna) == Skipped()
    assert inbox(desk) == []
