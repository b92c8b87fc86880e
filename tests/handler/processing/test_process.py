"""One photo from event to outcome, in real folders; only the model workers are played."""

import resource
import shutil
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from handler.outbox.paths import portrait_stems, report_path
from handler.outbox.reports import ReportStore
from handler.outbox.writer import OutboxWriter
from handler.workers.outcome import Done, Failed, Rejected, Skipped, Vanished
from handler.workers.pool import PoolUnavailable
from handler.workers.worker_process import WorkerDied, WorkerTimedOut
from tests.handler.fakes import MAX_ATTEMPTS, FakePool, done, event, refused, result

SOON = 10.0
DIED, TIMED_OUT = WorkerDied("the worker ended with exit code -11"), WorkerTimedOut("no result after 120 s")
UNREADABLE = Failed("unreadable", "[Errno 5] Input/output error")


@contextmanager
def full_disk():
    """Nothing can be written any more: the kernel answers EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_photo_becomes_portraits_and_a_report(desk):
    outcome = desk.run(desk.photo("sales/anna.jpg"))

    assert outcome == Done(("sales/anna.png", "sales/anna.jpg"), {"decode": 41.0, "detect": 60.2}, ("enlarged",))
    assert desk.images() == ["sales/anna.jpg", "sales/anna.png"]
    assert desk.report("sales/anna.jpg")["outcome"] == "done"
    assert desk.markers() == []


def test_the_same_photo_is_done_once(desk):
    anna = desk.photo("anna.jpg")
    desk.run(anna)
    report = desk.outbox.read(report_path("anna.jpg")).data

    assert desk.run(anna) == Skipped()
    assert desk.outbox.read(report_path("anna.jpg")).data == report
    assert desk.markers() == []


def test_the_same_content_with_a_new_date_is_skipped_and_its_report_gets_the_new_stamp(desk):
    anna = desk.photo("anna.jpg")
    desk.run(anna)
    then = desk.outbox.root.joinpath(report_path("anna.jpg")).stat().st_mtime_ns
    desk.photo("anna.jpg")

    assert desk.run(anna) == Skipped()
    assert desk.outbox.root.joinpath(report_path("anna.jpg")).stat().st_mtime_ns != then


@pytest.mark.parametrize("change", ["anna.jpg", "anna.jpg.toml"])
def test_new_content_or_a_new_sidecar_is_a_new_version(desk, change):
    anna = desk.photo("anna.jpg")
    desk.run(anna)
    before = desk.report("anna.jpg")["source"]
    desk.photo(change, b"width = 800")

    assert isinstance(desk.run(anna), Done)
    assert desk.report("anna.jpg")["source"] != before


def test_a_photo_that_vanished_leaves_nothing(desk):
    assert desk.run(event(desk.inbox, "gone.jpg")) == Vanished()
    assert list(desk.outbox.list()) == []
    assert desk.markers() == []


def test_images_that_a_dead_service_left_without_a_report_go_with_their_photo(desk):
    anna = desk.photo("anna.jpg")
    desk.process.writer.publish("anna.jpg", result("anna.jpg").portraits)
    (desk.inbox.root / "anna.jpg").unlink()

    assert desk.run(anna) == Vanished()
    assert desk.images() == []


def test_a_photo_that_was_taken_away_keeps_its_portraits(desk):
    anna = desk.photo("anna.jpg")
    desk.run(anna)
    (desk.inbox.root / "anna.jpg").unlink()

    assert desk.run(anna) == Vanished()
    assert len(desk.images()) == 2


def test_a_rejected_photo_is_answered_at_once_with_what_to_do(desk):
    outcome = desk.run(desk.photo("cat.jpg"), refused)

    assert isinstance(outcome, Rejected)
    report = desk.report("cat.jpg")
    assert (report["outcome"], report["reason"], report["hint"]) == ("rejected", outcome.reason, outcome.hint)
    assert outcome.hint.startswith("No face was found: send")
    assert desk.markers() == []


@pytest.mark.parametrize(
    ("answer", "left"), [(refused, []), (lambda job: done(job, faces=2), ["-1.jpg", "-1.png", "-2.jpg", "-2.png"])]
)
def test_a_replaced_photo_leaves_no_image_of_the_old_one(desk, answer, left):
    desk.run(desk.photo("anna.jpg"))

    desk.run(desk.photo("anna.jpg", b"another photo"), answer)

    assert desk.images() == [f"anna{ending}" for ending in left]


def test_a_photo_whose_names_are_all_taken_is_rejected(desk):
    for stem in portrait_stems("anna.jpg"):
        (desk.outbox.root / f"{stem}.png").mkdir()

    assert desk.run(desk.photo("anna.jpg")).reason == "name_blocked"
    assert desk.report("anna.jpg")["reason"] == "name_blocked"


def test_a_photo_that_changes_while_it_is_read_is_tried_again_and_not_counted(desk):
    outcome = desk.run(desk.photo("anna.jpg"), Failed("changed", "it was written meanwhile", counts=False))

    assert (outcome.reason, outcome.retry_in) == ("changed", 1.0)
    assert desk.markers() == []


FAILURES = [
    (DIED, "processing_crashed"),
    (TIMED_OUT, "processing_timed_out"),
    (UNREADABLE, "unreadable"),
    (Failed("processing_error", "Traceback"), "processing_error"),
    (ValueError("a fault of ours"), "processing_error"),
]


@pytest.mark.parametrize(("answer", "reason"), FAILURES)
def test_failures_are_tried_again_with_growing_pauses_and_then_reported(desk, answer, reason):
    anna = desk.photo("anna.jpg")

    outcomes = [desk.run(anna, answer) for _ in range(MAX_ATTEMPTS)]

    assert [outcome.reason for outcome in outcomes] == [reason] * MAX_ATTEMPTS
    assert [outcome.retry_in for outcome in outcomes] == [2.0, 4.0, None]
    report = desk.report("anna.jpg")
    assert (report["outcome"], report["reason"], report["attempt"]) == ("failed", reason, MAX_ATTEMPTS)
    assert str(answer) in report["error"] or answer.error == report["error"]
    assert report["source"]["bytes"] == len(b"a photo")
    assert desk.markers() == []


@pytest.mark.parametrize(
    ("most", "pauses"), [(1, [None]), (2, [2.0, None]), (9, [2.0, 4.0, None]), (None, [2.0, 4.0, None])]
)
def test_a_queue_that_hands_a_photo_out_less_often_sets_the_limit(desk, most, pauses):
    process = replace(desk.service(*[DIED] * MAX_ATTEMPTS), most_attempts=lambda: most)
    anna = desk.photo("anna.jpg")

    assert [process(anna).retry_in for _ in pauses] == pauses
    assert (desk.report("anna.jpg")["outcome"], desk.report("anna.jpg")["attempt"]) == ("failed", len(pauses))


def test_the_report_says_which_attempt_it_was(desk):
    anna = desk.photo("anna.jpg")
    for answer in (DIED, UNREADABLE):
        desk.run(anna, answer)

    assert isinstance(desk.run(anna), Done)
    assert desk.report("anna.jpg")["attempt"] == 3
    desk.run(desk.photo("anna.jpg", b"another photo"))
    assert desk.report("anna.jpg")["attempt"] == 1


def test_attempts_are_counted_over_restarts(desk):
    anna = desk.photo("anna.jpg")
    desk.run(anna, DIED)

    outcomes = [desk.service(DIED)(anna) for _ in range(MAX_ATTEMPTS - 1)]

    assert outcomes[-1] == Failed("processing_crashed", str(DIED))


@pytest.mark.parametrize("error", [DIED, TIMED_OUT])
def test_a_photo_that_cannot_even_be_read_is_reported_without_its_sum(desk, error):
    class Unreadable(FakePool):
        def read_version(self, job):
            raise error

    process = replace(desk.process, pool=Unreadable(*[DIED] * MAX_ATTEMPTS))
    anna = desk.photo("anna.jpg")

    assert [process(anna) for _ in range(MAX_ATTEMPTS)][-1].retry_in is None
    assert desk.report("anna.jpg")["source"]["sha256"] is None


def test_a_pool_without_workers_counts_nothing(desk):
    anna = desk.photo("anna.jpg")
    for _ in range(MAX_ATTEMPTS + 1):
        outcome = desk.run(anna, PoolUnavailable("models are loading"))
        assert (outcome.reason, outcome.retry_in) == ("no_workers", 1.0)

    assert isinstance(desk.run(anna), Done)
    assert desk.report("anna.jpg")["attempt"] == 1


def test_a_failure_keeps_its_reason_where_the_report_has_to_wait(desk):
    class Away(FakePool):
        def read_version(self, job):
            raise PoolUnavailable("models are loading")

    process, anna = replace(desk.process, pool=Away(*[UNREADABLE] * MAX_ATTEMPTS)), desk.photo("anna.jpg")
    assert [process(anna) for _ in range(MAX_ATTEMPTS)][-1].reason == "no_workers"

    assert desk.run(anna) == Failed("unreadable", UNREADABLE.error)
    assert desk.process.pool.jobs == []


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_an_outbox_that_is_away_counts_nothing_and_loses_nothing(desk, when):
    anna, away = desk.photo("anna.jpg"), desk.outbox.root.with_name("away")

    def unmount(job):
        desk.outbox.root.rename(away)
        return done(job)

    if when == "before":
        desk.outbox.root.rename(away)
        outcome = desk.run(anna)
    else:
        outcome = desk.run(anna, unmount)
    assert (outcome.reason, outcome.retry_in) == ("outbox_unavailable", 10.0)
    assert not desk.outbox.root.exists()

    away.rename(desk.outbox.root)
    assert isinstance(desk.run(anna), Done)
    assert desk.report("anna.jpg")["attempt"] == 1


def test_a_full_disk_counts_nothing_and_loses_nothing(desk):
    desk.run(desk.photo("anna.jpg"))
    before = {path: desk.outbox.read(path).data for path in desk.outbox.list()}
    anna = desk.photo("anna.jpg", b"another photo")

    with full_disk():
        assert [desk.run(anna).reason for _ in range(MAX_ATTEMPTS + 1)] == ["outbox_unavailable"] * (MAX_ATTEMPTS + 1)
    assert {path: desk.outbox.read(path).data for path in desk.outbox.list()} == before

    assert isinstance(desk.run(anna), Done)
    assert desk.report("anna.jpg")["attempt"] == 1


def test_a_disk_that_fills_up_meanwhile_counts_nothing(desk):
    anna = desk.photo("anna.jpg")
    with ExitStack() as stack:

        def fill(job):
            stack.enter_context(full_disk())
            return done(job)

        assert desk.run(anna, fill).reason == "outbox_unavailable"
    assert (desk.images(), desk.markers()) == ([], [])

    assert isinstance(desk.run(anna), Done)


def test_an_outbox_that_was_emptied_gets_its_results_again(desk):
    anna = desk.photo("anna.jpg")
    desk.run(anna)
    shutil.rmtree(desk.outbox.root)
    desk.outbox.root.mkdir()

    assert isinstance(desk.run(anna), Done)
    assert len(desk.images()) == 2


def test_what_another_service_works_on_is_left_to_it(desk):
    anna, other = desk.photo("anna.jpg"), desk.service()
    other.attempts.begin("anna.jpg")

    assert desk.run(anna).reason == "conflict"
    assert desk.process.pool.jobs == []
    assert isinstance(other(anna), Done)
    assert desk.run(anna) == Skipped()


def test_a_report_that_another_service_wrote_meanwhile_stands(desk):
    anna = desk.photo("anna.jpg")

    def overtaken(job):
        report = {"outcome": "done", "outputs": []}
        OutboxWriter(desk.outbox).commit("anna.jpg", report, changed_ns=1)
        return done(job)

    assert (desk.run(anna, overtaken).reason, desk.images()) == ("conflict", [])
    assert desk.report("anna.jpg") == {"outcome": "done", "outputs": []}


def test_photos_of_a_dead_service_run_alone(desk):
    desk.process.attempts.begin("suspect.jpg")
    desk.process.attempts.close()
    entered, go_on = threading.Event(), threading.Event()

    def held(job):
        entered.set()
        assert go_on.wait(SOON)
        return done(job)

    for path in ("suspect.jpg", "anna.jpg"):
        desk.photo(path)
    process = desk.service(held)
    one = threading.Thread(target=process, args=[event(desk.inbox, "suspect.jpg")])
    one.start()
    assert entered.wait(SOON)
    other = threading.Thread(target=process, args=[event(desk.inbox, "anna.jpg")])
    other.start()
    other.join(0.2)  # the only proof that it waits is that time passes

    assert [job.path for job in process.pool.jobs] == ["suspect.jpg"]
    go_on.set()
    for thread in (one, other):
        thread.join(SOON)
    assert [job.path for job in process.pool.jobs] == ["suspect.jpg", "anna.jpg"]


def test_a_photo_that_keeps_ending_the_service_is_reported(desk):
    anna = desk.photo("anna.jpg")
    desk.process.attempts.begin("anna.jpg")
    desk.process.attempts.close()
    for _ in range(MAX_ATTEMPTS):
        process = desk.service()
        assert process.attempts.is_suspect("anna.jpg")
        process.attempts.begin("anna.jpg", alone=True)
        process.attempts.close()

    process = desk.service()
    assert process(anna) == Failed("processing_crashed", "the service ended while this photo ran alone")
    assert process.pool.jobs == []
    assert desk.report("anna.jpg")["attempt"] == MAX_ATTEMPTS


def test_an_error_of_ours_is_logged_with_its_traceback(desk, caplog):
    desk.run(desk.photo("anna.jpg"), ValueError("a fault of ours"))

    (record,) = [record for record in caplog.records if record.message == "photo.error"]
    assert record.exc_info[1].args == ("a fault of ours",)
    assert record.uri.endswith("/in/anna.jpg")


def test_an_error_of_ours_that_cannot_be_counted_is_tried_again_rarely(desk):
    class Broken(ReportStore):
        def read(self, path):
            raise ValueError("a fault of ours")

    process = replace(desk.process, report_store=Broken(desk.outbox))

    outcome = process(desk.photo("anna.jpg"))

    assert (outcome.reason, outcome.retry_in) == ("processing_error", 60.0)


def test_other_photos_go_on_after_an_error_of_ours(desk):
    desk.run(desk.photo("anna.jpg"), ValueError("a fault of ours"))

    assert isinstance(desk.run(desk.photo("otto.jpg")), Done)
