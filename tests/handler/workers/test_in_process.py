"""The models in this process: one photo at a time, and no call waits beyond its end."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from handler.config.options import ResolvedOptions
from handler.workers.in_process import InProcess
from handler.workers.messages import Job
from handler.workers.pool import PoolUnavailable
from handler.workers.process import WorkerTimedOut
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

    def __init__(self):
        self.threads = set()

    def handle(self, task):
        self.threads.add(threading.current_thread())
        return task.do()


@pytest.fixture
def models():
    return Played()


@pytest.fixture
def pool(models):
    pool = InProcess(lambda: models, 60)
    yield pool
    assert pool.is_free(30)


@pytest.fixture
def held():
    """A job that goes on until the test ends."""
    go = threading.Event()
    yield Task(lambda: go.wait(60))
    go.set()


def test_photos_are_worked_on_one_after_the_other_on_one_thread(pool, models):
    inside = threading.Lock()

    def alone():
        with inside:  # released by no other thread: two at once would wait for each other here
            return threading.active_count()

    with ThreadPoolExecutor(4) as callers:
        list(callers.map(pool.run, [Task(alone)] * 8))
    assert len(models.threads) == 1


def test_what_the_work_raises_comes_out(pool):
    def wrong():
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        pool.run(Task(wrong))


def test_a_photo_that_had_the_call_s_time_and_needs_more_is_itself_the_reason(pool, held):
    with pool.within(lambda: 1.2), pytest.raises(WorkerTimedOut, match=r"no result after 0.2 s; raise the function's"):
        pool.run(held)
    assert not pool.is_free(0)


def test_a_photo_that_came_late_in_a_call_is_not_to_blame(pool, held):
    left = [10.0]
    with pool.within(lambda: left[0]), pytest.raises(PoolUnavailable, match="too little of the call's time"):
        left[0] = 1.1
        pool.run(held)


def test_a_photo_that_waits_for_an_earlier_one_is_not_to_blame_and_never_begun(pool, models, held):
    begun = threading.Event()
    with pool.within(lambda: 1.1), pytest.raises(WorkerTimedOut):
        pool.run(held)
    with pool.within(lambda: 1.1), pytest.raises(PoolUnavailable):
        pool.run(Task(begun.set))
    assert not begun.is_set()


def test_after_a_late_photo_the_next_ones_are_worked_on(pool):
    go = threading.Event()
    with pool.within(lambda: 1.1), pytest.raises(WorkerTimedOut):
        pool.run(Task(lambda: go.wait(60)))
    go.set()

    assert pool.is_free(30)
    assert pool.run(Task(lambda: "done")) == "done"


def test_without_time_nothing_is_begun(pool):
    with pool.within(lambda: 0.5), pytest.raises(PoolUnavailable):
        pool.run(Task(lambda: "done"))


def test_the_limit_of_one_call_is_not_that_of_the_next(pool):
    with pool.within(lambda: 0.5), pytest.raises(PoolUnavailable):
        pool.run(Task(lambda: "done"))
    assert pool.run(Task(lambda: "done")) == "done"


def test_a_limit_of_its_own_ends_a_photo_where_the_call_has_time(held):
    pool = InProcess(Played, 0.1)
    with pool.within(lambda: 900.0), pytest.raises(WorkerTimedOut, match=r"after 0.1 s"):
        pool.run(held)


def test_reading_a_version_needs_no_model(held):
    pool = InProcess(held.do, 60)
    inbox = MemoryStore(held={"anna.jpg": b"photo"})
    reply = pool.run(Job(inbox, "anna.jpg", ResolvedOptions(Recipe(), {}), {}, Limits(9, 9), version_only=True))
    assert (pool.is_loaded(0), reply.seen.checksums.bytes) == (False, 5)


def test_a_photo_that_comes_before_the_models_waits_for_them():
    go = threading.Event()
    pool = InProcess(lambda: Played() if go.wait(60) else None, 60)
    with pool.within(lambda: 1.1), pytest.raises(PoolUnavailable, match="the models are not loaded yet"):
        pool.run(Task(lambda: "done"))
    with ThreadPoolExecutor(1) as caller:
        waiting = caller.submit(pool.run, Task(lambda: "done"))
        go.set()
        assert waiting.result(30) == "done"
    assert pool.is_loaded(0)


def test_models_that_do_not_load_say_so_whenever_they_are_asked_for():
    def wrong():
        raise ModelError("models/u2net.onnx is damaged")

    pool = InProcess(wrong, 60)
    for _ in range(2):
        with pytest.raises(ModelError, match="damaged"):
            pool.is_loaded(30)
    with pytest.raises(PoolUnavailable, match="damaged"):
        pool.run(Task(lambda: "done"))
