"""Deletes jobs whose hours are over, and takes up those whose service died."""

import logging
import threading
import time
from typing import Final

from handler.api.jobs import Jobs
from handler.api.models import Job
from handler.outbox.attempts import Attempts
from sources.stores.base import Conflict

_log = logging.getLogger(__name__)

_NEAR: Final = 30.0
_FAR: Final = 300.0
"""Seconds between two listings; those of a bucket cost."""


class Sweeper:
    """A thread of its own, until `ended` is set. Each record is read once, and again when it changed."""

    def __init__(self, jobs: Jobs, attempts: Attempts, hours: float, max_attempts: int, ended: threading.Event) -> None:
        self._jobs, self._attempts, self._max_attempts, self._ended = jobs, attempts, max_attempts, ended
        self._seconds = 3600 * hours
        self._known: dict[
            str, tuple[str, float, bool]
        ] = {}  # the record's version, when it is over, whether it is open
        self._thread = threading.Thread(target=self._keep, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def is_over(self, job: Job, now: float) -> bool:
        return now > job.created + self._seconds

    def run(self, now: float) -> float:
        """Look through the jobs once; seconds until the next time. OSError if the outbox does not allow it."""
        self._attempts.hold_lease()
        there = dict(self._jobs.store.records())
        self._known = {job_id: known for job_id, known in self._known.items() if there.get(job_id) == known[0]}
        for job_id, version in there.items():
            if self._ended.is_set():
                break
            if job_id not in self._known and (found := self._jobs.store.read(job_id)):
                job, _ = found
                self._known[job_id] = (version, job.created + self._seconds, job.is_open)
            _, over, is_open = self._known.get(job_id, ("", now, False))
            if job_id in self._known and over < now:
                self._jobs.forget(job_id)
                self._jobs.store.delete(job_id)
                self._known.pop(job_id)
            elif is_open:
                self._take_up(job_id)
        least = min((over for _, over, _ in self._known.values()), default=now + self._seconds)
        longest = _FAR if self._jobs.store.outbox.is_remote else _NEAR
        return max(0.2, min(least - now, longest, self._seconds / 4))

    def _take_up(self, job_id: str) -> None:
        found = self._jobs.store.read(job_id)
        if found is None or not found[0].is_open or self._jobs.has(job_id):
            return
        owner = found[0].owner
        if owner != self._attempts.service and self._attempts.is_alive(owner):
            return
        try:
            self._jobs.resume(*found, self._attempts.service, self._max_attempts)
        except Conflict:  # another service was faster
            return
        _log.info("job.resumed", extra={"job": job_id})

    def _keep(self) -> None:
        while not self._ended.is_set():
            try:
                pause = self.run(time.time())
            except (OSError, Conflict) as error:
                _log.warning("Jobs cannot be swept (%s). Next try in half a minute.", error)
                pause = _NEAR
            self._ended.wait(pause)
