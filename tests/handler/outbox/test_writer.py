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
from handler.outbox.reports import NO_REPORT, ReportStore
from handler.outbox.writer import OutboxWriter
from pipeline.errors import PhotoRejected
from sources.stores.base import Conflict, Unavailable
from sources.stores.local import FileStore
from tests.handler.fakes import portrait


@pytest.fixture
def writer(tmp_path):
    return OutboxWriter(FileStore(tmp_path))


def settle(writer, path, *portraits):
    """Publish and commit as the process does; the names in the report."""
    stored = ReportStore(writer.outbox).read(path)
    with writer.locked(path, stored):
        outputs = writer.publish(path, portraits, stored)
        first, *more = outputs or [[]]
        report = {"outputs": first, "more": [{"outputs": files} for files in more]}
        writer.commit(path, report, replaces=stored, changed_ns=10**18)
    return [file["name"] for files in outputs for file in files]


def images(writer):
    return sorted(path for path in writer.outbox.list() if not path.startswith("reports/"))


def identity(place):
    """What must not change; the time of the last access does, whenever something is read."""
    found = place.lstat()
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def pictures(*stems):
    return sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "jpg"))


def test_portraits_lie_under_the_photo_s_folder_and_stem_and_the_report_says_so(writer):
    files = writer.publish("sales/anna.jpg", [portrait("sales/anna.jpg")])[0]

    assert [file["name"] for file in files] == ["sales/anna.png", "sales/anna.jpg"]
    for file in files:
        data = writer.outbox.read(file["name"]).data
        assert file["sha256"] == sha256(data).hexdigest()
        assert (file["bytes"], file["width"], file["height"]) == (len(data), 8, 8)


@pytest.mark.parametrize("order", list(permutations(["anna.jpg", "anna.heic", "anna.png"])))
def test_the_first_takes_the_stem_and_the_later_ones_their_full_names(writer, order):
    names = [settle(writer, path, portrait(path))[0] for path in order]

    assert names == ["anna.png", *(f"{path}.png" for path in order[1:])]
    assert [settle(writer, path, portrait(path, 9))[0] for path in order] == names  # and they keep them


def test_a_photo_keeps_its_name_when_a_better_one_becomes_free(writer):
    for path in ("anna.jpg", "anna.heic"):
        settle(writer, path, portrait(path))
    for name in ("anna.png", "anna.jpg"):
        writer.outbox.delete(name)

    assert settle(writer, "anna.heic", portrait("anna.heic", 9))[0] == "anna.heic.png"


def test_one_s_own_portraits_are_replaced(writer):
    settle(writer, "anna.jpg", portrait("anna.jpg", 1))
    newer = portrait("anna.jpg", 2)
    settle(writer, "anna.jpg", newer)

    assert images(writer) == pictures("anna")
    assert writer.outbox.read("anna.png").data == newer.pictures[1].data


@pytest.mark.parametrize("blocked", ["anna.png", "anna.jpg"])
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, Path.touch, lambda place: place.symlink_to("/etc/passwd")])
def test_what_is_not_ours_is_left_alone(writer, blocked, make):
    make(writer.outbox.root / blocked)
    before = identity(writer.outbox.root / blocked)

    assert settle(writer, "anna.heic", portrait("anna.heic")) == ["anna.heic.png", "anna.heic.jpg"]
    assert identity(writer.outbox.root / blocked) == before
    assert not (set(images(writer)) & set(pictures("anna")) - {blocked})


def test_a_portrait_where_the_folder_should_be(writer):
    settle(writer, "anna.jpg", portrait("anna.jpg"))

    names = settle(writer, "anna.png/otto.jpg", portrait("anna.png/otto.jpg"))

    assert names[0].startswith("otto.jpg~")
    assert images(writer) == sorted([*pictures("anna"), *names])


def test_a_folder_that_leads_out_is_not_entered(writer, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (writer.outbox.root / "sales").symlink_to(outside)

    names = settle(writer, "sales/anna.jpg", portrait("sales/anna.jpg"))

    assert names[0].startswith("anna.jpg~")
    assert list(outside.iterdir()) == []


def test_a_photo_whose_names_are_all_taken_is_rejected(writer):
    for stem in portrait_stems("anna.jpg"):
        (writer.outbox.root / f"{stem}.png").mkdir()

    with pytest.raises(PhotoRejected, match="name_blocked"):
        writer.publish("anna.jpg", [portrait("anna.jpg")])
    assert settle(writer, "anna.jpg") == []


def test_several_portraits_share_a_stem_and_are_numbered(writer):
    faces = [portrait("team.jpg", grey) for grey in (1, 2, 3)]

    assert settle(writer, "team.jpg", *faces)[::2] == ["team-1.png", "team-2.png", "team-3.png"]
    assert writer.outbox.read("team-3.png").data == faces[2].pictures[1].data


def test_several_portraits_move_together_when_one_name_is_taken(writer):
    settle(writer, "team-2.jpg", portrait("team-2.jpg"))

    names = settle(writer, "team.jpg", portrait("team.jpg", 1), portrait("team.jpg", 2))

    assert names[::2] == ["team.jpg-1.png", "team.jpg-2.png"]
    assert images(writer) == pictures("team-2", "team.jpg-1", "team.jpg-2")


@pytest.mark.parametrize("faces", [0, 1, 2])
def test_no_image_remains_that_the_report_does_not_name(writer, faces):
    settle(writer, "team.jpg", *[portrait("team.jpg")] * 3)
    settle(writer, "team-9.jpg", portrait("team-9.jpg"))

    names = settle(writer, "team.jpg", *[portrait("team.jpg")] * faces)

    assert images(writer) == sorted([*names, *pictures("team-9")])


@pytest.mark.parametrize("stem", list(portrait_stems("sales/team.jpg")))
def test_images_of_a_service_that_died_before_its_report_are_removed(writer, stem):
    for suffix in ("-1", "-2", "-3", ""):
        for picture in portrait("sales/team.jpg").pictures:
            writer.outbox.write(f"{stem}{suffix}.{picture.kind}", picture.data)

    settle(writer, "sales/team.jpg")

    assert images(writer) == []


def test_a_report_that_names_what_is_not_the_photo_s_removes_nothing(writer, tmp_path):
    settle(writer, "otto.jpg", portrait("otto.jpg"))
    (tmp_path / "foreign.png").touch()
    names = ["otto.png", "foreign.png", "../x.png", "reports/otto.jpg.json", 7, None]
    strange = {"outputs": [*({"name": name} for name in names), 3], "more": [{"outputs": "x"}, 5]}
    writer.outbox.write(report_path("anna.jpg"), json.dumps(strange).encode())

    settle(writer, "anna.jpg")

    assert images(writer) == sorted([*pictures("otto"), "foreign.png"])


def test_the_report_is_ascii_json_with_the_stamp_of_the_photo(writer):
    path = "\udcff肖.jpg"

    writer.commit(path, {"source": path, "outputs": []}, changed_ns=1_650_000_000_000_000_000)

    data = writer.outbox.read(report_path(path)).data
    assert data.isascii()
    assert data.endswith(b"\n}\n")
    assert json.loads(data)["source"] == path
    assert ReportStore(writer.outbox).done_in("")(path, 1_650_000_000_000_000_000)


def test_whoever_comes_second_writes_nothing(writer):
    settle(writer, "anna.jpg", portrait("anna.jpg", 2))

    with pytest.raises(Conflict), writer.locked("anna.jpg", NO_REPORT):
        writer.publish("anna.jpg", [portrait("anna.jpg", 1)])
    with pytest.raises(Conflict):
        writer.commit("anna.jpg", {"outputs": []}, changed_ns=1)

    assert writer.outbox.read("anna.png").data == portrait("anna.jpg", 2).pictures[1].data


def test_an_outbox_that_cannot_be_written_is_no_verdict_on_the_photo(tmp_path):
    with pytest.raises(Unavailable):
        OutboxWriter(FileStore(tmp_path / "away")).publish("anna.jpg", [portrait("anna.jpg")])


def test_two_services_never_give_one_name_to_two_photos(writer):
    code = """
import sys
from pathlib import Path
from tests.handler.outbox.test_writer import OutboxWriter, FileStore, portrait, settle
writer = OutboxWriter(FileStore(Path(sys.argv[1])))
for number in range(15):
    path = f"{number}.{sys.argv[2]}"
    settle(writer, path, portrait(path))
"""
    kinds = ("jpg", "heic", "png")
    services = [
        subprocess.Popen([sys.executable, "-c", code, writer.outbox.root, kind], cwd=Path(__file__).parents[3])
        for kind in kinds
    ]
    assert [service.wait() for service in services] == [0, 0, 0]

    named = []
    for path in (f"{number}.{kind}" for kind in kinds for number in range(15)):
        report = ReportStore(writer.outbox).read(path).content
        named += [file["name"] for file in report["outputs"]]
        assert [writer.outbox.read(file["name"]).data for file in report["outputs"]] == [
            picture.data for picture in reversed(portrait(path).pictures)
        ]
    assert sorted(named) == images(writer)
