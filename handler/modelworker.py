"""What runs inside a model worker's process: load everything once, then one photo at a time."""

import ctypes
import functools
import hashlib
import os
import signal
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from handler import stderr
from handler.libraries import prepare
from handler.options import SIDECAR_BYTES, recipe_facts, resolve
from handler.replies import Changed, Faulted, Finished, Gone, Job, Refused, Reply, Same, Seen, Sums
from pipeline.errors import ModelError, PhotoRejected
from pipeline.kit import Kit
from sources.base import Blob, Conflict, TooLarge

if TYPE_CHECKING:
    from pipeline.studio import Studio

_PR_SET_PDEATHSIG: Final = 1

_studio: "Studio | None" = None
_load_error: str = "not loaded"


def load(kit: Kit, parent: int) -> None:
    """The pool's initializer. An error is kept for `loaded` to raise: from here it would never reach the parent."""
    global _studio, _load_error  # noqa: PLW0603  # a worker process has exactly one studio, and pebble no place for it
    end_with(parent)
    os.setpgrp()  # a signal to the service's group is the service's to handle: it drains
    stderr.as_log_lines()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the service's to handle: it drains
    prepare()
    try:
        from pipeline.studio import Studio  # noqa: PLC0415  # rembg, onnxruntime and dlib stay out of the service

        _studio = Studio(kit)
    except Exception as error:  # noqa: BLE001  # whatever it is, /ready has to tell it
        _load_error = str(error) if isinstance(error, ModelError) else traceback.format_exc()


def loaded() -> str:
    """The device that this worker's networks run on; ModelError where it has no studio."""
    return _the_studio().device


def _the_studio() -> "Studio":
    if _studio is None:
        raise ModelError(_load_error)
    return _studio


def work(job: Job) -> Reply:
    """One photo. ModelError where this worker has no studio; everything else is a reply."""
    return answer(job, _the_studio())


def answer(job: Job, studio: "Studio") -> Reply:
    """What this studio makes of the photo. Always a reply."""
    return answered(job, functools.partial(_processed, studio))


def look(job: Job) -> Reply:
    """Only read the photo, for a report that says nothing else of it. Same also where it cannot be read."""
    read_at = time.time_ns()
    reply = answered(job, lambda _job, _photo, _sidecar, seen: Same(seen))
    if isinstance(reply, Faulted):
        newest = max(job.inbox.changed(job.path), job.inbox.changed(f"{job.path}.toml"))
        return Same(Seen(Sums(None, 0), newest, read_at))
    return reply


def answered(job: Job, use: Callable[[Job, Blob, Blob | None, Seen], Reply]) -> Reply:
    """What `use` makes of photo and sidecar, unless they are what is `known` or cannot be read. Always a reply."""
    try:
        return _read(job, use)
    except FileNotFoundError:
        return Gone()
    except Conflict:
        return Changed()
    except OSError as error:
        return Faulted("unreadable", str(error))
    except Exception:  # noqa: BLE001  # errors of native libraries have no common root, and not all can be pickled
        return Faulted("processing_error", traceback.format_exc(limit=-8))


def _read(job: Job, use: Callable[[Job, Blob, Blob | None, Seen], Reply]) -> Reply:
    read_at = time.time_ns()
    sidecar = _sidecar(job)
    try:
        photo = job.inbox.read(job.path, job.limits.max_bytes)
    except TooLarge as error:
        return _too_large(job, error, sidecar, read_at)
    seen = _seen(photo, sidecar, read_at)
    return Same(seen) if seen.sums == job.known else use(job, photo, sidecar, seen)


def _processed(studio: "Studio", job: Job, photo: Blob, sidecar: Blob | None, seen: Seen) -> Reply:
    recipe: dict[str, Any] = {}
    try:
        resolved = resolve(job.base, job.path, job.presets, sidecar.data if sidecar else None)
        recipe = recipe_facts(resolved)
        return Finished(seen, recipe, studio.process(photo.data, resolved.recipe, job.limits, job.path))
    except PhotoRejected as rejection:
        return Refused(seen, recipe, rejection.reason, rejection.hint, rejection.facts)


def _sidecar(job: Job) -> Blob | None:
    try:
        return job.inbox.read(f"{job.path}.toml", SIDECAR_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except TooLarge as error:
        return Blob(b" " * (SIDECAR_BYTES + 1), "", error.changed_ns)  # one byte over the limit is refused as such
    except OSError as error:
        raise OSError(
            error.errno, f"its sidecar cannot be read ({error.strerror or error})", f"{job.path}.toml"
        ) from error


def _seen(photo: Blob, sidecar: Blob | None, read_at: int) -> Seen:
    sums = Sums(_sha256(photo), len(photo.data), _sha256(sidecar) if sidecar else None)
    newest = max(photo.changed_ns, sidecar.changed_ns if sidecar else 0)
    return Seen(sums, newest, read_at)


def _too_large(job: Job, error: TooLarge, sidecar: Blob | None, read_at: int) -> Reply:
    sums = Sums(None, error.size, _sha256(sidecar) if sidecar else None)
    seen = Seen(sums, max(error.changed_ns, sidecar.changed_ns if sidecar else 0), read_at)
    if sums == job.known:
        return Same(seen)
    limit = job.limits.max_bytes
    detail = f"{error.size:,} bytes; the limit is {limit:,}, set by FACECRAFT_MAX_UPLOAD_SIZE_MB"
    rejection = PhotoRejected("too_large", detail)
    return Refused(seen, {}, rejection.reason, rejection.hint)


def _sha256(blob: Blob) -> str:
    return hashlib.sha256(blob.data).hexdigest()


def end_with(parent: int) -> None:
    """Have the kernel end this process with the service, however that dies (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
