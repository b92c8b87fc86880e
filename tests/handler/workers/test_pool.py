"""The supervision of model workers, with real processes that load no models."""

import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from handler.workers.pool import ModelPool, PoolUnavailable
from handler.workers.worker_process import WorkerDied, WorkerTimedOut
from pipeline.errors import ModelError
from pipeline.models.catalog import Verified, card
from pipeline.models.model_set import ModelSet
from tests.handler.workers.pool_workers import load, load_and_die, load_nothing, load_once, load_without_end
from tests.support.waiting import eventually

SOON = 30.0
ROOT = Path(__file__).parents[3]


def model_set(folder):
    model = Verified(card("u2netp"), folder / "model.dat", 0, 0)
    return ModelSet(model, model)


@pytest.fixture
def start(tmp_path):
    """Starts a pool; all are stopped at the end."""
    with ExitStack() as stack:

        def started(load=load, *, build=lambda: model_set(tmp_path), workers=1, timeout=SOON, on_death=lambda: None):
            pool = ModelPool(build, workers, timeout, on_death, load)
            pool.start()
            stack.callback(pool.stop)
            return pool

        yield started


def test_run_job_is_done_in_another_process(start):
    pool = start()

    assert pool.run("pid") not in (None, os.getpid())
    assert pool.unready() is None
    assert (pool.device, pool.deaths) == ("cpu", 0)


@pytest.mark.parametrize(("job", "code"), [("crash", -signal.SIGSEGV), ("exit", 3)])
def test_run_crash_costs_own_job_and_worker_is_replaced(start, job, code):
    deaths = []
    pool = start(on_death=lambda: deaths.append(1))
    first = pool.run("pid")

    with pytest.raises(WorkerDied, match=f"exit code {code}"):
        pool.run(job)

    assert pool.unready() is None
    assert pool.run("pid") != first
    assert (pool.deaths, len(deaths)) == (1, 1)


def test_run_kill_during_reply_costs_own_job_only(start):
    pool = start()

    with pytest.raises(WorkerDied, match="exit code -9"):
        pool.run("torn")

    assert pool.run("pid")


def test_run_crash_leaves_other_worker_s_job_alone(start, tmp_path):
    pool = start(workers=2)
    crashed = threading.Event()
    answers = []

    def others():
        while not crashed.is_set():
            answers.append(pool.run("pid"))

    other = threading.Thread(target=others)
    other.start()
    with pytest.raises(WorkerDied):
        pool.run("crash")
    crashed.set()
    other.join(SOON)

    assert answers
    assert pool.run("pid")


@pytest.mark.parametrize("job", ["hang", "native"])
def test_run_job_over_timeout_is_killed(start, job):
    """In Python, or in native code that lets no Python run."""
    pool = start(timeout=0.3)
    first = pool.run("pid")

    with pytest.raises(WorkerTimedOut, match=r"0\.3 s"):
        pool.run(job)

    assert pool.run("pid") != first
    assert pool.deaths == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_ignores_group_signals(start, number):
    pool = start()
    worker = pool.run("pid")

    os.kill(worker, number)

    assert pool.run("pid") == worker


def test_worker_death_while_idle_costs_no_job_and_stays_ready(start):
    deaths = []
    pool = start(on_death=lambda: deaths.append(pool.unready()))
    first = pool.run("pid")
    os.kill(first, signal.SIGKILL)

    assert pool.run("pid") != first
    assert (pool.deaths, deaths) == (1, [None])


def test_worker_death_while_idle_leaves_other_worker_s_job_alone(start, tmp_path):
    pool = start(workers=2, timeout=SOON)
    pids = set()
    assert eventually(lambda: pids.add(pool.run("pid")) or len(pids) == 2)
    go, answers = tmp_path / "go", []
    os.mkfifo(go)
    asking = threading.Thread(target=lambda: answers.append(pool.run(f"wait {go}")))
    asking.start()
    with go.open("w") as started:  # opens when the worker reads
        busy = int(next(tmp_path.glob("go-*")).name[3:])
        os.kill(*(pids - {busy}), signal.SIGKILL)
        assert eventually(lambda: pool.deaths == 1)
        started.write("now")
    asking.join(SOON)

    assert answers == [busy]


def test_unready_after_three_failed_replacements(start):
    pool = start(load_once)
    with pytest.raises(WorkerDied):
        pool.run("crash")
    assert pool.unready() is None

    assert eventually(lambda: pool.unready() is not None)
    assert pool.failures == 3
    assert "changed since it was verified" in pool.unready()


@pytest.mark.parametrize(
    ("load", "why"), [(load_nothing, "model.dat: does not load"), (load_and_die, "ended with exit code -9")]
)
def test_unready_names_why_workers_do_not_load(start, load, why):
    pool = start(load)

    assert eventually(lambda: pool.failures > 0)
    assert not pool.wait_ready(timeout=0)
    assert why in pool.unready()


def test_unready_names_missing_model_until_it_appears(start, tmp_path):
    model = tmp_path / "model.dat"

    def build():
        if not model.exists():
            raise ModelError(f"{model}: missing: fetch it")
        return model_set(tmp_path)

    pool = start(build=build)
    assert eventually(lambda: pool.unready() == f"{model}: missing: fetch it")
    model.touch()

    assert pool.wait_ready(SOON)
    assert pool.run("pid")
    assert pool.unready() is None


def test_stop_does_not_wait_for_loading(start, tmp_path):
    pool = start(load_without_end)
    assert eventually((tmp_path / "model.dat").exists)

    pool.stop()

    assert not pool.wait_ready()
    with pytest.raises(PoolUnavailable, match="stopping"):
        pool.run("pid")


@pytest.mark.parametrize("leave", [ModelPool.stop_waiting, ModelPool.stop])
def test_wait_ready_ends_when_pool_stops(start, leave):
    pool = start(load_without_end)
    waiting = threading.Thread(target=pool.wait_ready)
    waiting.start()

    leave(pool)
    waiting.join(SOON)

    assert not waiting.is_alive()


def test_run_after_stop_waiting_does_not_wait_for_replacement(start):
    pool = start()
    os.kill(pool.run("pid"), signal.SIGKILL)
    pool.stop_waiting()

    with pytest.raises(PoolUnavailable, match="stopping"):
        pool.run("pid")


def test_stop_ends_running_job(start, tmp_path):
    pool = start()
    refused = []

    def hold():
        try:
            pool.run(f"hold {tmp_path / 'held'}")
        except PoolUnavailable as error:
            refused.append(error)

    holding = threading.Thread(target=hold)
    holding.start()
    assert eventually((tmp_path / "held").exists)
    pool.stop()
    holding.join(SOON)

    assert len(refused) == 1


SERVICE = """
import sys
from pathlib import Path
from tests.handler.workers.test_pool import ModelPool, model_set, load
if __name__ == "__main__":
    pool = ModelPool(lambda: model_set(Path(".")), 2, 30, load=load)
    pool.start()
    pool.wait_ready()
    print("ready", flush=True)
    pool.run(sys.argv[1])
"""


@pytest.mark.parametrize("job", ["pid", "hang"])
def test_workers_end_when_service_dies(tmp_path, job):
    """At work or idle: nothing is left that holds memory, or writes."""
    script = tmp_path / "service.py"
    script.write_text(SERVICE.replace("sys.argv[1]", repr(job)) + "    sys.stdin.read()\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    service = subprocess.Popen(
        [sys.executable, script], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert service.stdout.readline() == b"ready\n"
    children = [os.pidfd_open(child.pid) for child in psutil.Process(service.pid).children(recursive=True)]
    assert len(children) >= 2

    service.kill()
    service.communicate()

    for child in children:
        assert select.select([child], [], [], SOON)[0], "a worker outlived the service"
        os.close(child)
