"""How often a photo was tried: durable markers in the outbox, which outlive the service that wrote them.

A marker is written before the work and removed with the report. Not synced: a power cut may cost a count, not a photo.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Final

from handler.outbox.paths import ATTEMPTS, attempt_path, report_path
from pipeline.reasons import REASONS
from sources.stores.base import STATE, Conflict, Lease, Outbox

SERVICES: Final = f"{STATE}/services"
_MAX_ERROR: Final = 2000
_EXCLUSIVE_SECONDS: Final = 15.0
"""How long after `begin` no other service can have taken the photo, whatever happens to this one: its lease is at most
15 s old then, and in a bucket a lease of less than 35 s counts as living."""

_CRASHED: Final = "processing_crashed"


class InWork(Conflict):
    """Another service that is alive, or was half a minute ago, works on the photo."""


@dataclass(frozen=True, slots=True)
class Marker:
    """`attempts` counts what failed so far; `service` has the photo in work, or had it when it died; `alone`: as a
    suspect, while nothing else ran; `replaces`: the report that was to be replaced ("": none stood) when the one began
    to be written that tells of the attempts."""

    path: str
    attempts: int = 0
    service: str | None = None
    alone: bool = False
    error: str | None = None
    reason: str | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """`number` counts from 1. `first`: no marker stood. `clean`: so no image of this photo can lie in the outbox that
    its report does not name. `exclusive_until`: until then (monotonic clock) no other service can have taken the photo.

    A marker stands before an image is written, and until the report names that or it was removed again. In a folder it
    proves nothing: a power cut may take the marker and leave the image.
    """

    number: int
    first: bool
    clean: bool
    exclusive_until: float

    def is_exclusive(self) -> bool:
        return time.monotonic() < self.exclusive_until


class Attempts:
    """The markers of one outbox. OSError where it is full, read-only or away: then nothing is counted.

    `always_alone`: whoever works here has one photo at a time, so that each death is some photo's.
    """

    def __init__(self, outbox: Outbox, *, always_alone: bool = False) -> None:
        self._outbox, self._always_alone = outbox, always_alone
        self._service = uuid.uuid4().hex
        self._lock: Lease | None = None
        self._leasing = threading.Lock()
        self._suspects: set[str] = set()
        self._marked: set[str] = set()
        self._unreported: set[str] = set()
        self._tidying: set[str] = set()

    def close(self) -> None:
        """Give up the markers of this service, as if it had died."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def begin(self, path: str, *, alone: bool = False) -> Attempt:
        """Mark the photo before it is worked on. InWork while another living service works on it."""
        self._come_alive()
        if path in self._tidying:
            raise Conflict(f"the outbox is tidied up after {path!r}")
        exclusive_until = time.monotonic() + _EXCLUSIVE_SECONDS
        with self._outbox.lock(path):
            if path not in self._marked and self._mark_first(path, alone=alone):
                return Attempt(1, first=True, clean=self._outbox.conditional, exclusive_until=exclusive_until)
            marker, version = self._marker(path)
            if self._was_left(marker):
                self._suspect(marker, version)
                self._outbox.reap(_lock_path(str(marker.service)))
                if not alone:  # that service died after this one had looked for such
                    raise Conflict(f"a service died while it worked on {marker.path!r}: it runs alone next")
                marker, version = self._marker(path)
            marker = self._untold(marker)
            self._write(replace(marker, service=self._service, alone=alone), version)
        return Attempt(marker.attempts + 1, first=False, clean=False, exclusive_until=exclusive_until)

    def _mark_first(self, path: str, *, alone: bool) -> bool:
        """Whether no marker stood. It is written without asking first: mostly none does, and each request costs."""
        try:
            self._write(Marker(path, service=self._service, alone=alone), None)
        except Conflict:
            self._marked.discard(path)
            return False
        return True

    def is_marked(self, path: str) -> bool:
        """Whether a marker may stand that this service wrote, or has to take over from one that died."""
        return path in self._marked or path in self._suspects

    def _was_left(self, marker: Marker) -> bool:
        """Whether a dead service had it in work. Conflict where that service lives."""
        if marker.service in (None, self._service):
            return False
        if self._lives(marker.service):
            raise InWork(f"another service works on {marker.path!r}")
        return True

    def _untold(self, marker: Marker) -> Marker:
        """Without the attempts that a report tells of, where that came to stand before its service died."""
        if marker.replaces in (None, self._report(marker.path)):
            return marker
        return Marker(marker.path)

    def _report(self, path: str) -> str:
        try:
            return self._outbox.read(report_path(path)).version
        except FileNotFoundError:
            return ""

    def failed(self, path: str, error: str, reason: str = _CRASHED) -> int:
        """Its worker died, or something failed that may work next time; gives the attempts that are counted now."""
        marker, version = self._marker(path)
        self._write(Marker(path, marker.attempts + 1, error=error[-_MAX_ERROR:], reason=reason), version)
        self._suspects.discard(path)
        return marker.attempts + 1

    def last_failure(self, path: str) -> tuple[str, str]:
        """Reason (a key of `vocabulary.REASONS`) and error of the attempt that was counted last."""
        marker, _ = self._marker(path)
        reason = marker.reason if marker.reason and marker.reason in REASONS else _CRASHED
        return reason, str(marker.error)

    def reporting(self, path: str, replaces: str | None) -> None:
        """They are used up, and the report that tells so is about to be written in place of that version of it."""
        marker, version = self._marker(path)
        self._write(replace(marker, service=self._service, alone=False, replaces=replaces or ""), version)

    def publishing(self, path: str) -> None:
        """Images are about to be written that no report names yet."""
        self._unreported.add(path)

    def release(self, path: str, tidy: Callable[[str], object] = lambda _path: None) -> None:
        """The work is given back, and nobody counts it. `tidy` removes the images that no report names."""
        marker, version = self._read(attempt_path(path))
        if path in self._unreported and (marker is None or marker.service == self._service):
            tidy(path)
        if marker is None or marker.service != self._service:
            self._forget(path)
            return
        if marker.attempts:
            self._write(replace(marker, service=None, alone=False), version)
            self._unreported.discard(path)
        else:
            self._outbox.delete(attempt_path(path))
            self._forget(path)

    def anew(self, path: str) -> None:
        """A report stands, and another photo lies there by now: none of its attempts is counted yet, and should this
        service end before it is begun, it is a suspect."""
        _, version = self._marker(path)
        self._write(Marker(path, service=self._service), version)
        self._unreported.discard(path)

    def done(self, path: str) -> None:
        """Its report stands, or it is gone."""
        self._outbox.delete(attempt_path(path))
        self._suspects.discard(path)
        self._forget(path)

    def find(self, path: str) -> tuple[Marker | None, bool]:
        """The photo's marker, and whether a living service works on it. Writes nothing."""
        marker, _ = self._read(attempt_path(path))
        return marker, marker is not None and self._lives(marker.service)

    def services(self) -> int:
        """How many services live on this outbox, as far as its file system's locks tell. Writes nothing."""
        return sum(self._lives(name.removesuffix(".lock")) for name in self._outbox.stamps(SERVICES))

    def is_suspect(self, path: str) -> bool:
        """Whether it was in work when a service died, and has to run alone."""
        return self._always_alone or path in self._suspects

    def suspects(self, is_work: Callable[[str], bool], tidy: Callable[[str], object] = lambda _path: None) -> set[str]:
        """The photos that dead services had in work. Whom that befell alone is counted an attempt.

        Removes the markers of photos that are gone or settled (`is_work` says so: a service may die between a report
        and its marker), once `tidy` has removed their images that no report names, and the lock files of dead services.
        """
        self._come_alive()
        for name in self._outbox.stamps(ATTEMPTS):
            marker, version = self._read(f"{ATTEMPTS}/{name}")
            if marker is None or marker.service == self._service or self._lives(marker.service):
                continue
            with suppress(Conflict):  # a living service has it in work by now
                if _is_over(is_work, marker.path):
                    self._tidy(marker, version, tidy)
                elif marker.service is not None:
                    self._suspect(marker, version)
        self._bury()
        return set(self._suspects)

    def _tidy(self, marker: Marker, version: str | None, tidy: Callable[[str], object]) -> None:
        """Nobody, in this service or another, works on the photo while its images are looked through."""
        self._tidying.add(marker.path)
        try:
            self._write(replace(marker, service=self._service, alone=False), version)
            tidy(marker.path)
            self.done(marker.path)
        finally:
            self._tidying.discard(marker.path)

    def _suspect(self, marker: Marker, version: str | None) -> None:
        if marker.alone:  # still the dead service's: a suspect it stays, but that death is counted once
            error = "the service ended while this photo ran alone"
            self._write(
                replace(marker, attempts=marker.attempts + 1, alone=False, error=error, reason=_CRASHED), version
            )
        self._suspects.add(marker.path)

    def _come_alive(self) -> None:
        """Hold this service's lock file; made again where someone emptied the outbox."""
        with self._leasing:
            if self._lock is None:
                self._lock = self._outbox.claim(_lock_path(self._service))
            self._lock.renew()

    def _lives(self, service: str | None) -> bool:
        return service is not None and self._outbox.is_claimed(_lock_path(service))

    def _bury(self) -> None:
        for name in self._outbox.stamps(SERVICES):
            if name != f"{self._service}.lock":
                self._outbox.reap(f"{SERVICES}/{name}")

    def _marker(self, path: str) -> tuple[Marker, str | None]:
        marker, version = self._read(attempt_path(path))
        return marker or Marker(path), version

    def _read(self, place: str) -> tuple[Marker | None, str | None]:
        """No marker where there is none, or where a power cut left something else; and the version to replace."""
        try:
            found = self._outbox.read(place)
        except FileNotFoundError:
            return None, None
        return _parsed(found.data), found.version

    def _forget(self, path: str) -> None:
        """No marker of this service stands any more."""
        self._marked.discard(path)
        self._unreported.discard(path)

    def _write(self, marker: Marker, replaces: str | None) -> None:
        self._marked.add(marker.path)  # first: it may stand although no answer comes
        self._outbox.note(attempt_path(marker.path), json.dumps(asdict(marker)).encode("ascii"), replaces=replaces)


def _lock_path(service: str) -> str:
    return f"{SERVICES}/{service}.lock"


def _is_over(is_work: Callable[[str], bool], path: str) -> bool:
    try:
        return not is_work(path)
    except OSError:  # nobody knows: a photo that cannot be looked at must not stop the start
        return False


def _parsed(data: bytes) -> Marker | None:
    try:
        marker = Marker(**json.loads(data))
    except (ValueError, TypeError, RecursionError):
        return None
    sound = isinstance(marker.path, str) and isinstance(marker.attempts, int)
    return marker if sound and isinstance(marker.service, str | None) else None
