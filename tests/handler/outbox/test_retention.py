"""Portraits that are deleted for their age, in real folders and buckets; the reports stay."""

import json
import queue
import sys
import threading
import time

import pytest

from handler.outbox.paths import report_path
from handler.outbox.retention import Retention
from handler.outbox.writer import OutboxWriter
from handler.workers.outcome import Done, Skipped
from sources.stores.base import Conflict
from sources.stores.local import FileStore
from tests.chaos.__main__ import PORTRAIT
from tests.chaos.services import LIGHT
from tests.handler.fakes import done, portrait
from tests.handler.service_runner import Watch
from tests.support.waiting import eventually

HOUR = 3600 * 10**9
HOURS = 24
SOON = 20.0


class Restless(FileStore):
    """Somebody writes one of its files all the time."""

    def read(self, path, limit=None):
        if path == "aaa.png":
            raise Conflict(path)
        return super().read(path, limit)


@pytest.fixture(params=["folder", "bucket"])
def desk(request, desks):
    return desks("folder", request.param)


def cleanup(desk, *, hours=HOURS, ended=None, told=None):
    service = desk.service()
    tell = told.put if told else lambda _: None
    return Retention(desk.outbox, service.attempts, hours, ended or threading.Event(), lambda *count: tell(count))


def later(hours):
    return time.time_ns() + hours * HOUR


def left(desk):
    return sorted(desk.outbox.list())


def test_portraits_go_when_they_are_old_and_their_reports_stay(desk):
    desk.service()(desk.photo("sales/anna.jpg"))

    assert cleanup(desk).run(later(HOURS - 1)) == 0
    assert left(desk) == ["reports/sales/anna.jpg.json", "sales/anna.jpg", "sales/anna.png"]
    assert cleanup(desk).run(later(HOURS + 1)) == 2
    assert left(desk) == ["reports/sales/anna.jpg.json"]


def test_what_is_gone_is_not_done_anew_but_when_it_is_replayed(desk):
    photo = desk.photo("anna.jpg")
    desk.service()(photo)
    cleanup(desk).run(later(HOURS + 1))

    assert isinstance(desk.service()(photo), Skipped)
    report = desk.outbox.read(report_path("anna.jpg"))
    OutboxWriter(desk.outbox).replay("anna.jpg", json.loads(report.data), replaces=report.version)
    assert isinstance(desk.service()(photo), Done)
    assert left(desk) == ["anna.jpg", "anna.png", "reports/anna.jpg.json"]


def test_all_portraits_of_a_group_go(desk):
    desk.service(lambda job: done(job, faces=3))(desk.photo("group.jpg"))

    assert cleanup(desk).run(later(HOURS + 1)) == 6
    assert left(desk) == ["reports/group.jpg.json"]


def test_the_age_is_that_of_the_report(desk):
    """Whoever made a photo anew sees its portraits as long as anybody, also where they came out the same."""
    desk.service()(desk.photo("anna.jpg"))
    made, place = desk.outbox.changed("anna.png"), report_path("anna.jpg")
    while desk.outbox.changed(place) < made + 10**9:  # a bucket's dates are whole seconds
        report = desk.outbox.read(place)
        desk.outbox.write(place, report.data + b"\n", replaces=report.version)

    assert cleanup(desk).run(made + 1 + HOURS * HOUR) == 0
    assert cleanup(desk).run(desk.outbox.changed(place) + 1 + HOURS * HOUR) == 2


def test_what_is_not_a_portrait_of_ours_stays(desk):
    own = portrait("anna.jpg").pictures[0].data
    strangers = {"logo.png": b"a logo", "holiday.jpg": b"another's", "originals/anna.jpg": own, "note.txt": b"a note"}
    for path, data in strangers.items():
        desk.outbox.write(path, data)

    assert cleanup(desk).run(later(HOURS + 1)) == 0
    assert left(desk) == sorted(strangers)


def test_images_without_a_report_stay_since_a_service_may_be_about_to_write_it(desk):
    desk.outbox.write("anna.jpg", portrait("anna.jpg").pictures[0].data)

    assert cleanup(desk).run(later(HOURS + 1)) == 0
    assert left(desk) == ["anna.jpg"]


def test_what_changes_whenever_it_is_read_is_passed_over(desks):
    desk = desks("folder", "folder")
    desk.service()(desk.photo("anna.jpg"))
    desk.outbox = Restless(desk.outbox.root)
    desk.outbox.write("aaa.png", b"1")

    assert cleanup(desk).run(later(HOURS + 1)) == 2
    assert left(desk) == ["aaa.png", "reports/anna.jpg.json"]


def test_a_photo_in_work_keeps_its_portraits(desk):
    service = desk.service()
    service(desk.photo("anna.jpg"))
    service.attempts.begin("anna.jpg")

    assert cleanup(desk).run(later(HOURS + 1)) == 0
    assert "anna.png" in left(desk)


def test_a_name_that_is_another_photo_s_by_now_is_left_to_that_one(desk):
    desk.service()(desk.photo("anna.jpg"))
    cleanup(desk).run(later(HOURS + 1))
    desk.service()(desk.photo("anna.heic"))
    assert desk.report("anna.heic")["outputs"][0]["name"] == "anna.png"

    again = desk.photo("anna.jpg", b"another photo")
    assert isinstance(desk.service()(again), Done)
    assert left(desk) == sorted(
        ["anna.jpg", "anna.jpg.jpg", "anna.jpg.png", "anna.png", "reports/anna.heic.json", "reports/anna.jpg.json"]
    )


def test_images_of_calls_go_by_their_own_age(desk):
    desk.outbox.write("invocations/1.png", portrait("image").pictures[1].data)
    desk.outbox.write("invocations/logo.png", b"a logo")

    assert cleanup(desk).run(later(HOURS - 1)) == 0
    assert cleanup(desk).run(later(HOURS + 1)) == 1
    assert left(desk) == ["invocations/logo.png"]


def test_it_looks_at_the_start_and_again_until_the_service_ends(desk):
    ended, told = threading.Event(), queue.Queue()
    desk.service()(desk.photo("anna.jpg"))
    looking = cleanup(desk, hours=1.5 / 3600, ended=ended, told=told)
    looking.start()
    assert told.get(timeout=SOON) == ("expired", 2)
    desk.service()(desk.photo("bert.jpg"))
    assert told.get(timeout=SOON) == ("expired", 2)
    ended.set()
    looking.join()

    assert left(desk) == ["reports/anna.jpg.json", "reports/bert.jpg.json"]


def test_an_outbox_that_is_away_is_told_and_looked_at_again(desks, stream):
    desk, ended, told = desks("folder", "folder"), threading.Event(), queue.Queue()
    desk.service()(desk.photo("anna.jpg"))
    looking = cleanup(desk, hours=0.2 / 3600, ended=ended, told=told)
    away = desk.outbox.root.with_name("away")
    desk.outbox.root.rename(away)
    looking.start()
    assert eventually(lambda: "cannot be deleted" in stream.getvalue())
    away.rename(desk.outbox.root)

    assert told.get(timeout=SOON) == ("expired", 2)
    ended.set()
    looking.join()


def test_the_service_deletes_what_it_made_and_ends_as_ever(tmp_path):
    settings = {"CLEANUP_AGE_HOURS": 1 / 3600}
    with Watch(tmp_path, tmp_path / "none", command=(sys.executable, *LIGHT), **settings) as service:
        service.drop(PORTRAIT, "anna.jpg")
        assert service.logged("cleanup.done")["deleted"] == 2
        assert "facecraft_expired_total 2.0" in service.get("/metrics")[1]
        assert service.stop() == 0

    assert list(FileStore(tmp_path / "out").list()) == ["reports/anna.jpg.json"]


def test_nothing_is_deleted_where_nobody_asks(desk):
    desk.service()(desk.photo("anna.jpg"))
    idle = cleanup(desk, hours=None)
    idle.start()
    idle.join()

    assert len(left(desk)) == 3
