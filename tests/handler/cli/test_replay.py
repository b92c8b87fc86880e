"""Replay of processed photos in real folders; only the model workers are faked."""

import queue
from dataclasses import replace

import pytest

from handler.__main__ import main
from handler.cli import commands
from handler.cli.replay import Replay, Replayed, Selection
from handler.config.load import load
from handler.outbox.attempts import Attempts
from handler.outbox.paths import report_path
from handler.processing.slots import Workers
from handler.workers.outcome import Done, Skipped
from handler.workers.worker_process import WorkerDied
from pipeline.formats.completeness import is_complete
from sources.folder.scanner import FolderScanner
from sources.folder.source import FolderSource
from tests.handler.fakes import MAX_ATTEMPTS, FakePool, done, refused

SOON = 20.0
ALL = frozenset({"rejected", "failed", "done"})


@pytest.fixture
def settled(desk):
    """One photo of each outcome."""
    outcomes = {"sales/cat.jpg": refused, "dog.jpg": lambda job: refused(job, "truncated"), "anna.jpg": done}
    for path, answer in outcomes.items():
        desk.run(desk.photo(path), answer)
    crash = desk.photo("sales/crash.jpg")
    for _ in range(MAX_ATTEMPTS):
        desk.run(crash, WorkerDied("exit code -11"))
    return desk


def settings(desk, **variables):
    return load({f"FACECRAFT_{name}": value for name, value in variables.items()},
                inbox=desk.inbox.root, outbox=desk.outbox.root)  # fmt: skip


def replayed(desk, selection, **variables):
    return list(Replay(settings(desk, **variables)).run(selection))


def paths(desk, selection, **variables):
    return [each.path for each in replayed(desk, selection, **variables)]


def is_work(desk):
    """What a rescan would find."""
    scanner = FolderScanner(str(desk.inbox.root), desk.process.report_store.done_in)
    return {path for batch in scanner.scan() for path in batch.paths}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), ["dog.jpg", "sales/cat.jpg", "sales/crash.jpg"]),
        (Selection(reason="truncated"), ["dog.jpg"]),
        (Selection(name="cat.jpg"), ["sales/cat.jpg"]),
        (Selection(name="sales/cat.jpg"), ["sales/cat.jpg"]),
        (Selection(name="sales/*"), ["sales/cat.jpg", "sales/crash.jpg"]),
        (Selection(name="c*", reason="processing_crashed"), ["sales/crash.jpg"]),
        (Selection(frozenset({"failed"})), ["sales/crash.jpg"]),
        (Selection(frozenset({"done"})), ["anna.jpg"]),
        (Selection(name="anna.jpg"), []),
    ],
)
def test_replay_selects_by_name_reason_and_outcome(settled, selection, expected):
    assert paths(settled, selection) == expected


def test_replay_name_with_pattern_characters_matches_literally(desk):
    desk.run(desk.photo("a[1].jpg"), refused)

    assert paths(desk, Selection(name="a[1].jpg")) == ["a[1].jpg"]


def test_replay_makes_photo_work_and_new_report_has_no_mark(settled):
    assert replayed(settled, Selection(name="cat.jpg")) == [Replayed("sales/cat.jpg", "replay", "no_face_detected")]
    assert "sales/cat.jpg" in is_work(settled)

    assert isinstance(settled.run(settled.photo("sales/cat.jpg")), Done)

    report = settled.report("sales/cat.jpg")
    assert (report["outcome"], "replay" in report) == ("done", False)
    assert settled.run(settled.photo("sales/cat.jpg")) == Skipped()


def test_replay_of_failed_photo_resets_attempts(settled):
    for _ in range(MAX_ATTEMPTS):
        settled.process.attempts.failed("sales/crash.jpg", "left behind")

    replayed(settled, Selection(name="crash.jpg"))

    assert settled.markers() == []
    assert isinstance(settled.run(settled.photo("sales/crash.jpg")), Done)
    assert settled.report("sales/crash.jpg")["attempt"] == 1


def test_replay_keeps_report_and_portraits_until_replaced(settled):
    before, images = settled.report("anna.jpg"), settled.images()

    replayed(settled, Selection(frozenset({"done"})))

    assert settled.report("anna.jpg").items() > before.items()
    assert settled.images() == images
    settled.run(settled.photo("anna.jpg"), lambda job: done(job, faces=2))
    assert [file["name"] for file in settled.report("anna.jpg")["outputs"]] == ["anna-1.png", "anna-1.jpg"]
    assert settled.images() == ["anna-1.jpg", "anna-1.png", "anna-2.jpg", "anna-2.png"]


def test_replay_of_missing_photo_leaves_its_report(settled):
    before = settled.outbox.read(report_path("dog.jpg")).data
    (settled.inbox.root / "dog.jpg").unlink()

    assert replayed(settled, Selection(name="dog.jpg"))[0].fate == "left"
    assert settled.outbox.read(report_path("dog.jpg")).data == before


def test_replay_of_moved_photo_waits_until_copied_back(desk):
    process = desk.service(after="move")
    anna = desk.photo("anna.jpg")
    process(anna)

    (each,) = replayed(desk, Selection(ALL))
    assert (each.fate, each.why) == ("waits", "copy originals/anna.jpg from the outbox back into the inbox")
    desk.photo("anna.jpg", (desk.outbox.root / "originals/anna.jpg").read_bytes())

    assert isinstance(process(anna), Done)
    assert list(desk.inbox.list()) == []


def test_replay_of_photo_in_progress_leaves_it(settled):
    settled.process.attempts.begin("dog.jpg")

    assert replayed(settled, Selection(name="dog.jpg")) == [Replayed("dog.jpg", "left", "a service works on it now")]
    assert "replay" not in settled.report("dog.jpg")


def test_replay_of_photo_just_processed_leaves_it(settled):
    class Overtaken(Attempts):
        def done(self, path):
            settled.process.report_store.restamp(path, 1)

    work = Replay(settings(settled))
    work.attempts = Overtaken(settled.outbox)

    (each,) = work.run(Selection(name="dog.jpg"))
    assert (each.fate, each.why) == ("left", "a service has just processed it again")
    assert "replay" not in settled.report("dog.jpg")


def test_replay_by_recipe_selects_only_changed_options(settled):
    settled.photo("anna.jpg.toml", b"width = 900")

    assert paths(settled, Selection(ALL, recipe=True)) == ["anna.jpg"]
    assert paths(settled, Selection(ALL, recipe=True), DEFAULT_WIDTH="700") == ["anna.jpg", "dog.jpg", "sales/cat.jpg"]
    settled.photo("anna.jpg.toml", b"width = 'wide'")
    assert paths(settled, Selection(frozenset({"done"}), recipe=True), DEFAULT_WIDTH="700") == []


def test_replay_is_noticed_by_a_running_service(desk):
    settled, process = queue.Queue(), replace(desk.process, pool=FakePool(refused))

    class Told:
        def taken(self, event):
            pass

        def settled(self, event, outcome):
            settled.put((event.path, outcome))

    source = FolderSource(
        desk.inbox.root,
        settle_seconds=0.0,
        rescan_seconds=0.1,
        done_in=process.report_store.done_in,
        is_complete=is_complete,
    )
    workers = Workers(source, process, Told(), 1)
    desk.photo("cat.jpg")
    workers.start()
    assert settled.get(timeout=SOON)[1].reason == "no_face_detected"

    assert replayed(desk, Selection())[0].fate in ("replay", "left")
    while not isinstance((last := settled.get(timeout=SOON))[1], Done):
        replayed(desk, Selection())
    source.close()
    assert workers.wait(SOON)

    assert last[0] == "cat.jpg"
    assert desk.report("cat.jpg")["outcome"] == "done"


@pytest.fixture
def environ(settled, monkeypatch):
    monkeypatch.setenv("FACECRAFT_INBOX", str(settled.inbox.root))
    monkeypatch.setenv("FACECRAFT_OUTBOX", str(settled.outbox.root))
    for service in settled.services:
        service.close()


def test_replay_command_prints_each_photo_and_counts(environ, capsys):
    assert main(["replay", "--all"]) == commands.OK

    assert capsys.readouterr().out.splitlines() == [
        "replay    dog.jpg: truncated",
        "replay    sales/cat.jpg: no_face_detected",
        "replay    sales/crash.jpg: processing_crashed",
        "3 put back to work, 0 waiting for their photos, 0 left",
        "no service runs on this outbox: start `facecraft watch`, or use `once`",
    ]


def test_replay_command_takes_done_photos_by_recipe_or_outcome(environ, monkeypatch, capsys):
    main(["replay", "--outcome", "done"])
    assert "replay    anna.jpg: done" in capsys.readouterr().out
    monkeypatch.setenv("FACECRAFT_DEFAULT_WIDTH", "700")
    main(["replay", "--recipe", "--name", "anna.*"])
    assert "1 put back to work" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--name", "otto.jpg"], ["--name", "dog.jpg"]])
def test_replay_command_with_photo_left_exits_with_1(environ, settled, arguments):
    (settled.inbox.root / "dog.jpg").unlink()

    assert main(["replay", *arguments]) == commands.NOT_ALL_DONE


def test_replay_without_outbox_exits_with_2(environ, settled, capsys):
    settled.outbox.root.rename(settled.outbox.root.with_name("away"))

    assert main(["replay", "--all"]) == commands.WRONG_USE
    assert "out does not exist; mount or create it" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--reason", "ugly"], ["--outcome", "fine"]])
def test_replay_with_wrong_arguments_prints_its_usage(environ, arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(["replay", *arguments])

    assert end.value.code == commands.WRONG_USE
    said = capsys.readouterr().err
    assert said.startswith("usage: facecraft replay ")
    assert "for example" in said or "choose from" in said
