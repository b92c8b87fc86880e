"""Jobs in the outbox, below `jobs/<id>/`: a record that is there before everything else, and goes last."""

import hmac
import json
import mmap
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, cast

from handler.api.models import Job
from handler.outbox.metadata import provenance
from handler.outbox.paths import JOBS
from sources.stores.base import STATE, Conflict
from sources.stores.location import AnyStore

ID: Final = re.compile(r"[0-9a-f]{8}")
_RECORD: Final = re.compile(rf"{JOBS}/([0-9a-f]{{8}})/job\.json")
_OWN: Final = re.compile(r"(?:[0-9]{1,4}(?:-[0-9]{1,3})?\.(?:png|jpg)|upload-[0-9]{1,4})")
_SECRET: Final = f"{STATE}/api-secret"
_TRIES: Final = 5


class JobStore:
    """Reads and writes jobs. Every method may raise OSError: the outbox is full, read-only or away."""

    def __init__(self, outbox: AnyStore) -> None:
        self.outbox = outbox
        self._secret = b""

    def secret(self) -> bytes:
        """What tokens and ids are made with; the same for all services on this outbox."""
        if not self._secret:
            with suppress(Conflict):
                self.outbox.write(_SECRET, secrets.token_hex(32).encode())
            self._secret = self.outbox.read(_SECRET).data
        return self._secret

    def token(self, job: Job) -> str:
        """128 bits that prove that someone was given this job's links."""
        return hmac.new(self.secret(), f"{job.id} {job.nonce}".encode(), sha256).hexdigest()[:32]

    def id_for(self, key: str, number: int) -> str:
        """The id of the job of an Idempotency-Key; the next `number` where another key has that id."""
        return hmac.new(self.secret(), f"key {number} {key}".encode("utf-8", "surrogateescape"), sha256).hexdigest()[:8]

    def create(self, job: Job) -> str:
        """Write the record of a new job; returns its version. Conflict if the id is taken."""
        return self.outbox.write(_place(job.id), _dumped(job))

    def replace(self, job: Job, version: str) -> str:
        """Conflict if the job was deleted, or taken by another service."""
        return self.outbox.write(_place(job.id), _dumped(job), replaces=version)

    def read(self, job_id: str) -> tuple[Job, str] | None:
        """The job and its version; None where there is none."""
        for _ in range(_TRIES):
            try:
                found = self.outbox.read(_place(job_id))
                return Job.model_validate(json.loads(found.data)), found.version
            except (FileNotFoundError, ValueError):
                return None
            except Conflict:  # it is just being replaced
                continue
        return None

    def put(self, job_id: str, name: str, data: bytes) -> None:
        """Write a file of the job, also over one that a dead service left."""
        path = path_of(job_id, name)
        metadata = provenance(path) if name.endswith((".png", ".jpg")) else None
        try:
            self.outbox.write(path, data, metadata=metadata)
        except Conflict:
            with suppress(FileNotFoundError):
                self.outbox.write(path, data, replaces=self.outbox.read(path).version, metadata=metadata)

    def put_file(self, job_id: str, name: str, file: Path) -> None:
        """Write a file of the job from the disk. It is mapped, so that it is never in memory as a whole."""
        with file.open("rb") as opened:
            if not file.stat().st_size:
                self.put(job_id, name, b"")
                return
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                self.put(job_id, name, cast("bytes", mapped))

    def get(self, job_id: str, name: str) -> tuple[bytes, int] | None:
        """A file of the job, and when it was written in ns since 1970."""
        try:
            found = self.outbox.read(path_of(job_id, name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.data, found.changed_ns

    def delete(self, job_id: str) -> None:
        """Delete the job's files, the record last. What is not the job's stays."""
        folder = f"{JOBS}/{job_id}"
        for path in list(self.outbox.list(folder)):
            if _OWN.fullmatch(path.removeprefix(f"{folder}/")):
                self.outbox.delete(path)
        self.outbox.delete(_place(job_id))
        self.outbox.remove_folder(folder)

    def drop(self, job_id: str, name: str) -> None:
        self.outbox.delete(path_of(job_id, name))

    def records(self) -> Iterator[tuple[str, str]]:
        """The id of each job, and its record's version."""
        for entry in self.outbox.entries(JOBS):
            if found := _RECORD.fullmatch(entry.path):
                yield found[1], entry.etag


def path_of(job_id: str, name: str) -> str:
    return f"{JOBS}/{job_id}/{name}"


def _place(job_id: str) -> str:
    return path_of(job_id, "job.json")


def _dumped(job: Job) -> bytes:
    return json.dumps(job.model_dump()).encode("ascii")  # names may hold what is no UTF-8
