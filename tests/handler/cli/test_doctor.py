"""The verdicts of doctor on files in real folders; only the model workers are faked."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from handler.cli.doctor import Doctor, Verdict
from handler.cli.replay import Replay, Selection
from handler.config.load import load
from handler.workers.outcome import Failed
from handler.workers.worker_process import WorkerDied
from tests.conftest import BAD_INPUTS, PORTRAITS
from tests.handler.fakes import MAX_ATTEMPTS, Desk, refused
from tests.handler.service_runner import environment, run

PHOTO = (PORTRAITS / "sally_ride_small.jpg").read_bytes()
DIED = WorkerDied("exit code -11")


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    end(desk)


def end(desk):
    """No service runs any more."""
    for attempts in desk.services:
        attempts.close()


def say(desk, file, **variables):
    environ = {"FACECRAFT_SETTLE_SECONDS": "0"} | {f"FACECRAFT_{name}": value for name, value in variables.items()}
    settings = load(environ, inbox=desk.inbox.root, outbox=desk.outbox.root)
    return Doctor(settings).examine(str(file))


def test_doctor_new_photo_will_be_processed(desk):
    desk.photo("sales/anna.jpg", PHOTO)

    assert say(desk, desk.inbox.root / "sales/anna.jpg") == Verdict(True, "will be processed")


def test_doctor_without_a_service_says_that_none_is_running(desk):
    desk.photo("anna.jpg", PHOTO)
    end(desk)

    assert say(desk, "anna.jpg") == Verdict(True, "will be processed when a service runs: none is running")


def test_doctor_accepts_paths_from_here_from_the_inbox_and_through_links(desk, monkeypatch, tmp_path):
    desk.photo("sales/anna.jpg", PHOTO)
    (tmp_path / "link").symlink_to(desk.inbox.root)
    monkeypatch.chdir(desk.inbox.root / "sales")

    for file in ("anna.jpg", "sales/anna.jpg", "./../sales/anna.jpg", tmp_path / "link/sales/anna.jpg"):
        assert say(desk, file) == Verdict(True, "will be processed")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (".anna.jpg", "hidden (.*)"),
        ("anna.jpg.part", "temporary (*.part)"),
        ("Thumbs.db", "system file (thumbs.db)"),
        ("a/@eaDir/anna.jpg", "system folder (@eadir)"),
        ("anna.jpg.toml", "sidecar (*.toml), the options of anna.jpg"),
        ("carl.jpg_original", "a copy that exiftool left (*_original)"),
        ("anna.jpg:Zone.Identifier", "goes with a photo (*:*)"),
        ("IMG_1.MOV", "goes with a photo (*.mov)"),
        ("anna.jpg.sb-25bf0640-ALVVPA/anna.jpg", "temporary folder (*.sb-*)"),
    ],
)
def test_doctor_ignored_name_shows_the_pattern(desk, path, why):
    desk.photo(path, PHOTO)

    assert say(desk, path) == Verdict(False, f"is ignored: {why}")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda place: place.mkdir(), "a folder"),
        (os.mkfifo, "a pipe"),
        (lambda place: place.symlink_to("/etc/passwd"), "a link that leads out of the folder"),
        (lambda place: place.symlink_to(place.name), "a link that leads in circles"),
        (lambda place: place.symlink_to("nothing"), "a link that leads to nothing"),
    ],
)
def test_doctor_non_file_is_ignored_with_its_kind(desk, make, kind):
    make(desk.inbox.root / "anna.jpg")

    assert say(desk, "anna.jpg") == Verdict(False, f"is ignored: it is {kind}")


def test_doctor_misnamed_sidecar_is_told_of_both_files(desk):
    desk.photo("sales/c.jpg", PHOTO)
    desk.photo("sales/c.toml", b"width = 80")
    desk.photo("sales/B.JPG", PHOTO)
    desk.photo("sales/B.JPG.TOML", b"width = 80")

    assert say(desk, "sales/c.toml").text == (
        "is ignored: sidecar (*.toml), and not used: for the photo c.jpg name it c.jpg.toml"
    )
    assert say(desk, "sales/c.jpg") == Verdict(
        False, f"{say(desk, 'sales/B.JPG').text}; the sidecar c.toml is not used: name it c.jpg.toml"
    )
    assert say(desk, "sales/B.JPG.TOML").text == "is ignored: sidecar (*.toml), the options of sales/B.JPG"


def test_doctor_follows_a_linked_inbox(desk, tmp_path):
    desk.photo("anna.jpg", PHOTO)
    (tmp_path / "link").symlink_to(desk.inbox.root)
    settings = load({"FACECRAFT_SETTLE_SECONDS": "0"}, inbox=tmp_path / "link", outbox=desk.outbox.root)

    assert Doctor(settings).examine(str(tmp_path / "link" / "anna.jpg")).ok
    assert Doctor(settings).examine(str(desk.inbox.root / "anna.jpg")).ok


def test_doctor_socket_is_ignored_with_its_kind(desk, monkeypatch):
    monkeypatch.chdir(desk.inbox.root)  # its path must be short
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind("anna.jpg")

    assert say(desk, "anna.jpg") == Verdict(False, "is ignored: it is a socket")


def test_doctor_file_outside_the_inbox_or_missing(desk, tmp_path):
    (tmp_path / "anna.jpg").write_bytes(PHOTO)

    assert "is outside the inbox" in say(desk, tmp_path / "anna.jpg").text
    assert "is outside the inbox" in say(desk, desk.inbox.root).text
    assert say(desk, "anna.jpg") == Verdict(False, "is not there")


@pytest.mark.parametrize("folder", ["in", "out"])
def test_doctor_with_missing_folder_names_it(desk, folder, tmp_path):
    desk.photo("anna.jpg", PHOTO)
    (tmp_path / folder).rename(tmp_path / "away")

    verdict = say(desk, "anna.jpg")
    assert verdict == Verdict(False, f"{tmp_path / folder} does not exist; mount or create it")


def test_doctor_incomplete_file_waits_for_the_settle_time(desk):
    desk.photo("anna.jpg", PHOTO[:-500])

    assert say(desk, "anna.jpg", SETTLE_SECONDS="3600") == Verdict(
        True, "may be incomplete: it will be processed once it has not changed for 3600 s"
    )
    desk.photo("anna.jpg", PHOTO)
    assert say(desk, "anna.jpg", SETTLE_SECONDS="3600") == Verdict(True, "will be processed")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_file"),
        (b"just words", "not_an_image"),
        (PHOTO + b"\0" * 2**20, "too_large"),
        ((BAD_INPUTS / "gen_bomb_declared_60000x60000.png").read_bytes(), "too_large"),
    ],
)
def test_doctor_bad_bytes_will_be_rejected(desk, data, reason):
    desk.photo("anna.jpg", data)

    verdict = say(desk, "anna.jpg", MAX_UPLOAD_SIZE_MB="1")
    assert (verdict.ok, verdict.text.split(": ")[:2]) == (False, ["will be rejected", reason])


def test_doctor_own_output_and_invalid_sidecar_will_be_rejected(desk):
    desk.run(desk.photo("anna.jpg", PHOTO))
    shutil.copy(desk.outbox.root / "anna.png", desk.inbox.root / "back.png")
    desk.photo("otto.jpg.toml", b"width = 'wide'")
    desk.photo("otto.jpg", PHOTO)

    assert say(desk, "back.png").text.startswith("will be rejected: own_output: ")
    assert "the sidecar says width: 'wide' is not a whole number" in say(desk, "otto.jpg").text


def test_doctor_done_photo_shows_report_and_changed_options(desk):
    desk.run(desk.photo("sales/anna.jpg", PHOTO))
    report = desk.outbox.root / "reports/sales/anna.jpg.json"

    assert say(desk, "sales/anna.jpg") == Verdict(True, f"is done; see {report}")
    assert say(desk, "sales/anna.jpg", DEFAULT_WIDTH="700") == Verdict(
        True,
        f"is done, with other options than it would have now; see {report}; "
        "`facecraft replay --name sales/anna.jpg --recipe` makes it again",
    )


@pytest.mark.parametrize(("after", "said"), [("move", "was moved to originals/anna.jpg"), ("delete", "gone")])
def test_doctor_moved_or_deleted_photo_is_done(desk, after, said):
    desk.service(after=after)(desk.photo("anna.jpg", PHOTO))

    verdict = say(desk, desk.inbox.root / "anna.jpg")
    assert (verdict.ok, verdict.text.partition("; see ")[0]) == (True, f"is done and {said}")


def test_doctor_rejected_photo_shows_hint_report_and_command(desk):
    desk.run(desk.photo("my cat.jpg", PHOTO), refused)

    verdict = say(desk, "my cat.jpg")
    assert not verdict.ok
    assert verdict.text == (
        "was rejected: no_face_detected: No face was found: send a photo that shows one face from the front, well lit. "
        f"See {desk.outbox.root}/reports/my cat.jpg.json. To try again: `facecraft replay --name 'my cat.jpg'`"
    )


def test_doctor_blocked_name_was_rejected(desk):
    desk.run(desk.photo("anna.jpg", PHOTO), lambda job: refused(job, "name_blocked"))

    assert say(desk, "anna.jpg").text.startswith("was rejected: name_blocked: Something that is not a result lies")


def test_doctor_failed_attempts_are_counted(desk):
    anna = desk.photo("anna.jpg", PHOTO)
    said = []
    for _ in range(MAX_ATTEMPTS):
        desk.run(anna, DIED)
        said.append(say(desk, "anna.jpg"))

    assert said[:2] == [
        Verdict(True, f"is tried again: processing_crashed, attempt {number} of 3 failed") for number in (1, 2)
    ]
    assert (said[2].ok, said[2].text.split(":")[:2]) == (False, ["failed, attempt 3 of 3", " processing_crashed"])
    assert say(desk, "anna.jpg", MAX_ATTEMPTS="5").text.startswith("failed, attempt 3 of 5")


def test_doctor_used_up_attempts_will_be_reported(desk):
    anna = desk.photo("anna.jpg", PHOTO)
    for _ in range(2):
        desk.run(anna, DIED)

    assert say(desk, "anna.jpg", MAX_ATTEMPTS="2") == Verdict(
        False, "will be reported as failed: processing_crashed, attempt 2 of 2"
    )


def test_doctor_photo_in_progress_and_after_a_death(desk):
    desk.photo("anna.jpg", PHOTO)
    desk.process.attempts.begin("anna.jpg")
    assert say(desk, "anna.jpg") == Verdict(True, "is being processed, attempt 1 of 3")

    desk.process.attempts.close()
    verdict = say(desk, "anna.jpg")
    assert (verdict.ok, verdict.text.partition(",")[0]) == (True, "was being processed when a service died")


def test_doctor_new_version_and_replayed_photo_will_be_processed(desk):
    for path in ("anna.jpg", "cat.jpg"):
        desk.run(desk.photo(path, PHOTO), refused)
    desk.photo("anna.jpg", PHOTO + b"\0")
    settings = load({}, inbox=desk.inbox.root, outbox=desk.outbox.root)
    assert len(list(Replay(settings).run(Selection(name="cat.jpg")))) == 1

    assert say(desk, "anna.jpg") == Verdict(True, "has changed since its report and will be processed")
    assert say(desk, "cat.jpg") == Verdict(True, "was put back to work and will be processed")


@pytest.mark.skipif(os.geteuid() == 0, reason="this user reads everything")
def test_doctor_unreadable_photo_will_fail(desk):
    desk.photo("anna.jpg", PHOTO)
    (desk.inbox.root / "anna.jpg").chmod(0)

    verdict = say(desk, "anna.jpg")
    assert (verdict.ok, verdict.text.split(": ")[:2]) == (False, ["will fail", "unreadable"])


def test_doctor_unreadable_sidecar_will_fail_then_has_failed(desk):
    anna = desk.photo("anna.jpg", PHOTO)
    (desk.inbox.root / "anna.jpg.toml").mkdir()
    assert say(desk, "anna.jpg").text.startswith("will fail: unreadable: ")

    for _ in range(MAX_ATTEMPTS):
        desk.run(anna, Failed("unreadable", "Is a directory"))
    assert say(desk, "anna.jpg").text.startswith("failed, attempt 3 of 3: unreadable: ")


def everything(folder):
    """What must stay as it is, and the times that any writing would change."""
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_ctime_ns) for path in (folder, *folder.rglob("*"))}


def test_doctor_writes_nothing(desk, tmp_path):
    desk.run(desk.photo("anna.jpg", PHOTO))
    desk.photo("new.jpg", PHOTO)
    before = everything(tmp_path)

    for file in ("anna.jpg", "new.jpg", "gone.jpg", ".hidden"):
        say(desk, file)

    assert everything(tmp_path) == before


def test_doctor_imports_no_model_library():
    heavy = {"torch", "rembg", "onnxruntime", "cv2", "dlib", "numba", "scipy", "pymatting"}
    code = "import sys, handler.cli.doctor; print(*sys.modules)"
    root = Path(__file__).parents[3]
    loaded = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout

    assert "handler.cli.doctor" in loaded.split()
    assert heavy & set(loaded.split()) == set()


def test_doctor_command_prints_one_line_per_file_and_exit_code(desk, tmp_path):
    desk.photo("anna.jpg", PHOTO)
    desk.photo("an\nna.jpg.part", PHOTO)
    end(desk)
    environ = environment(tmp_path / "none", INBOX=desk.inbox.root, OUTBOX=desk.outbox.root)

    one = run("doctor", "anna.jpg", environ=environ)
    both = run("doctor", desk.inbox.root / "an\nna.jpg.part", "anna.jpg", environ=environ)

    assert (one.returncode, one.stderr, both.returncode, both.stderr) == (0, "", 1, "")
    assert one.stdout == "anna.jpg will be processed when a service runs: none is running\n"
    assert both.stdout.splitlines() == [
        f"{desk.inbox.root}/an\\nna.jpg.part is ignored: temporary (*.part)", one.stdout.rstrip()
    ]  # fmt: skip
