"""Runs in a model worker's process: loads everything once, then processes one photo at a time."""

import hashlib
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from handler.config.options import SIDECAR_BYTES, ResolvedOptions, recipe_facts, resolve
from handler.models.libraries import prepare
from handler.outbox.metadata import is_own, options_in
from handler.outbox.photo_version import UNREAD, Checksums, PhotoVersion
from handler.outbox.reports import last_changed
from handler.workers import stderr
from handler.workers.messages import Job, Reply
from handler.workers.outcome import Failed, Processed, Rejected, Skipped, Vanished
from pipeline.errors import ModelError, PhotoRejected
from pipeline.models.model_set import ModelSet
from sources.stores.base import Archived, Blob, Conflict, TooLarge, Unavailable

if TYPE_CHECKING:
    from pipeline.pipeline import PortraitPipeline


@dataclass(frozen=True, slots=True)
class ModelWorker:
    """A pipeline that processes jobs; a `handler.workers.worker_process.Handler`."""

    portrait_pipeline: "PortraitPipeline"

    @property
    def device(self) -> str:
        return self.portrait_pipeline.device

    def handle(self, job: Job) -> Reply:
        """Do the job. Never raises."""
        return read_version(job) if job.version_only else process_photo(job, self.portrait_pipeline)


def import_libraries(*, restoring: bool) -> None:
    """Import what `load` needs, before there is a model set. In one thread: imports of several threads may deadlock."""
    prepare()
    from pipeline import pipeline  # noqa: F401, PLC0415  # rembg, onnxruntime and dlib stay out of the service

    if restoring:
        from pipeline.restore import inference  # noqa: F401, PLC0415  # torch


def load(model_set: ModelSet) -> ModelWorker:
    """Load all models of this process.

    Raises:
        ModelError: One of them does not load, whatever the reason: `/ready` reports it.
    """
    stderr.as_log_lines()
    prepare()
    try:
        from pipeline.pipeline import PortraitPipeline  # noqa: PLC0415  # as above

        return ModelWorker(PortraitPipeline(model_set))
    except ModelError:
        raise
    except Exception as error:  # errors of native libraries have no common root
        raise ModelError(traceback.format_exc()) from error


def process_photo(job: Job, portrait_pipeline: "PortraitPipeline") -> Reply:
    """Read the photo, resolve its options and make its portraits. Never raises."""

    def process(job: Job, photo: Blob, sidecar: Blob | None, seen: PhotoVersion) -> Reply:
        recipe: dict[str, Any] = {}
        try:
            resolved = resolved_for(job, photo, sidecar)
            recipe = recipe_facts(resolved)
            result = portrait_pipeline.process(photo.data, resolved.recipe, job.limits, job.path)
            return Processed(recipe, result, seen=seen)
        except PhotoRejected as rejection:
            return Rejected(rejection.reason, rejection.hint, recipe, rejection.facts, seen=seen)

    return with_photo(job, process)


def read_version(job: Job) -> Reply:
    """Only read the photo; see `Job.version_only`. Never raises."""
    read_at = time.time_ns()
    reply = with_photo(job, lambda _job, _photo, _sidecar, seen: Skipped(seen=seen))
    if isinstance(reply, Failed) and reply.reason != "changed":
        return Skipped(seen=replace(UNREAD, changed_ns=last_changed(job.inbox, job.path), read_at_ns=read_at))
    return reply


def with_photo(job: Job, use: Callable[[Job, Blob, Blob | None, PhotoVersion], Reply]) -> Reply:
    """Read the photo and its sidecar and return what `use` makes of them. Never raises.

    `use` is not called if the photo still has the job's `done_checksums`, is too large, or cannot be read.
    """
    try:
        return _read(job, use)
    except FileNotFoundError:
        return Vanished()
    except Conflict:
        return Failed("changed", "the photo changed while it was read", counts=False)
    except Unavailable as error:
        return Failed("inbox_unavailable", str(error), counts=False)
    except OSError as error:
        return Failed("unreadable", str(error))
    except Exception:  # noqa: BLE001  # errors of native libraries have no common root, and not all can be pickled
        return Failed("processing_error", traceback.format_exc(limit=-8))


def _read(job: Job, use: Callable[[Job, Blob, Blob | None, PhotoVersion], Reply]) -> Reply:
    read_at = time.time_ns()
    sidecar = _sidecar(job)
    try:
        photo = job.inbox.read(job.path, job.limits.max_bytes)
    except TooLarge as error:
        return _too_large(job, error, sidecar, read_at)
    except Archived as error:
        rejection = PhotoRejected("archived", str(error.strerror))
        return Rejected(rejection.reason, rejection.hint)
    seen = _photo_version(photo, sidecar, read_at)
    return Skipped(seen=seen) if seen.checksums == job.done_checksums else use(job, photo, sidecar, seen)


def resolved_for(job: Job, photo: Blob, sidecar: Blob | None) -> ResolvedOptions:
    """The photo's options.

    Raises:
        PhotoRejected: They are invalid, or the photo is one of our own results.
    """
    if is_own(photo.metadata):
        raise PhotoRejected("own_output", "its metadata says so")
    options = options_in(photo.metadata)
    return resolve(job.base, job.path, job.presets, sidecar.data if sidecar else None, options)


def _sidecar(job: Job) -> Blob | None:
    path = job.inbox.sidecar(job.path)
    try:
        return job.inbox.read(path, SIDECAR_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except TooLarge as error:
        one_too_many = b" " * (SIDECAR_BYTES + 1)  # its options are refused for its size
        return Blob(one_too_many, error.etag or "", error.changed_ns)
    except Unavailable:
        raise
    except OSError as error:
        raise OSError(error.errno, f"its sidecar cannot be read ({error.strerror or error})", path) from error


def _photo_version(photo: Blob, sidecar: Blob | None, read_at: int) -> PhotoVersion:
    etag = photo.version if photo.metadata is not None else None
    checksums = Checksums(_sha256(photo), len(photo.data), _sha256(sidecar) if sidecar else None)
    return PhotoVersion(checksums, _newest(photo, sidecar), read_at, _etags(etag, sidecar))


def _too_large(job: Job, error: TooLarge, sidecar: Blob | None, read_at: int) -> Reply:
    checksums = Checksums(None, error.size, _sha256(sidecar) if sidecar else None)
    seen = PhotoVersion(checksums, _newest(error, sidecar), read_at, _etags(error.etag, sidecar))
    if checksums == job.done_checksums:
        return Skipped(seen=seen)
    detail = f"{error.size:,} bytes; the limit is {job.limits.max_bytes:,}, set by FACECRAFT_MAX_UPLOAD_SIZE_MB"
    rejection = PhotoRejected("too_large", detail)
    return Rejected(rejection.reason, rejection.hint, seen=seen)


def _newest(photo: Blob | TooLarge, sidecar: Blob | None) -> int:
    return max(photo.changed_ns, sidecar.changed_ns if sidecar else 0)


def _etags(etag: str | None, sidecar: Blob | None) -> tuple[str, ...]:
    if etag is None:
        return ()
    return (etag, sidecar.version) if sidecar else (etag,)


def _sha256(blob: Blob) -> str:
    return hashlib.sha256(blob.data).hexdigest()
