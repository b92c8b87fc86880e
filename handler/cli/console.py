"""The output of `once`: a progress bar on stderr, one line per photo on stdout, a summary at the end."""

import sys
import threading
from types import TracebackType

from rich.console import Console as Terminal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from handler.telemetry.metrics import OutcomeName
from handler.telemetry.terminal import printable, say
from handler.workers.outcome import Done, Failed, Outcome, Rejected
from sources.events import Event

_COUNTED: tuple[OutcomeName, ...] = ("done", "skipped", "rejected", "failed")


class Console:
    """Prints the outcome of each photo. A context manager; thread-safe."""

    def __init__(self) -> None:
        terminal = Terminal(stderr=True)
        name = TextColumn("{task.description}", markup=False)  # file names may look like rich's tags
        self._bar = Progress(
            *(name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()),
            console=terminal,
            disable=not terminal.is_terminal,
            redirect_stdout=sys.stdout.isatty(),  # else the results would go to the terminal, and not to their file
        )
        self._task = self._bar.add_task("photos", total=None)
        self._counts = dict.fromkeys(_COUNTED, 0)
        self._lock = threading.Lock()

    def __enter__(self) -> "Console":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def taken(self, event: Event) -> None:
        self.showing(event.path)

    def showing(self, path: str) -> None:
        """Shows a photo's path beside the bar."""
        self._bar.update(self._task, description=printable(path))

    def settled(self, event: Event, outcome: Outcome) -> None:
        name = outcome.name
        with self._lock:
            if name in self._counts:
                self._counts[name] += 1
            if line := _line(event.path, outcome):
                say(printable(line))

    def waiting(self, number: int) -> None:
        """Sets the bar's total to the finished photos and `number` unfinished ones."""
        finished = sum(self._counts.values())
        self._bar.update(self._task, completed=finished, total=finished + number)

    def error(self, reason: str) -> None:
        self._bar.stop()
        print(f"once: {reason}", file=sys.stderr)

    def summary(self) -> None:
        say(", ".join(f"{number} {name}" for name, number in self._counts.items()))

    def all_accepted(self) -> bool:
        """Whether no photo was rejected or failed."""
        return not self._counts["rejected"] and not self._counts["failed"]


def _line(path: str, outcome: Outcome) -> str | None:
    match outcome:
        case Done(outputs, _, notes):
            remarks = f" ({', '.join(notes)})" if notes else ""
            return f"done      {path} -> {', '.join(outputs)}{remarks}"
        case Rejected(reason, hint):
            return f"rejected  {path}: {reason}: {hint}"
        case Failed(reason, error, None):
            return f"failed    {path}: {reason}: {error.strip().splitlines()[-1]}"
    return None
