"""The loop: take a slot, then pull an event. The only place that acknowledges events."""

import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Protocol

from handler.telemetry.log import photo_line
from handler.workers.outcome import Done, Failed, Outcome, Rejected
from sources.events import Event, Source


class Progress(Protocol):
    """Is told of every photo that is taken and acknowledged."""

    def taken(self, event: Event) -> None: ...

    def settled(self, event: Event, outcome: Outcome) -> None: ...


def _at_once() -> None:
    pass


class Workers:
    """`slots` threads; each pulls an event when it is free, and holds its slot until the event is acknowledged."""

    def __init__(
        self,
        source: Source,
        process: Callable[[Event], Outcome],
        progress: Progress,
        slots: int,
        gate: Callable[[], None] = _at_once,
    ) -> None:
        """`gate` blocks until another event may be pulled."""
        self._source, self._process, self._progress, self._gate = source, process, progress, gate
        self._pull = threading.Lock()
        self._events: Iterator[Event] | None = None
        self._well_ended: set[threading.Thread] = set()
        self._threads = [self._thread(f"slot-{number}") for number in range(slots)]

    def _thread(self, name: str) -> threading.Thread:
        """Its log lines go where those of its creator go."""
        return threading.Thread(target=copy_context().run, args=[self._slot], name=name)

    def start(self) -> None:
        self._events = iter(self._source)
        for thread in self._threads:
            thread.start()

    def begun(self) -> bool:
        """Whether `start` was called."""
        return bool(self._started())

    def wait(self, seconds: float | None = None) -> bool:
        """Whether all slots have ended, waiting so long for each of them; `lost` says whether they ended well."""
        for thread in self._started():
            thread.join(seconds)
        return not any(thread.is_alive() for thread in self._started())

    def lost(self) -> int:
        """How many slots ended although the source did not: our own fault."""
        return sum(not thread.is_alive() and thread not in self._well_ended for thread in self._started())

    def _started(self) -> list[threading.Thread]:
        return [thread for thread in self._threads if thread.ident is not None]

    def _slot(self) -> None:
        while (event := self._next()) is not None:
            self._progress.taken(event)
            outcome = self._process(event)
            self._settle(event, outcome)
            self._progress.settled(event, outcome)
        self._well_ended.add(threading.current_thread())

    def _next(self) -> Event | None:
        self._gate()
        with self._pull:
            return next(self._events, None) if self._events else None

    def _settle(self, event: Event, outcome: Outcome) -> None:
        log_outcome(event, outcome)
        match outcome:
            case Failed(_, error, delay) if delay is not None:
                self._source.retry(event, error, delay)
            case Failed():
                self._source.give_up(event)
            case _:
                self._source.ack(event)


def log_outcome(event: Event, outcome: Outcome) -> None:
    """The one log line of a photo that is over."""
    reason = outcome.reason if isinstance(outcome, Rejected | Failed) else None
    stages = outcome.stages_ms if isinstance(outcome, Done) else None
    photo_line(event, outcome.name, version=outcome.version, reason=reason, stages_ms=stages)
