"""Threads that work for several jobs in turns, however many photos one of them has."""

import threading
from collections import deque
from collections.abc import Callable


class FairThreads:
    """`number` threads. Each takes the next call of the job whose turn it is; within a job whoever came first."""

    def __init__(self, number: int) -> None:
        self._changed = threading.Condition()
        self._calls: dict[str, deque[Callable[[], None]]] = {}
        self._ending = False
        self._threads = [
            threading.Thread(target=self._work, name=f"job-{count}", daemon=True) for count in range(number)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, job: str, call: Callable[[], None]) -> None:
        """Queue a call, which must not raise."""
        with self._changed:
            self._calls.setdefault(job, deque()).append(call)
            self._changed.notify()

    def drop(self, job: str) -> int:
        """Forget the calls of this job that have not begun; how many."""
        with self._changed:
            return len(self._calls.pop(job, ()))

    def drain(self) -> None:
        """Return when all that was submitted has ended."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (call := self._next()) is not None:
            call()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._calls or self._ending)
            if not self._calls:
                return None
            job = next(iter(self._calls))
            waiting = self._calls.pop(job)
            taken = waiting.popleft()
            if waiting:
                self._calls[job] = waiting  # to the end: the others come first now
            return taken
