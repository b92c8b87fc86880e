"""Whether the outbox can be written, checked now and then."""

import threading
import time
from collections.abc import Callable
from typing import Final

from sources.stores.location import AnyStore, Location

_TICK: Final = 0.2
_PROBE_SECONDS: Final = 5.0
_FAR: Final = 6.0
"""A bucket is checked so many times less often: each request costs."""
_LOOK_SECONDS: Final = 25.0
"""How often to look for dead services: in a bucket, one counts as alive for 35 s after its death."""


class OutboxHealth:
    """Checks in a thread of its own, until `ended` is set: a mount that hangs must not hang /ready.

    `look` is called now and then while the outbox is healthy; an OSError from it counts as the outbox's trouble too.
    """

    def __init__(self, outbox: AnyStore, place: Location, ended: threading.Event, look: Callable[[], object]) -> None:
        self._outbox, self._place, self._ended, self._look = outbox, place, ended, look
        self._next_look = 0.0
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)
        self.trouble: str | None = None

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def unwritable(self) -> str | None:
        """What is wrong and what to do; None if the last check went well."""
        return f"outbox {self._place}: {self.trouble}; make it writable" if self.trouble else None

    def wait(self, in_vain: Callable[[], bool]) -> None:
        """Return once the outbox is healthy, or `in_vain` says that nobody is waiting for it any more."""
        while self.trouble and not (self._ended.is_set() or in_vain()):
            self._ended.wait(_TICK)

    def _watch(self) -> None:
        factor = _FAR if self._outbox.is_remote else 1.0
        while not self._ended.wait(factor * (_PROBE_SECONDS if self.trouble is None else _TICK)):
            self.trouble = self._probe()

    def _probe(self) -> str | None:
        try:
            self._outbox.probe(time.time_ns())
            if time.monotonic() > self._next_look:
                self._next_look = time.monotonic() + _LOOK_SECONDS
                self._look()
        except OSError as error:
            return str(error)
        return None
