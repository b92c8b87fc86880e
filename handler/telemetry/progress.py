"""The progress of a download: a bar in a terminal, otherwise a line every few seconds."""

import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

MEGABYTE = 1024 * 1024


class Reporter(Protocol):
    """Shows messages and the progress of one download at a time."""

    def say(self, line: str) -> None:
        """Prints a line."""

    def move(self, name: str, done: int, total: int) -> None:
        """Shows that `done` of `total` bytes of `name` are downloaded; `total` is 0 if unknown."""

    def end(self) -> None:
        """Ends the current download, complete or not."""


class Lines:
    """For logs: "landmarks_68: 57 of 95 MB" at most once every `every` seconds, and at the end."""

    def __init__(self, stream: TextIO, every: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._every = every
        self._clock = clock
        self._due: float | None = None

    def say(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def move(self, name: str, done: int, total: int) -> None:
        now = self._clock()
        if self._due is None:
            self._due = now + self._every
        if now < self._due and done != total:
            return
        self._due = now + self._every
        of = f" of {total / MEGABYTE:.0f}" if total else ""
        self.say(f"{name}: {done / MEGABYTE:.0f}{of} MB")

    def end(self) -> None:
        self._due = None


class Bar:
    """For a terminal. The bar is removed after each download, because pip writes to the same terminal in between."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None

    def say(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def move(self, name: str, done: int, total: int) -> None:
        if self._bar is None:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.add_task(name)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total or None)

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = None


def reporter() -> Reporter:
    """A `Bar` if stderr is a terminal, else `Lines`."""
    return Bar(Console(stderr=True)) if sys.stderr.isatty() else Lines(sys.stderr)
