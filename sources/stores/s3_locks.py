"""Leases and locks among services that share nothing but a bucket.

Ages are measured by the server's own clock, which each answer carries.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

BEAT_SECONDS: Final = 10.0
RENEW_SECONDS: Final = 15.0
"""A lease that was last written so long ago has missed a beat."""

DEAD_SECONDS: Final = 35.0
"""A lease counts as alive for so long without a beat: three lost ones, and the rounding of dates to seconds."""

TICKET_SECONDS: Final = 30.0
_LOST_TICKET_SECONDS: Final = 90.0


class S3Lease:
    """Writes an object again and again until it is closed, so that others see that its holder is alive."""

    def __init__(self, write: Callable[[], object], remove: Callable[[], None], beat: float = BEAT_SECONDS) -> None:
        self._write, self._remove, self._beat = write, remove, beat
        self._closed = threading.Event()
        self._beaten = 0.0
        self._beat_once()
        self._thread = threading.Thread(target=self._live, name="lease", daemon=True)
        self._thread.start()

    def renew(self) -> None:
        """See Lease. If someone emptied the outbox, the next beat writes it again; to ask here would cost a request."""
        if time.monotonic() - self._beaten > RENEW_SECONDS:
            self._beat_once()

    def close(self) -> None:
        """See Lease."""
        self._closed.set()
        self._thread.join()
        with suppress(OSError):  # the server is away: then the lease expires
            self._remove()

    def _live(self) -> None:
        while not self._closed.wait(self._beat):
            with suppress(OSError):  # the next beat may get through
                self._beat_once()

    def _beat_once(self) -> None:
        began = time.monotonic()  # others count from when the server wrote it, which may be long before it answers
        self._write()
        self._beaten = began


class TicketLock:
    """A lock made of tickets, for servers without conditional writes.

    A service writes a ticket and lists all tickets. If there is no other one, it holds the lock; else it deletes its
    own and tries again. Two can never hold it, as long as listings show what was written before.
    """

    def __init__(
        self, put: Callable[[str], object], delete: Callable[[str], None], ages: Callable[[], dict[str, float]]
    ) -> None:
        self._put, self._delete, self._ages = put, delete, ages

    @contextmanager
    def hold(self, seconds: float = TICKET_SECONDS) -> Iterator[None]:
        """Hold the lock. TimeoutError after so many seconds."""
        ticket = uuid.uuid4().hex
        deadline = time.monotonic() + seconds
        try:
            while not self._alone(ticket):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another service has held this lock for {seconds:g} s: restart it")
                time.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - so that two services do not collide again and again
            yield
        finally:
            self._delete(ticket)

    def _alone(self, ticket: str) -> bool:
        self._put(ticket)
        others = {name: old for name, old in self._ages().items() if name != ticket}
        for name, old in others.items():
            if old > _LOST_TICKET_SECONDS:  # its holder is dead
                self._delete(name)
        if others:
            self._delete(ticket)
        return not others
