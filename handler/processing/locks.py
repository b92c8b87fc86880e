"""Runs photos in parallel, a suspect alone, and no photo twice at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PhotoLocks:
    """A readers-writer lock (`together`, `alone`) and a set of the photos in work."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = False
        self._paths: set[str] = set()

    def enter(self, path: str) -> bool:
        """Add the photo to those in work; false if it is in work already."""
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
