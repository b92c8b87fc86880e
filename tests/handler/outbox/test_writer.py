"""Claims, leftovers and the report that comes last, on real folders and with real services side by side."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from itertools import permutations
from pathlib import Path

import pytest

from handler.outbox.paths import portrait_stems, report_path
from handler.outbox.reports import ReportStore
from handler.outbox.writer import OutboxWriter
from pipeline.errors import PhotoRejected
from sources.stores.base import Conflict, Unavailable
from sources.stores.local import FileStore
from tests.handler.fakes import portrait


@pytest.fixture
def sink(tmp_path):
    return OutboxWriter(FileStore(tmp_path))


def settle(sink, path, *portraits):
    """Publish and commit as the process does; the names in the report."""
    previous, version = ReportStore(sink.outbox).previous(path)
    with sink.turn(path, version):
        outputs = sink.publish(path, portraits, previous)
        first, *more = outputs or [[]]
        report = {"outputs": first, "more": [{"outputs": files} for files in more]}
        sink.commit(path, report, replaces=version, changed_ns=10**18)
    return [file["name"] for files in outputs for file in files]


def images(sink):
    return sorted(path for path in sink.outbox.list() if not path.startswith("reports/"))


def identity(place):
    """What must not change; the time of the last access does, whenever something is read."""
    found = place.lstat()
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def pictures(*stems):
    return sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "jpg"))


def test_portraits_lie_under_the_photo_s_folder_and_stem_and_the_report_says_so(sink):
    files = sink.publish("sales/anna.jpg", [portrait("sales/anna.jpg")])[0]

    assert [file["name"] for file in files] == ["sales/anna.png", "sales/anna.jpg"]
    for file in files:
        data = sink.outbox.read(file["name"]).data
        assert file["sha256"] == sha256(data).hexdigest()
        assert (file["bytes"], file["width"], file["height"]) == (len(data), 8, 8)


@pytest.mark.parametrize("order", list(permutations(["anna.jpg", "anna.heic", "anna.png"])))
def test_the_first_takes_the_stem_and_the_later_ones_their_full_names(sink, order):
    names = [settle(sink, path, portrait(path))[0] for path in order]

    assert names == ["anna.png", *(f"{path}.png" for path in order[1:])]
    assert [settle(sink, path, portrait(path, 9))[0] for path in order] == names  # and they keep them


def test_a_photo_keeps_its_name_when_a_better_one_becomes_free(sink):
    for path in ("anna.jpg", "anna.heic"):
        settle(sink, path, portrait(path))
    for name in ("anna.png", "anna.jpg"):
        sink.outbox.delete(name)

    assert settle(sink, "anna.heic", portrait("anna.heic", 9))[0] == "anna.heic.png"


def test_one_s_own_portraits_are_replaced(sink):
    settle(sink, "anna.jpg", portrait("anna.jpg", 1))
    newer = portrait("anna.jpg", 2)
    settle(sink, "anna.jpg", newer)

    assert images(sink) == pictures("anna")
    assert sink.outbox.read("anna.png").data == newer.pictures[1].data


@pytest.mark.parametrize("blocked", ["anna.png", "anna.jpg"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, Path.touch, lambda place: place.symlink_to("/etc/passwd")])
def test_what_is_not_ours_is_left_alone(sink, blocked, make):
    make(sink.outbox.root / blocked)
    before = identity(sink.outbox.root / blocked)

    assert settle(sink, "anna.heic", portrait("anna.heic")) == ["anna.heic.png", "anna.heic.jpg"]
    assert identity(sink.outbox.root / blocked) == before
    assert not (set(images(sink)) & set(pictures("anna")) - {blocked})


def test_a_portrait_where_the_folder_should_be(sink):
    settle(sink, "anna.jpg", portrait("anna.jpg"))

    names = settle(sink, "anna.png/otto.jpg", portrait("anna.png/otto.jpg"))

    assert names[0].startswith("otto.jpg~")
    assert images(sink) == sorted([*pictures("anna"), *names])


def test_a_folder_that_leads_out_is_not_entered(sink, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (sink.outbox.root / "sales").symlink_to(outside)

    names = settle(sink, "sales/anna.jpg", portrait("sales/anna.jpg"))

    assert names[0].startswith("anna.jpg~")
    assert list(outside.iterdir()) == []


def test_a_photo_whose_names_are_all_taken_is_rejected(sink):
    for stem in portrait_stems("anna.jpg"):
        (sink.outbox.root / f"{stem}.png").mkdir()

    with pytest.raises(PhotoRejected, match="name_blocked"):
        sink.publish("anna.jpg", [portrait("anna.jpg")])
    assert settle(sink, "anna.jpg") == []


def test_several_portraits_share_a_stem_and_are_numbered(sink):
    faces = [portrait("team.jpg", grey) for grey in (1, 2, 3)]

    assert settle(sink, "team.jpg", *faces)[::2] == ["team-1.png", "team-2.png", "team-3.png"]
    assert sink.outbox.read("team-3.png").data == faces[2].pictures[1].data


def test_several_portraits_move_together_when_one_name_is_taken(sink):
    settle(sink, "team-2.jpg", portrait("team-2.jpg"))

    names = settle(sink, "team.jpg", portrait("team.jpg", 1), portrait("team.jpg", 2))

    assert names[::2] == ["team.jpg-1.png", "team.jpg-2.png"]
    assert images(sink) == pictures("team-2", "team.jpg-1", "team.jpg-2")


@pytest.mark.parametrize("faces", [0, 1, 2])
def test_no_image_remains_that_the_report_does_not_name(sink, faces):
    settle(sink, "team.jpg", *[portrait("team.jpg")] * 3)
    settle(sink, "team-9.jpg", portrait("team-9.jpg"))

    names = settle(sink, "team.jpg", *[portrait("team.jpg")] * faces)

    assert images(sink) == sorted([*names, *pictures("team-9")])


@pytest.mark.parametrize("stem", list(portrait_stems("sales/team.jpg")))
def test_images_of_a_service_that_died_before_its_report_are_removed(sink, stem):
    for suffix in ("-1", "-2", "-3", ""):
        for picture in portrait("sales/team.jpg").pictures:
            sink.outbox.write(f"{stem}{suffix}.{picture.kind}", picture.data)

    settle(sink, "sales/team.jpg")

    assert images(sink) == []


def test_a_report_that_names_what_is_not_the_photo_s_removes_nothing(sink, tmp_path):
    settle(sink, "otto.jpg", portrait("otto.jpg"))
    (tmp_path / "foreign.png").touch()
    names = ["otto.png", "foreign.png", "../x.png", "reports/otto.jpg.json", 7, None]
    strange = {"outputs": [*({"name": name} for name in names), 3], "more": [{"outputs": "x"}, 5]}
    sink.outbox.write(report_path("anna.jpg"), json.dumps(strange).encode())

    settle(sink, "anna.jpg")

    assert images(sink) == sorted([*pictures("otto"), "foreign.png"])


def test_the_report_is_ascii_json_with_the_stamp_of_the_photo(sink):
    path = "\udcff肖.jpg"

    sink.commit(path, {"source": path, "outputs": []}, replaces=None, changed_ns=1_650_000_000_000_000_000)

    data = sink.outbox.read(report_path(path)).data
    assert data.isascii()
    assert data.endswith(b"\n}\n")
    assert json.loads(data)["source"] == path
    assert ReportStore(sink.outbox).settled_in("")(path, 1_650_000_000_000_000_000)


def test_whoever_comes_second_writes_nothing(sink):
    settle(sink, "anna.jpg", portrait("anna.jpg", 2))

    with pytest.raises(Conflict), sink.turn("anna.jpg", None):
        sink.publish("anna.jpg", [portrait("anna.jpg", 1)])
    with pytest.raises(Conflict):
        sink.commit("anna.jpg", {"outputs": []}, replaces=None, changed_ns=1)

    assert sink.outbox.read("anna.png").data == portrait("anna.jpg", 2).pictures[1].data


def test_an_outbox_that_cannot_be_written_is_no_verdict_on_the_photo(tmp_path):
    with pytest.raises(Unavailable):
        OutboxWriter(FileStore(tmp_path / "away")).publish("anna.jpg", [portrait("anna.jpg")])


def test_two_services_never_give_one_name_to_two_photos(sink):
    code = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/handler")
from test_sink import Sink, FileStore, portrait, settle
sink = Sink(FileStore(Path(sys.argv[1])))
for number in range(15):
    path = f"{number}.{sys.argv[2]}"
    settle(sink, path, portrait(path))
"""
    kinds = ("jpg", "heic", "png")
    services = [
        subprocess.Popen([sys.executable, "-c", code, sink.outbox.root, kind], cwd=Path(__file__).parents[3])
        for kind in kinds
    ]
    assert [service.wait() for service in services] == [0, 0, 0]

    named = []
    for path in (f"{number}.{kind}" for kind in kinds for number in range(15)):
        report, _ = ReportStore(sink.outbox).previous(path)
        named += [file["name"] for file in report["outputs"]]
        assert [sink.outbox.read(file["name"]).data for file in report["outputs"]] == [
            picture.data for picture in reversed(portrait(path).pictures)
        ]
    assert sorted(named) == images(sink)
