"""Several ways to the same model workers: none starves another. With real processes that load no models."""

import os
import threading

import pytest

from handler.workers.pool import ModelPool, PoolLane, PoolUnavailable
from tests.handler.workers.pool_workers import load
from tests.handler.workers.test_pool import SOON, model_set
from tests.support.waiting import eventually


@pytest.fixture
def pool(tmp_path):
    """One worker."""
    pool = ModelPool(lambda: model_set(tmp_path), 1, SOON, load=load)
    pool.start()
    yield pool
    pool.stop()


class Queue:
    """Jobs that were sent one after the other while the worker was busy."""

    def __init__(self, pool, folder):
        self.pool, self.go, self.notes = pool, folder / "go", folder / "notes"
        os.mkfifo(self.go)
        self.threads = []
        self._send(pool.run, f"wait {self.go}")
        assert eventually(lambda: list(folder.glob("go-*")))

    def _send(self, run, job):
        thread = threading.Thread(target=run, args=[job])
        thread.start()
        self.threads.append(thread)

    def send(self, run, name):
        self._send(run, f"note {self.notes} {name}")
        assert eventually(lambda: self.pool.waiting() == len(self.threads) - 1)

    def order(self):
        """The names of the jobs, as the worker got them, once all are done."""
        with self.go.open("w") as started:
            started.write("now")
        for thread in self.threads:
            thread.join(SOON)
        return self.notes.read_text().split()


def test_run_lanes_are_served_round_robin(pool, tmp_path):
    calls, queue = PoolLane(pool, SOON), Queue(pool, tmp_path)
    for number in range(3):
        queue.send(calls.run, f"call-{number}")
    for number in range(2):
        queue.send(pool.run, f"photo-{number}")

    assert queue.order() == ["call-0", "photo-0", "call-1", "photo-1", "call-2"]


def test_run_lane_over_max_wait_is_unavailable_and_blocks_nobody(pool, tmp_path):
    queue = Queue(pool, tmp_path)

    with pytest.raises(PoolUnavailable, match=r"no worker was free for 0\.01 s"):
        PoolLane(pool, 0.01).run("pid")
    queue.send(pool.run, "next")

    assert queue.order() == ["next"]
