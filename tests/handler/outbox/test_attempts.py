"""Markers that outlive the service that wrote them; the services here are processes that are really killed."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from handler.outbox.attempts import SERVICES, Attempts
from handler.outbox.paths import ATTEMPTS, attempt_path
from sources.stores.base import Conflict, Unavailable
from sources.stores.local import FileStore

CODE = """
import sys
from pathlib import Path
from handler.outbox.attempts import Attempts
from sources.stores.local import FileStore
attempts = Attempts(FileStore(Path(sys.argv[1])))
print(attempts.begin(sys.argv[2], alone=sys.argv[3] == "alone").number, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def outbox(tmp_path):
    return FileStore(tmp_path)


@pytest.fixture
def attempts(outbox):
    service = Attempts(outbox)
    yield service
    service.close()


@pytest.fixture
def begins(outbox):
    """Starts another service that begins a photo; the returned function kills it."""
    running = []

    def start(path, how="together"):
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, outbox.root, path, how],
            cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        running.append(process)
        process.stdout.readline()
        return lambda: (process.kill(), process.communicate())

    yield start
    for process in running:
        process.kill()
        process.communicate()


def there(_):
    return True


def overwrite(outbox, path, text):
    place = attempt_path(path)
    outbox.note(place, text, replaces=outbox.read(place).version if outbox.exists(place) else None)


def markers(outbox):
    return set(outbox.stamps(ATTEMPTS))


def test_only_failures_are_counted(attempts):
    assert attempts.begin("anna.jpg").number == 1
    assert attempts.failed("anna.jpg", "its worker died") == 1
    assert attempts.begin("anna.jpg").number == 2
    attempts.release("anna.jpg")
    assert attempts.begin("anna.jpg").number == 2
    assert attempts.failed("anna.jpg", "again") == 2


def test_the_marker_goes_with_the_report(attempts, outbox):
    attempts.begin("anna.jpg")
    assert markers(outbox)
    attempts.done("anna.jpg")
    attempts.done("anna.jpg")

    assert not markers(outbox)
    assert attempts.begin("anna.jpg").number == 1


def test_the_last_failure_is_remembered_by_its_end(attempts, outbox):
    attempts.failed("anna.jpg", "x" * 5_000 + "ValueError", "processing_error")

    reason, error = Attempts(outbox).last_failure("anna.jpg")
    assert (reason, error[-11:]) == ("processing_error", "xValueError")
    overwrite(outbox, "anna.jpg", b'{"path": "anna.jpg", "attempts": 1, "reason": "of another version"}')
    assert attempts.last_failure("anna.jpg")[0] == "processing_crashed"


def test_work_that_is_given_back_leaves_no_trace(attempts, outbox):
    attempts.begin("anna.jpg")
    attempts.release("anna.jpg")

    assert not markers(outbox)


def test_counts_outlive_the_service(attempts, outbox):
    attempts.failed("anna.jpg", "its worker died")

    assert Attempts(outbox).begin("anna.jpg").number == 2


def test_what_a_living_service_works_on_is_left_to_it(attempts, begins, outbox):
    begins("anna.jpg")

    with pytest.raises(Conflict):
        attempts.begin("anna.jpg")
    attempts.release("anna.jpg")
    with pytest.raises(Conflict):
        attempts.begin("anna.jpg")
    assert attempts.suspects(there) == set()


def test_the_photo_of_a_service_that_dies_meanwhile_runs_alone(attempts, begins):
    kill = begins("anna.jpg")
    assert attempts.suspects(there) == set()
    kill()

    with pytest.raises(Conflict, match="runs alone next"):
        attempts.begin("anna.jpg")
    assert attempts.is_suspect("anna.jpg")
    assert attempts.begin("anna.jpg", alone=True).number == 1


def test_the_photos_of_a_dead_service_are_suspects_and_not_counted(attempts, begins):
    begins("anna.jpg")()

    assert attempts.suspects(there) == {"anna.jpg"}
    assert attempts.is_suspect("anna.jpg")
    assert attempts.begin("anna.jpg", alone=True).number == 1


def test_a_suspect_stays_one_over_another_restart(attempts, begins, outbox):
    begins("anna.jpg")()
    attempts.suspects(there)

    assert Attempts(outbox).suspects(there) == {"anna.jpg"}


def test_a_death_while_alone_counts_once(begins, outbox):
    begins("anna.jpg", "alone")()

    for service in (Attempts(outbox), Attempts(outbox)):
        assert service.suspects(there) == {"anna.jpg"}
        service.close()
    assert Attempts(outbox).begin("anna.jpg", alone=True).number == 2


@pytest.mark.parametrize("settle", [Attempts.done, lambda attempts, path: attempts.failed(path, "died")])
def test_a_suspect_that_ran_is_none_any_more(attempts, begins, settle):
    begins("anna.jpg")()
    attempts.suspects(there)
    attempts.begin("anna.jpg", alone=True)

    settle(attempts, "anna.jpg")

    assert not attempts.is_suspect("anna.jpg")


def test_markers_of_photos_that_are_gone_are_removed(attempts, begins, outbox):
    begins("gone.jpg")()
    attempts.failed("also-gone.jpg", "x")

    assert attempts.suspects(lambda _: False) == set()
    assert not markers(outbox)


def test_a_photo_that_cannot_be_looked_at_keeps_its_marker(attempts):
    def unreadable(path):
        raise PermissionError(path)

    attempts.failed("anna.jpg", "x")
    attempts.suspects(unreadable)

    assert attempts.begin("anna.jpg").number == 2


def test_lock_files_of_dead_services_are_removed(attempts, begins, outbox):
    kill = begins("anna.jpg")
    attempts.suspects(there)
    assert len(outbox.stamps(SERVICES)) == 2

    kill()
    attempts.suspects(there)
    assert len(outbox.stamps(SERVICES)) == 1


def test_a_damaged_marker_counts_as_none(attempts, outbox):
    for text in (b"", b"{", b"[1]", b"[" * 100_000, b'{"path": 1}', b'{"path": "anna.jpg", "attempts": "3"}'):
        overwrite(outbox, "anna.jpg", text)

        assert attempts.suspects(there) == set()
        assert attempts.begin("anna.jpg").number == 1


def test_an_outbox_that_is_away_counts_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    attempts = Attempts(FileStore(tmp_path / "out"))
    attempts.begin("anna.jpg")
    (tmp_path / "out").rename(tmp_path / "away")

    for act in (attempts.begin, attempts.done, lambda path: attempts.failed(path, "x")):
        with pytest.raises(Unavailable):
            act("anna.jpg")
    (tmp_path / "away").rename(tmp_path / "out")
    assert attempts.begin("anna.jpg").number == 1
    attempts.close()


def test_an_emptied_outbox_is_taken_possession_of_again(attempts, outbox):
    attempts.begin("anna.jpg")
    for path in list(outbox.list(SERVICES)):
        outbox.delete(path)
    attempts.begin("otto.jpg")

    with pytest.raises(Conflict):
        Attempts(outbox).begin("otto.jpg")


def test_a_sign_of_life_that_stands_is_taken_possession_of_again(attempts, outbox):
    attempts.begin("anna.jpg")
    attempts.close()
    attempts.begin("otto.jpg")

    with pytest.raises(Conflict):
        Attempts(outbox).begin("otto.jpg")


def test_slots_that_begin_together_share_one_sign_of_life(attempts, outbox):
    photos = [f"{number}.jpg" for number in range(16)]
    with ThreadPoolExecutor(len(photos)) as slots:
        assert [attempt.number for attempt in slots.map(attempts.begin, photos)] == [1] * len(photos)
    assert len(outbox.stamps(SERVICES)) == 1


def test_names_that_are_not_utf8(attempts, outbox):
    attempts.failed("\udcff.jpg", "x" * 10_000)

    assert Attempts(outbox).begin("\udcff.jpg").number == 2


@pytest.fixture
def environment(outbox):
    """As in Lambda: one photo at a time, and no sign of life between two calls."""
    service = Attempts(outbox, always_alone=True)
    yield service
    service.close()


def test_where_photos_always_run_alone_each_death_counts_and_no_call_is_lost(environment, begins, outbox):
    for number in (1, 2, 3):
        begins("anna.jpg", "alone")()
        assert environment.begin("anna.jpg", alone=environment.is_suspect("anna.jpg")).number == number + 1
        environment.release("anna.jpg")
    assert environment.last_failure("anna.jpg")[0] == "processing_crashed"


def test_what_a_living_service_works_on_is_left_to_it_there_too(environment, begins):
    begins("anna.jpg")
    with pytest.raises(Conflict, match="another service works on"):
        environment.begin("anna.jpg", alone=True)


def test_whoever_takes_up_a_dead_service_s_photo_buries_it(environment, begins, outbox):
    begins("anna.jpg")()
    environment.begin("anna.jpg", alone=True)

    assert len(outbox.stamps(SERVICES)) == 1  # its own


def test_between_calls_an_environment_claims_nothing_and_begins_anew(s3):
    outbox = s3("out")
    environment = Attempts(outbox, always_alone=True)
    for _ in range(2):
        assert environment.begin("anna.jpg", alone=True).number == 1
        assert len(outbox.stamps(SERVICES)) == 1
        environment.done("anna.jpg")
        environment.close()
        assert (dict(outbox.stamps(SERVICES)), markers(outbox)) == ({}, set())
