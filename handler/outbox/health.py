"""Whether the outbox can be written, asked now and then."""

import threading
import time
from collections.abc import Callable
from typing import Final

from sources.stores.location import AnyStore, Location

_TICK: Final = 0.2
_PROBE_SECONDS: Final = 5.0
_FAR: Final = 6.0
"""So much more seldom a bucket is asked: each request costs."""
_LOOK_SECONDS: Final = 25.0
"""How often it is looked for services that died: in a bucket one seems to live for 35 s after its death."""


class OutboxHealth:
    """Asks from a thread of its own, until `ended` is set: a hung mount must not hang /ready.

    `look` is called now and then while all is well; its OSError is the outbox's trouble too.
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
        """What is wrong and what to do; None where it was well when it was last asked."""
        return f"outbox {self._place}: {self.trouble}; make it writable" if self.trouble else None

    def wait(self, in_vain: Callable[[], bool]) -> None:
        """Return when it is well, or nobody wants it any more."""
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
