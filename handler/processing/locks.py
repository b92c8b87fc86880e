"""Lets photos through together, a suspect alone, and no photo twice at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PhotoLocks:
    """Many may pass `together`; whoever passes `alone` waits until nobody is inside, and keeps the others out."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = False
        self._paths: set[str] = set()

    def enter(self, path: str) -> bool:
        """False where that photo is inside already; else it is until it leaves."""
        with self._changed:
            there = path in self._paths
            self._paths.add(path)
            return not there

    def leave(self, path: str) -> None:
        with self._changed:
            self._paths.discard(path)

    @contextmanager
    def together(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._alone = True
            self._changed.wait_for(lambda: self._inside == 0)
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
