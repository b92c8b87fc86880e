"""Waiting for what other threads and processes do."""

import threading
import time
from collections import Counter


def eventually(true, seconds=30.0, pause=0.01):
    """Whether it comes true in that time; asked again and again, because nothing tells of it."""
    between, deadline = threading.Event(), time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        between.wait(pause)
    return True


class Counts(Counter):
    """What other threads count."""

    def __init__(self):
        super().__init__()
        self._changed = threading.Condition()

    def add(self, name, more):
        with self._changed:
            self[name] += more
            self._changed.notify_all()

    def reach(self, name, number, seconds):
        """Whether there are so many in that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self[name] >= number, seconds)
