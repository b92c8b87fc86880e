"""The service's own ends, by signals and by photos that kill, with light workers in a process of its own."""

import os
import signal
import sys
import threading

import psutil
import pytest

from handler.outbox.attempts import Attempts
from handler.outbox.reports import ReportStore, last_changed
from handler.outbox.writer import OutboxWriter
from sources.stores.local import FileStore
from tests.chaos.__main__ import PORTRAIT
from tests.chaos.services import LIGHT
from tests.handler.fakes import portrait
from tests.handler.service_runner import Watch


@pytest.fixture
def watch(tmp_path):
    """Starts the service; what still runs at the end is killed."""
    started = []

    def start(**settings):
        watch = Watch(tmp_path, tmp_path / "none", command=(sys.executable, *LIGHT), **settings).__enter__()
        started.append(watch)
        return watch

    yield start
    for each in started:
        each.__exit__()


def workers(watch):
    return psutil.Process(watch.process.pid).children()


def in_work(watch, name):
    return watch.until("/status", lambda _, status: any(name in photo["uri"] for photo in status["inflight"]))


def test_a_drain_is_not_ready_takes_nothing_more_and_finishes_what_is_in_work(watch):
    service = watch(PHOTO_TIMEOUT_SECONDS=3).ready()
    hanging = service.drop(PORTRAIT, "hang-0.jpg")
    in_work(service, "hang-0.jpg")
    os.kill(service.process.pid, signal.SIGTERM)

    _, answer = service.until("/ready", lambda status, _: status == 503)
    assert "the service is stopping" in answer["reasons"]
    assert service.ask("/health")[0] == 200
    late = service.drop(PORTRAIT, "late.jpg")
    assert service.process.wait(60) == 0
    lines = {line["uri"]: line["reason"] for line in service.closing_lines()}
    assert lines == {hanging: "processing_timed_out"}
    assert late not in lines


def test_a_second_signal_ends_the_service_and_its_workers_at_once(watch):
    service = watch().ready()
    service.drop(PORTRAIT, "hang-0.jpg")
    in_work(service, "hang-0.jpg")
    (worker,) = workers(service)
    service.process.send_signal(signal.SIGTERM)
    service.logged("service.draining")

    service.process.send_signal(signal.SIGINT)

    assert service.process.wait(60) == 128 + signal.SIGINT
    psutil.wait_procs([worker], timeout=60)
    assert not worker.is_running()


def test_signals_to_the_whole_group_cost_no_photo_an_attempt(watch, tmp_path):
    service = watch(WORKERS=2).ready()
    paths = [f"{number}.jpg" for number in range(20)]
    uris = [service.drop(PORTRAIT, path) for path in paths]
    service.settled(uris[0])
    for process in [psutil.Process(service.process.pid), *workers(service)]:  # as systemd does it
        process.send_signal(signal.SIGTERM)
    assert service.process.wait(60) == 0
    again = watch()
    again.until("/status", lambda _, status: len(list((tmp_path / "out" / "reports").iterdir())) == len(paths))

    assert {(again.report(path)["outcome"], again.report(path)["attempt"]) for path in paths} == {("done", 1)}
    assert again.ask("/status")[1]["worker_deaths"] == 0


@pytest.mark.parametrize(("photo", "reason"), [
    ("segv-0.jpg", "processing_crashed"),
    ("oom-0.jpg", "processing_crashed"),
    ("greedy-0.jpg", "processing_error"),
    ("hang-0.jpg", "processing_timed_out"),
])  # fmt: skip
def test_a_photo_that_ends_its_worker_is_left_alone_after_its_attempts_and_others_go_on(watch, photo, reason):
    service = watch(MAX_ATTEMPTS=2, PHOTO_TIMEOUT_SECONDS=2).ready()
    bad, good = service.drop(PORTRAIT, photo), service.drop(PORTRAIT, "anna.jpg")

    assert service.settled(good)["outcome"] == "done"
    assert [service.settled(bad)["outcome"] for _ in range(2)] == ["retried", "failed"]
    report = service.report(photo)
    assert (report["outcome"], report["reason"], report["attempt"]) == ("failed", reason, 2)
    assert service.ask("/ready")[0] == 200


def test_attempts_are_counted_over_restarts_of_the_whole_service(watch):
    for attempt in (1, 2):
        service = watch().ready()
        bad = service.drop(PORTRAIT, "segv-0.jpg") if attempt == 1 else (service.inbox / "segv-0.jpg").as_uri()
        line = service.settled(bad)
        assert (line["outcome"], line["reason"]) == ("retried", "processing_crashed")
        service.process.kill()
        service.process.wait()

    service = watch().ready()
    service.drop(PORTRAIT, "anna.jpg")

    assert service.settled(bad)["outcome"] == "failed"
    assert service.report("segv-0.jpg")["attempt"] == 3
    assert service.settled((service.inbox / "anna.jpg").as_uri())["outcome"] == "done"


def test_a_replaced_worker_leaves_the_service_ready(watch):
    service = watch().ready()
    answers, over = [], threading.Event()

    def ask():
        while not over.wait(0.02):
            answers.append(service.ask("/ready")[0])

    asking = threading.Thread(target=ask)
    asking.start()
    (worker,) = workers(service)
    worker.kill()  # idle
    done = service.settled(service.drop(PORTRAIT, "anna.jpg"))
    over.set()
    asking.join()

    assert (done["outcome"], done.get("attempt")) == ("done", 1)
    assert set(answers) == {200}
    assert service.ask("/status")[1]["worker_deaths"] == 1
    assert [child.status() for child in workers(service)] != [psutil.STATUS_ZOMBIE]


def test_a_death_between_a_report_and_the_end_of_its_attempt_leaves_no_suspect(watch):
    service = watch().ready()
    uri = service.drop(PORTRAIT, "anna.jpg")
    inbox, outbox = FileStore(service.inbox), FileStore(service.outbox)
    while not ReportStore(outbox).done_in("")("anna.jpg", last_changed(inbox, "anna.jpg")):
        service.settled(uri)  # what was read at once is looked at again before its stamp is trusted
    service.process.kill()
    service.process.wait()
    died = Attempts(outbox)
    died.begin("anna.jpg", alone=True)
    died.close()

    watch().ready()

    assert list((service.outbox / ".facecraft" / "attempts").iterdir()) == []


def test_the_image_of_a_photo_that_was_taken_away_before_its_report_goes_with_the_next_start(watch, tmp_path):
    inbox, outbox = FileStore(tmp_path / "in"), FileStore(tmp_path / "out")
    outbox.root.mkdir()
    died = Attempts(outbox)
    died.begin("anna.jpg")
    died.close()
    OutboxWriter(outbox).publish("anna.jpg", [portrait("anna.jpg")])

    watch().ready()

    assert not inbox.exists("anna.jpg")
    assert list(outbox.list()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_models_load_ends_soon(tmp_path, models_dir, number):
    with Watch(tmp_path, models_dir) as service:
        assert any("models are loading" in reason for reason in service.ask("/ready")[1]["reasons"])
        service.process.send_signal(number)

        assert service.process.wait(60) == 0
