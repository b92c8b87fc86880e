"""Photos that arrive in a watched folder, with real files and real events."""

import os
import shutil
import socket
import stat
import threading
import time
import unicodedata
from pathlib import Path

import pytest

from tests.sources.folder.folder_helpers import SOON, Deaf, Run, jpeg, reads_only_what_it_may, until

PORTRAIT = Path(__file__).parents[2] / "portraits" / "sally_ride_small.jpg"


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def run(inbox):
    with Run(inbox) as running:
        yield running.attached()


def stamp(path):
    return path.stat().st_ctime_ns


def test_a_photo_renamed_in_is_yielded_at_once(inbox, tmp_path, run):
    (tmp_path / "anna.jpg").write_bytes(jpeg())
    before = time.monotonic()
    (tmp_path / "anna.jpg").rename(inbox / "anna.jpg")
    event = run.next()
    seen = (inbox / "anna.jpg").stat()
    assert (event.path, event.attempt) == ("anna.jpg", 1)
    assert event.uri == (inbox / "anna.jpg").as_uri()
    assert event.version == f"{seen.st_mtime_ns}-{seen.st_size}"
    assert before <= event.queued_at <= time.monotonic()
    assert run.source.mode == "events"


def test_a_complete_photo_does_not_wait_for_quiet(inbox):
    with Run(inbox, settle_seconds=3600.0) as run:
        run.attached()
        shutil.copy(PORTRAIT, inbox / "anna.jpg")
        assert run.next().path == "anna.jpg"


def test_a_slow_writer_is_waited_for(inbox):
    data, written = PORTRAIT.read_bytes(), threading.Event()

    def write_slowly():
        with (inbox / "anna.jpg").open("wb", buffering=0) as file:
            for start in range(0, len(data), len(data) // 6):
                written.wait(0.1)
                file.write(data[start : start + len(data) // 6])

    with Run(inbox, settle_seconds=1.0) as run:
        run.attached()
        writer = threading.Thread(target=write_slowly)
        writer.start()
        event = run.next()
        writer.join()
    assert event.version.endswith(f"-{len(data)}")


def test_a_file_that_is_closed_between_its_parts_is_waited_for(inbox):
    with Run(inbox, settle_seconds=3600.0) as run:
        run.attached()
        (inbox / "anna.jpg").write_bytes(jpeg()[:100])
        assert run.drained()
        with (inbox / "anna.jpg").open("ab") as file:
            file.write(jpeg()[100:])
        assert run.next().version.endswith(f"-{len(jpeg())}")


@pytest.mark.parametrize("name", ["anna.jpg.part", ".anna.jpg.Xa3f9Q", "anna.jpg~", "anna.jpg.crdownload"])
def test_a_part_file_is_yielded_once_under_its_final_name(inbox, run, name):
    (inbox / name).write_bytes(jpeg())
    assert run.counted("ignored")
    (inbox / name).rename(inbox / "anna.jpg")
    assert run.next().path == "anna.jpg"
    assert run.drained()


def test_a_tree_moved_in_is_found(inbox, tmp_path, run):
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    for folder in (tree, tree / "a", tree / "a" / "b"):
        (folder / "anna.jpg").write_bytes(jpeg())
    tree.rename(inbox / "tree")
    assert run.paths(3) == {"tree/anna.jpg", "tree/a/anna.jpg", "tree/a/b/anna.jpg"}
    assert run.drained()


def test_photos_written_right_after_their_folders_are_found(inbox, run):
    expected = set()
    for number in range(30):
        folder = inbox / f"{number}" / "deep"
        folder.mkdir(parents=True)
        (folder / "anna.jpg").write_bytes(jpeg())
        expected.add(f"{number}/deep/anna.jpg")
    assert run.paths(30) == expected
    assert run.drained()


def test_a_hard_link_is_an_arrival(inbox, tmp_path, run):
    (tmp_path / "anna.jpg").write_bytes(jpeg())
    os.link(tmp_path / "anna.jpg", inbox / "anna.jpg")
    assert run.next().path == "anna.jpg"


@pytest.mark.parametrize("mtime", [1, 4_000_000_000])
def test_the_mtime_says_nothing_about_quiet(inbox, tmp_path, mtime):
    (tmp_path / "half.jpg").write_bytes(jpeg()[:-100])
    os.utime(tmp_path / "half.jpg", (mtime, mtime))
    with Run(inbox, settle_seconds=3600.0) as run:
        run.attached()
        shutil.copy2(tmp_path / "half.jpg", inbox / "half.jpg")
        assert run.counted("events")
        assert run.drained()


@pytest.mark.parametrize("data", [b"", b"not a picture", jpeg()[:-9]])
def test_what_has_no_trailer_is_yielded_once_it_is_quiet(inbox, run, data):
    (inbox / "anna.jpg").write_bytes(data)
    assert run.next().path == "anna.jpg"


def test_an_unreadable_photo_is_yielded_so_that_it_gets_a_report_and_again_when_it_is_readable(inbox):
    (inbox / "anna.jpg").write_bytes(jpeg())
    (inbox / "anna.jpg").chmod(0)
    with reads_only_what_it_may(), Run(inbox) as run:
        run.attached().source.ack(run.next())
        (inbox / "anna.jpg").chmod(0o600)
        assert run.next().path == "anna.jpg"


def test_a_photo_that_vanished_is_forgotten(inbox):
    with Run(inbox, settle_seconds=3600.0) as run:
        run.attached()
        (inbox / "anna.jpg").write_bytes(b"unfinished")
        until(lambda: run.source.pending() == 1)
        (inbox / "anna.jpg").unlink()
        until(lambda: run.source.pending() == 0)
        assert run.drained()


@pytest.mark.parametrize("change", ["write", "delete"])
def test_a_sidecar_is_an_event_of_its_photo(inbox, run, change):
    sidecar = inbox / "anna.jpg.toml"
    if change == "delete":
        sidecar.write_text("width = 1\n")
    (inbox / "anna.jpg").write_bytes(jpeg())
    run.source.ack(run.next())
    sidecar.write_text("width = 2\n") if change == "write" else sidecar.unlink()
    assert run.next().path == "anna.jpg"


def test_a_photo_is_not_yielded_twice_while_it_is_held(inbox, run):
    (inbox / "anna.jpg").write_bytes(jpeg())
    run.next()
    os.utime(inbox / "anna.jpg")
    (inbox / "anna.jpg").write_bytes(jpeg("blue"))
    assert run.drained()


def test_a_photo_replaced_while_it_was_held_is_work_again(inbox, run):
    (inbox / "anna.jpg").write_bytes(jpeg())
    first = run.next()
    (inbox / "anna.jpg").write_bytes(jpeg("blue"))
    run.source.ack(first)
    second = run.next()
    assert (second.path, second.attempt) == ("anna.jpg", 1)
    assert second.version != first.version


def test_a_photo_replaced_before_it_was_read_is_settled_by_its_report(inbox):
    with Run(inbox, watcher=Deaf) as run:
        run.attached()
        (inbox / "anna.jpg").write_bytes(jpeg())
        run.source.rescan()
        first = run.next()
        (inbox / "anna.jpg").write_bytes(jpeg("blue"))
        run.reports.settle("anna.jpg", stamp(inbox / "anna.jpg"))
        run.source.ack(first)
        assert run.drained()


def test_a_settled_photo_is_forgotten_and_a_new_one_of_its_name_is_work(inbox, tmp_path, run):
    (tmp_path / "anna.jpg").write_bytes(jpeg())
    (tmp_path / "anna.jpg").rename(inbox / "anna.jpg")  # one event: no later one makes it pending again
    run.source.ack(run.next())
    assert run.source.pending() == 0
    (inbox / "anna.jpg").write_bytes(jpeg("blue"))
    assert run.next().path == "anna.jpg"


def test_a_retry_comes_again_with_its_attempt_and_its_version(inbox, run):
    (inbox / "anna.jpg").write_bytes(jpeg())
    first = run.next()
    run.source.retry(first, "disk full", 0.1)
    second = run.next()
    assert (second.path, second.version, second.attempt) == (first.path, first.version, 2)


def test_a_retry_of_a_photo_that_vanished_is_forgotten(inbox, run):
    (inbox / "anna.jpg").write_bytes(jpeg())
    first = run.next()
    (inbox / "anna.jpg").unlink()
    run.source.retry(first, "gone", 0.0)
    assert run.drained()


ODD_NAMES = [
    "a\nb.jpg",
    "a b+c%20.jpg",
    "👩.jpg",
    unicodedata.normalize("NFC", "Zoë.jpg"),
    unicodedata.normalize("NFD", "Zoë.jpg"),
    "Anna.jpg",
    "anna.JPG",
    os.fsdecode(b"caf\xe9.jpg"),
    "x" * 251 + ".jpg",
    "-rf.jpg",
    " ",
    "no extension",
]


def test_odd_names_arrive_as_they_are(inbox, run):
    for name in ODD_NAMES:
        (inbox / name).write_bytes(jpeg())
    events = [run.next() for _ in ODD_NAMES]
    assert {event.path for event in events} == set(ODD_NAMES)
    assert all(event.uri.isascii() and " " not in event.uri for event in events)


def test_hidden_temporary_and_system_files_are_ignored_and_counted_once(inbox, run):
    for name in (".hidden.jpg", "._anna.jpg", "Thumbs.db", "anna.jpg~", "anna.tmp"):
        (inbox / name).write_bytes(jpeg())
    (inbox / "@eaDir").mkdir()
    (inbox / "@eaDir" / "anna.jpg").write_bytes(jpeg())
    (inbox / "last.jpg").write_bytes(jpeg())
    assert run.next().path == "last.jpg"
    assert run.drained()
    assert run.counts["ignored"] == 6


@pytest.mark.parametrize("temporary", ["bob.jpg.6eF5b5dA", "bob.jpg.sb-25bf0640-ALVVPA/bob.jpg", "bob.upload-7"])
def test_photo_renamed_from_a_temporary_name_is_yielded_once(inbox, temporary):
    (inbox / temporary).parent.mkdir(exist_ok=True)
    with Run(inbox, settle_seconds=3600.0) as run:
        run.attached()
        (inbox / temporary).write_bytes(jpeg())
        run.source.rescan()
        (inbox / temporary).rename(inbox / "bob.jpg")
        event = run.next()
        assert event.path == "bob.jpg"
        run.reports.settle("bob.jpg", stamp(inbox / "bob.jpg"))
        run.source.ack(event)
        assert run.drained()


def test_photo_without_a_pictures_ending_is_yielded_once_it_is_quiet(inbox, run):
    (inbox / "anna").write_bytes(jpeg())
    assert run.next().path == "anna"


def test_linked_root_pointed_elsewhere_is_followed_by_the_next_rescan(tmp_path):
    for day in ("monday", "tuesday"):
        (tmp_path / day).mkdir()
        (tmp_path / day / f"{day}.jpg").write_bytes(jpeg())
    (tmp_path / "inbox").symlink_to("monday")
    with Run(tmp_path / "inbox") as run:
        assert run.attached().next().path == "monday.jpg"
        (tmp_path / "new").symlink_to("tuesday")
        (tmp_path / "new").rename(tmp_path / "inbox")
        run.source.rescan()
        assert run.next().path == "tuesday.jpg"
        (tmp_path / "monday" / "late.jpg").write_bytes(jpeg())
        (tmp_path / "tuesday" / "late2.jpg").write_bytes(jpeg())
        assert run.next().path == "late2.jpg"


def test_sidecar_with_a_capital_ending_is_an_event_of_its_photo(inbox, run):
    (inbox / "B.JPG").write_bytes(jpeg())
    run.source.ack(run.next())
    (inbox / "B.JPG.TOML").write_text("width = 2\n")
    assert run.next().path == "B.JPG"


def test_misnamed_sidecar_is_logged_once(inbox, caplog):
    for name in ("c.jpg", "d.jpg"):
        (inbox / name).write_bytes(jpeg())
        (inbox / name).with_suffix(".toml").write_text("width = 2\n")
    with Run(inbox) as run:
        run.attached()
        assert run.paths(2) == {"c.jpg", "d.jpg"}
    assert caplog.text.count("is not used: for the photo") == 1


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(path))


def make_device(path):
    os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))  # the one that needs no rights


def make_link_out(path):
    outside = path.parents[1] / "secret.jpg"
    outside.write_bytes(jpeg())
    path.symlink_to(outside)


@pytest.mark.parametrize(
    "make",
    [
        make_pipe,
        make_socket,
        make_device,
        make_link_out,
        Path.mkdir,
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to("gone"),
    ],
    ids=["pipe", "socket", "device", "link out", "folder", "link to itself", "link to nothing"],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_only_has_a_photos_name_is_never_yielded(inbox, make, when):
    if when == "before":
        make(inbox / "a.jpg")
    with Run(inbox) as run:
        run.attached()
        if when == "after":
            make(inbox / "a.jpg")
        (inbox / "b.jpg").write_bytes(jpeg())
        assert run.next().path == "b.jpg"
        assert run.drained()


def test_a_link_to_itself_is_not_blamed_on_the_disk(inbox, run, caplog):
    (inbox / "a.jpg").symlink_to("a.jpg")
    (inbox / "b.jpg").write_bytes(jpeg())
    assert run.next().path == "b.jpg"
    assert "cannot be read" not in caplog.text


def test_a_link_to_a_photo_inside_is_a_photo(inbox, run):
    (inbox / "anna.jpg").write_bytes(jpeg())
    (inbox / "link.jpg").symlink_to("anna.jpg")
    assert run.paths(2) == {"anna.jpg", "link.jpg"}


def test_linked_folders_are_not_followed(inbox, tmp_path, run):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.jpg").write_bytes(jpeg())
    (inbox / "out").symlink_to(tmp_path / "outside")
    (inbox / "loop").symlink_to(inbox)
    (inbox / "anna.jpg").write_bytes(jpeg())
    assert run.next().path == "anna.jpg"
    assert run.drained()


def test_stop_ends_the_iteration_and_what_is_held_may_still_be_settled(inbox, run):
    (inbox / "anna.jpg").write_bytes(jpeg())
    event = run.next()
    run.source.stop()
    assert run.next() is None
    run.source.ack(event)


def test_closing_a_source_that_never_ran_does_nothing(inbox):
    run = Run(inbox)
    run.source.close()
    assert list(run.source) == []


def test_two_threads_share_the_work(inbox):
    for number in range(20):
        (inbox / f"{number}.jpg").write_bytes(jpeg())
    with Run(inbox) as run:
        second = threading.Thread(target=lambda: [run.yielded.put(event) for event in run.source])
        second.start()
        assert len(run.paths(20)) == 20
        run.source.stop()
        second.join(SOON)
        assert not second.is_alive()


def test_of_many_photos_only_so_many_are_remembered_and_all_are_yielded(inbox):
    photos = {f"{number}.jpg" for number in range(90)}
    for name in photos - {"0.jpg"}:
        (inbox / name).write_bytes(jpeg())
    seen, most = set(), 0
    with Run(inbox, max_paths=20) as run:
        run.attached()
        (inbox / "0.jpg").write_bytes(jpeg())  # there is no room for what events tell of either
        while len(seen) < len(photos):
            event = run.next()
            most = max(most, run.source.pending())
            run.reports.settle(event.path, stamp(inbox / event.path))
            run.source.ack(event)
            seen.add(event.path)
        assert (seen, run.counts["rescan_found"]) == (photos, 0)
        assert run.drained()
    assert most <= 20
