"""Counts the attempts at each photo, with markers in the outbox that outlive the service that wrote them.

A marker is written before the work and removed after the report. It is not synced: a power cut may lose a count, but no
photo.
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
    """Another service has the photo in work; it is alive, or was half a minute ago."""


@dataclass(frozen=True, slots=True)
class Marker:
    """One photo's marker.

    Attributes:
        attempts: How many attempts have failed.
        service: The service that has the photo in work, or had it when it died.
        alone: Whether the photo was in work as a suspect, while nothing else ran.
        error: The last failure, cut to its end.
        reason: The last failure's key of `pipeline.reasons.REASONS`.
        replaces: Set before the report that uses the attempts up: the version it replaces ("" for none).
    """

    path: str
    attempts: int = 0
    service: str | None = None
    alone: bool = False
    error: str | None = None
    reason: str | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a photo.

    A marker exists from before the first image is written until the report names the images or they were removed. So
    without a marker there are no images that no report names. This does not hold in a folder: a power cut may take the
    marker and leave the image.

    Attributes:
        number: Counts from 1.
        first: There was no marker.
        clean: No images of this photo exist that its report does not name.
        exclusive_until: Until this time (monotonic clock) no other service can have taken the photo.
    """

    number: int
    first: bool
    clean: bool
    exclusive_until: float

    def is_exclusive(self) -> bool:
        return time.monotonic() < self.exclusive_until


class Attempts:
    """The markers of one outbox. OSError if it is full, read-only or away: then nothing is counted.

    `always_alone`: this service works on one photo at a time, so the photo in work is to blame for each death.
    """

    def __init__(self, outbox: Outbox, *, always_alone: bool = False) -> None:
        self._outbox, self._always_alone = outbox, always_alone
        self.service = uuid.uuid4().hex
        self._lease: Lease | None = None
        self._leasing = threading.Lock()
        self._suspects: set[str] = set()
        self._marked: set[str] = set()
        self._unreported: set[str] = set()
        self._tidying: set[str] = set()

    def close(self) -> None:
        """Give up this service's markers, as if it had died."""
        if self._lease is not None:
            self._lease.close()
            self._lease = None

    def begin(self, path: str, *, alone: bool = False) -> Attempt:
        """Mark the photo before it is processed. InWork while another living service has it in work."""
        self.hold_lease()
        if path in self._tidying:
            raise Conflict(f"images that {path!r} left are being removed")
        exclusive_until = time.monotonic() + _EXCLUSIVE_SECONDS
        with self._outbox.lock(path):
            if path not in self._marked and self._mark_first(path, alone=alone):
                return Attempt(1, first=True, clean=self._outbox.conditional, exclusive_until=exclusive_until)
            marker, version = self._marker(path)
            if self._was_left(marker):
                self._suspect(marker, version)
                self._outbox.remove_expired(_lease_path(str(marker.service)))
                if not alone:  # that service died after this one had looked for dead ones
                    raise Conflict(f"a service died while it worked on {marker.path!r}: it runs alone next")
                marker, version = self._marker(path)
            marker = self._without_reported(marker)
            self._write(replace(marker, service=self.service, alone=alone), version)
        return Attempt(marker.attempts + 1, first=False, clean=False, exclusive_until=exclusive_until)

    def _mark_first(self, path: str, *, alone: bool) -> bool:
        """Whether there was no marker. Written without reading first: mostly there is none, and each request costs."""
        try:
            self._write(Marker(path, service=self.service, alone=alone), None)
        except Conflict:
            self._marked.discard(path)
            return False
        return True

    def is_marked(self, path: str) -> bool:
        """Whether a marker may exist that this service wrote, or has to take over from one that died."""
        return path in self._marked or path in self._suspects

    def _was_left(self, marker: Marker) -> bool:
        """Whether a dead service had it in work. InWork if that service is alive."""
        if marker.service in (None, self.service):
            return False
        if self.is_alive(marker.service):
            raise InWork(f"another service works on {marker.path!r}")
        return True

    def _without_reported(self, marker: Marker) -> Marker:
        """Without the attempts that a report has used up, if it was written before its service died."""
        if marker.replaces in (None, self._report(marker.path)):
            return marker
        return Marker(marker.path)

    def _report(self, path: str) -> str:
        try:
            return self._outbox.read(report_path(path)).version
        except FileNotFoundError:
            return ""

    def failed(self, path: str, error: str, reason: str = _CRASHED) -> int:
        """Count a failed attempt; returns how many have failed now."""
        marker, version = self._marker(path)
        self._write(Marker(path, marker.attempts + 1, error=error[-_MAX_ERROR:], reason=reason), version)
        self._suspects.discard(path)
        return marker.attempts + 1

    def last_failure(self, path: str) -> tuple[str, str]:
        """Reason (a key of `pipeline.reasons.REASONS`) and error of the last failed attempt."""
        marker, _ = self._marker(path)
        reason = marker.reason if marker.reason and marker.reason in REASONS else _CRASHED
        return reason, str(marker.error)

    def reporting(self, path: str, replaces: str | None) -> None:
        """The attempts are used up, and a report that says so is about to replace this version."""
        marker, version = self._marker(path)
        self._write(replace(marker, service=self.service, alone=False, replaces=replaces or ""), version)

    def publishing(self, path: str) -> None:
        """Note that images are about to be written that no report names yet."""
        self._unreported.add(path)

    def release(self, path: str, tidy: Callable[[str], object] = lambda _path: None) -> None:
        """Give the photo back without counting an attempt. `tidy` removes the images that no report names."""
        marker, version = self._read(attempt_path(path))
        if path in self._unreported and (marker is None or marker.service == self.service):
            tidy(path)
        if marker is None or marker.service != self.service:
            self._forget(path)
            return
        if marker.attempts:
            self._write(replace(marker, service=None, alone=False), version)
            self._unreported.discard(path)
        else:
            self._outbox.delete(attempt_path(path))
            self._forget(path)

    def mark_replaced(self, path: str) -> None:
        """The report is written, but the photo was replaced meanwhile: it has no attempts yet, and should this service
        die before it begins, the photo is a suspect."""
        _, version = self._marker(path)
        self._write(Marker(path, service=self.service), version)
        self._unreported.discard(path)

    def done(self, path: str) -> None:
        """Remove the marker: the report is written, or the photo is gone."""
        self._outbox.delete(attempt_path(path))
        self._suspects.discard(path)
        self._forget(path)

    def find(self, path: str) -> tuple[Marker | None, bool]:
        """The photo's marker, and whether a living service has it in work. Writes nothing."""
        marker, _ = self._read(attempt_path(path))
        return marker, marker is not None and self.is_alive(marker.service)

    def services(self) -> int:
        """How many services are alive on this outbox, as far as its leases tell. Writes nothing."""
        return sum(self.is_alive(name.removesuffix(".lock")) for name in self._outbox.stamps(SERVICES))

    def is_suspect(self, path: str) -> bool:
        """Whether it was in work when a service died, so that it has to run alone."""
        return self._always_alone or path in self._suspects

    def suspects(self, is_work: Callable[[str], bool], tidy: Callable[[str], object] = lambda _path: None) -> set[str]:
        """The photos that dead services had in work. A photo that was in work alone is counted an attempt.

        Removes the leases of dead services, and the markers of photos that are gone or done: a service may die between
        writing a report and removing the marker.

        Args:
            is_work: Whether the photo exists and has no report on its present content.
            tidy: Removes the photo's images that no report names.
        """
        self.hold_lease()
        for name in self._outbox.stamps(ATTEMPTS):
            marker, version = self._read(f"{ATTEMPTS}/{name}")
            if marker is None or marker.service == self.service or self.is_alive(marker.service):
                continue
            with suppress(Conflict):  # a living service has taken it meanwhile
                if _is_over(is_work, marker.path):
                    self._tidy(marker, version, tidy)
                elif marker.service is not None:
                    self._suspect(marker, version)
        self._remove_expired_leases()
        return set(self._suspects)

    def _tidy(self, marker: Marker, version: str | None, tidy: Callable[[str], object]) -> None:
        """Take the photo, so that neither this service nor another works on it meanwhile, and tidy up after it."""
        self._tidying.add(marker.path)
        try:
            self._write(replace(marker, service=self.service, alone=False), version)
            tidy(marker.path)
            self.done(marker.path)
        finally:
            self._tidying.discard(marker.path)

    def _suspect(self, marker: Marker, version: str | None) -> None:
        if marker.alone:  # keeps the dead service's name: the photo stays a suspect, but this death is counted once
            error = "the service ended while this photo ran alone"
            self._write(
                replace(marker, attempts=marker.attempts + 1, alone=False, error=error, reason=_CRASHED), version
            )
        self._suspects.add(marker.path)

    def hold_lease(self) -> None:
        """Take this service's lease, or renew it, in case someone emptied the outbox."""
        with self._leasing:
            if self._lease is None:
                self._lease = self._outbox.lease(_lease_path(self.service))
            self._lease.renew()

    def is_alive(self, service: str | None) -> bool:
        return service is not None and self._outbox.is_leased(_lease_path(service))

    def _remove_expired_leases(self) -> None:
        for name in self._outbox.stamps(SERVICES):
            if name != f"{self.service}.lock":
                self._outbox.remove_expired(f"{SERVICES}/{name}")

    def _marker(self, path: str) -> tuple[Marker, str | None]:
        marker, version = self._read(attempt_path(path))
        return marker or Marker(path), version

    def _read(self, place: str) -> tuple[Marker | None, str | None]:
        """The marker and the version to replace. No marker if there is none, or if a power cut damaged it."""
        try:
            found = self._outbox.read(place)
        except FileNotFoundError:
            return None, None
        return _parsed(found.data), found.version

    def _forget(self, path: str) -> None:
        """This service has no marker for it any more."""
        self._marked.discard(path)
        self._unreported.discard(path)

    def _write(self, marker: Marker, replaces: str | None) -> None:
        self._marked.add(marker.path)  # before writing: the marker may exist although no answer came
        self._outbox.note(attempt_path(marker.path), json.dumps(asdict(marker)).encode("ascii"), replaces=replaces)


def _lease_path(service: str) -> str:
    return f"{SERVICES}/{service}.lock"


def _is_over(is_work: Callable[[str], bool], path: str) -> bool:
    try:
        return not is_work(path)
    except OSError:  # unknown: a photo that cannot be checked must not prevent the start
        return False


def _parsed(data: bytes) -> Marker | None:
    try:
        marker = Marker(**json.loads(data))
    except (ValueError, TypeError, RecursionError):
        return None
    sound = isinstance(marker.path, str) and isinstance(marker.attempts, int)
    return marker if sound and isinstance(marker.service, str | None) else None
