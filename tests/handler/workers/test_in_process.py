"""The models in this process: one photo at a time, and no call waits beyond its end."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from handler.config.options import ResolvedOptions
from handler.workers.in_process import InProcess
from handler.workers.messages import Job
from handler.workers.pool import PoolUnavailable
from handler.workers.worker_process import WorkerTimedOut
from pipeline.errors import ModelError
from pipeline.recipe import Recipe
from pipeline.types import Limits
from sources.stores.memory import MemoryStore


class Task:
    """A job that says what to do."""

    version_only = False

    def __init__(self, do):
        self.do = do


class Played:
    """Does what a job says."""

    device = "cpu"

    def handle(self, task):
        return task.do()


@pytest.fixture
def pool():
    pool = InProcess(Played, 60)
    yield pool
    assert pool.is_free(30)


@pytest.fixture
def held():
    """A job that goes on until the test ends."""
    go = threading.Event()
    yield Task(lambda: go.wait(60))
    go.set()


def test_run_concurrent_photos_share_one_thread(pool):
    with ThreadPoolExecutor(4) as callers:
        threads = set(callers.map(pool.run, [Task(threading.get_ident)] * 8))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_run_error_is_raised(pool):
    def wrong():
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        pool.run(Task(wrong))


def test_run_photo_with_fair_share_of_call_times_out(pool, held):
    with pool.within(lambda: 1.2), pytest.raises(WorkerTimedOut, match=r"no result after 0.2 s; raise the function's"):
        pool.run(held)
    assert not pool.is_free(0)


def test_run_photo_late_in_call_is_unavailable(pool, held):
    left = [10.0]
    with pool.within(lambda: left[0]), pytest.raises(PoolUnavailable, match="too little of the call's time"):
        left[0] = 1.1
        pool.run(held)


def test_run_photo_behind_hanging_one_is_unavailable_and_never_started(pool, held):
    begun = threading.Event()
    with pool.within(lambda: 1.1), pytest.raises(WorkerTimedOut):
        pool.run(held)
    with pool.within(lambda: 1.1), pytest.raises(PoolUnavailable):
        pool.run(Task(begun.set))
    assert not begun.is_set()


def test_run_after_overdue_photo_works(pool):
    go = threading.Event()
    with pool.within(lambda: 1.1), pytest.raises(WorkerTimedOut):
        pool.run(Task(lambda: go.wait(60)))
    go.set()

    assert pool.is_free(30)
    assert pool.run(Task(lambda: "done")) == "done"


def test_run_without_time_is_unavailable(pool):
    with pool.within(lambda: 0.5), pytest.raises(PoolUnavailable):
        pool.run(Task(lambda: "done"))


def test_within_limit_does_not_outlive_its_call(pool):
    with pool.within(lambda: 0.5), pytest.raises(PoolUnavailable):
        pool.run(Task(lambda: "done"))
    assert pool.run(Task(lambda: "done")) == "done"


def test_run_own_timeout_ends_photo_before_call(held):
    pool = InProcess(Played, 0.1)
    with pool.within(lambda: 900.0), pytest.raises(WorkerTimedOut, match=r"after 0.1 s"):
        pool.run(held)


def test_run_version_only_needs_no_model(held):
    pool = InProcess(held.do, 60)
    inbox = MemoryStore(held={"anna.jpg": b"photo"})
    reply = pool.run(Job(inbox, "anna.jpg", ResolvedOptions(Recipe(), {}), {}, Limits(9, 9), version_only=True))
    assert (pool.is_loaded(0), reply.seen.checksums.bytes) == (False, 5)


def test_run_before_models_are_loaded_waits():
    go = threading.Event()
    pool = InProcess(lambda: Played() if go.wait(60) else None, 60)
    with pool.within(lambda: 1.1), pytest.raises(PoolUnavailable, match="the models are not loaded yet"):
        pool.run(Task(lambda: "done"))
    with ThreadPoolExecutor(1) as caller:
        waiting = caller.submit(pool.run, Task(lambda: "done"))
        go.set()
        assert waiting.result(30) == "done"
    assert pool.is_loaded(0)


def test_is_loaded_failed_models_raise_each_time():
    def wrong():
        raise ModelError("models/u2net.onnx is damaged")

    pool = InProcess(wrong, 60)
    for _ in range(2):
        with pytest.raises(ModelError, match="damaged"):
            pool.is_loaded(30)
    with pytest.raises(PoolUnavailable, match="damaged"):
        pool.run(Task(lambda: "done"))
