"""An outbox on a disk of its own: full, read-only, or the inbox's own under another name; all in a name space."""

from tests.sources.folder.namespaces import alone

DESK = """
from tests.handler.fakes import Desk, done
desk = Desk(here)
anna = desk.photo("anna.jpg")
mount("tmpfs", desk.outbox.root, "size=2m")
ballast = desk.outbox.root / "ballast"

def fill(job=None):
    with open(ballast, "wb", buffering=0) as file:
        while file.write(bytes(4096)) == 4096:
            pass

def full(job):
    try:
        fill()
    except OSError:
        return done(job)

def tell(outcome):
    left = [path for path in desk.outbox.list() if path != "ballast"], list(desk.outbox.stamps(".facecraft/tmp"))
    subprocess.run(["mount", "-o", "remount,rw", desk.outbox.root], check=True)
    ballast.unlink(missing_ok=True)
    then = type(desk.run(anna)).__name__
    print(json.dumps([outcome.reason, outcome.error, *left, then, desk.report("anna.jpg")["attempt"]]))
"""
FULL, READ_ONLY = "[Errno 28] No space left on device", "[Errno 30] Read-only file system"


def test_a_disk_that_is_full_counts_nothing_and_leaves_nothing(tmp_path):
    reason, error, left, temporaries, *then = alone(DESK + "tell(desk.run(anna, full))", tmp_path)

    assert (reason, left, temporaries, then) == ("outbox_unavailable", [], [], ["Done", 1])
    assert FULL in error


def test_a_disk_that_is_read_only_counts_nothing(tmp_path):
    code = """
subprocess.run(["mount", "-o", "remount,ro", desk.outbox.root], check=True)
tell(desk.run(anna))
"""
    reason, error, *_, then, attempt = alone(DESK + code, tmp_path)

    assert (reason, then, attempt) == ("outbox_unavailable", "Done", 1)
    assert READ_ONLY in error


def test_an_outbox_on_another_file_system_gets_its_results(tmp_path):
    assert alone(DESK + "print(json.dumps([type(desk.run(anna)).__name__, desk.images()]))", tmp_path) == [
        "Done",
        ["anna.jpg", "anna.png"],
    ]


def test_a_disk_without_room_for_a_portrait_is_not_ready(tmp_path):
    code = """
full(desk)
try:
    desk.outbox.probe(1)
except OSError as error:
    print(json.dumps(str(error)))
"""
    assert alone(DESK.replace("return done(job)", "return") + code, tmp_path) == FULL


def test_one_folder_under_two_mounts_is_refused_as_inbox_and_outbox(tmp_path):
    code = """
from handler.config.load import SettingsError, load
for name in ("in", "out"):
    (here / name).mkdir()
subprocess.run(["mount", "--bind", here / "in", here / "out"], check=True)
try:
    load({}, inbox=here / "in", outbox=here / "out")
except SettingsError as error:
    print(json.dumps(str(error)))
"""
    assert "overlap" in alone(code, tmp_path)
