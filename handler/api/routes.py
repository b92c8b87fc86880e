"""The routes of the HTTP API: what the original's clients send, and what they are answered."""

import asyncio
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

from aiohttp import hdrs, web

from handler.api.access import Access, Guesses
from handler.api.answers import accepted, answer, stems
from handler.api.callbacks import Callbacks
from handler.api.docs import pages
from handler.api.downloads import TYPES, send
from handler.api.errors import SOON, ApiError, field_error, invalid, not_now
from handler.api.fields import Asked, BatchFields, ProcessFields, QuickFields, asked, wants_async
from handler.api.jobs import Jobs, JobUnavailable, upload_path
from handler.api.models import Item, Job
from handler.api.store import ID
from handler.api.sweeper import Sweeper
from handler.api.uploads import File, Form, Limits, Uploads
from handler.config.options import ResolvedOptions
from handler.config.settings import Settings
from handler.workers.messages import Reply
from handler.workers.outcome import Failed, Processed, Rejected
from pipeline.reasons import REASONS
from pipeline.recipe import Recipe
from sources.stores.base import Conflict
from sources.stores.local import FileStore

_ALLOWED: Final = ".avif, .bmp, .gif, .heic, .heif, .jpeg, .jpg, .png, .tif, .tiff, .webp"
_INVALID: Final = f"Invalid format. Allowed: {_ALLOWED}"
_UNDECODED: Final = ("not_an_image", "unsupported_format", "empty_file")
_NOT_FOUND: Final = ApiError(HTTPStatus.NOT_FOUND, "Job not found")
_TRIES: Final = 5
_IO_THREADS: Final = 8
_KEY: Final = 255

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """What `install` puts into the server's application, and what the service starts and stops."""

    def __init__(
        self,
        settings: Settings,
        access: Access,
        jobs: Jobs,
        sweeper: Sweeper,
        callbacks: Callbacks,
        unready: Callable[[], list[str]],
        service: str,
    ) -> None:
        self._settings, self._access, self._jobs, self._sweeper = settings, access, jobs, sweeper
        self._callbacks, self._unready, self._service = callbacks, unready, service
        self._store = jobs.store
        self._base = settings.recipe()
        self._guesses = Guesses()
        self._taken = 0
        self._io = ThreadPoolExecutor(_IO_THREADS, thread_name_prefix="api")
        size = settings.max_upload_size_mb * 1024 * 1024
        self._one = Limits("file", size, size)
        self._many = Limits("files", size, size * settings.batch_max_files, settings.batch_max_files, many=True)
        self._uploads = Uploads(2 * self._many.body_bytes)

    def install(self, app: web.Application) -> None:
        app.middlewares.insert(0, self._middleware)
        app.add_routes(
            [
                web.get("/", pages.index),
                web.post("/api/v1/process", self._process),
                web.post("/api/v1/process/quick", self._quick),
                web.post("/api/v1/process/batch", self._batch),
                web.get("/api/v1/download/{job_id}/{format}", self._download),
                web.get("/api/v1/download/{job_id}/{stem}/{format}", self._download),
                web.get("/api/v1/jobs/{job_id}", self._status),
                web.delete("/api/v1/jobs/{job_id}", self._delete),
                *pages.routes(),
            ]
        )

    def start(self) -> None:
        self._uploads.open()
        self._sweeper.start()

    def drain(self) -> None:
        """Finish the jobs that clients wait for. The workers must still be there."""
        self._jobs.drain()

    def close(self) -> None:
        self._sweeper.join()
        self._callbacks.close()
        self._uploads.close()

    @property
    def taken(self) -> int:
        return self._taken

    # Around every answer

    @web.middleware
    async def _middleware(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not _is_ours(request.path):
            return await handler(request)
        origin = request.headers.get(hdrs.ORIGIN)
        asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if origin is not None and asks and self._access.origins:
            return self._access.preflight(request)
        response = await self._answered(request, handler)
        if origin is not None and not response.prepared:
            response.headers.update(self._access.cors(origin))
        return response

    async def _answered(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ApiError as error:
            return _json({"detail": error.detail}, error.status, error.headers)
        except JobUnavailable as error:
            return _answer_error(not_now(str(error)))
        except (ConnectionError, web.HTTPException):
            raise
        except OSError as error:
            return _answer_error(not_now(f"the outbox: {error}" if self._settings.debug else "the outbox is away"))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is answered as JSON
            _log.exception("api.error", extra={"path": request.path})
            why = f"Internal Server Error: {error!r}" if self._settings.debug else "Internal Server Error"
            return _json({"detail": why}, HTTPStatus.INTERNAL_SERVER_ERROR)

    # The routes

    async def _process(self, request: web.Request) -> web.StreamResponse:
        self._admit(request)
        later, key = wants_async(request.query), _idempotency_key(request)
        async with self._uploads.form(request, self._one) as form:
            file = _only_file(form)
            wanted = self._asked(ProcessFields, form)
            job = self._job("process", wanted, [file])
            done = await self._run(job, form, [file], key, later=later)
        if isinstance(done, web.Response):
            return done
        item = done.items[0]
        if item.error in _UNDECODED and not _has_known_name(item.filename):
            await self._io_call(self._store.delete, done.id)
            raise ApiError(HTTPStatus.BAD_REQUEST, _INVALID)
        return await self._told(done)

    async def _quick(self, request: web.Request) -> web.StreamResponse:
        self._admit(request)
        async with self._uploads.form(request, self._one) as form:
            file = _only_file(form)
            wanted = self._asked(QuickFields, form)
            self._take_slot()
            try:
                store, name = FileStore(form.folder), f"quick-{secrets.token_hex(4)}"
                reply = await _wrapped(self._jobs.quick(name, store, file.path, wanted.options))
            finally:
                self._taken -= 1
        return _picture(reply)

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        self._admit(request)
        later, key = wants_async(request.query), _idempotency_key(request)
        async with self._uploads.form(request, self._many) as form:
            if form.texts or not form.files:
                raise _no_file("files", form)
            wanted = self._asked(BatchFields, form)
            job = self._job("batch", wanted, form.files)
            done = await self._run(job, form, form.files, key, later=later)
        return done if isinstance(done, web.Response) else await self._told(done)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        job = await self._found(request)
        kind, stem = request.match_info["format"], request.match_info.get("stem")
        if kind not in TYPES:
            raise ApiError(HTTPStatus.BAD_REQUEST, "Invalid format. Use 'png' or 'jpg'")
        item = next((item for item in job.items if stem is None or item.stem == stem), None)
        missing = ApiError(HTTPStatus.NOT_FOUND, f"{kind.upper()} file not found")
        if item is None or (job.kind == "batch" and stem is None) or not item.success or item.report is None:
            raise missing
        face = request.query.get("face", "1")
        parts = [item.report, *item.report.get("more", [])]
        if not face.isascii() or not face.isdecimal() or not 0 < int(face[:4]) <= len(parts):
            raise missing
        files = (str(file["name"]) for file in parts[int(face) - 1]["outputs"])
        name = next((name for name in files if name.endswith(f".{kind}")), None)
        found = await self._io_call(self._store.get, job.id, name.rpartition("/")[2]) if name else None
        if found is None:
            raise missing
        return send(request, *found, kind)

    async def _status(self, request: web.Request) -> web.StreamResponse:
        return await self._told(await self._found(request))

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        self._access.check(request)
        job_id = request.match_info["job_id"]
        if not ID.fullmatch(job_id):
            raise _NOT_FOUND
        if not self._access.has_key(request):
            self._guesses.check(request)
        if await self._io_call(self._store.read, job_id) is None:
            self._guesses.count(request)
            return _json({"message": f"Job {job_id} not found"})
        self._jobs.forget(job_id)
        await self._io_call(self._store.delete, job_id)
        return _json({"message": f"Job {job_id} deleted"})

    # Jobs

    def _admit(self, request: web.Request) -> None:
        self._access.check(request)
        if reasons := self._unready():
            raise not_now("; ".join(reasons))

    def _asked(self, kind: type[Any], form: Form) -> Asked:
        wanted = asked(kind, form.fields, self._base, self._settings.presets)
        self._callbacks.check(wanted.callback_url)
        return wanted

    def _job(self, kind: Any, wanted: Asked, files: list[File]) -> Job:  # noqa: ANN401  # a literal
        too_large = f"{REASONS['too_large']} (the limit is {self._one.file_bytes:,} bytes)"
        names = [file.filename for file in files]
        items = [
            Item(
                number=number,
                filename=file.filename,
                stem=stem,
                error="too_large" if file.too_large else None,
                error_message=too_large if file.too_large else None,
            )
            for number, (file, stem) in enumerate(zip(files, stems(names), strict=True), 1)
        ]
        return Job(
            id="",
            kind=kind,
            created=time.time(),
            nonce=secrets.token_hex(16),
            owner=self._service,
            png=wanted.options.recipe.oval_mask,
            base64=wanted.base64,
            recipe=wanted.options.recipe.as_dict(),
            origins=dict(wanted.options.origins),
            notes=list(wanted.notes),
            callback_url=wanted.callback_url,
            items=items,
        )

    def _take_slot(self) -> None:
        if reasons := self._unready():
            raise not_now("; ".join(reasons))
        limit = self._settings.max_concurrent_jobs
        if self._taken >= limit:
            why = f"{limit} jobs run or wait already; try again, or raise FACECRAFT_MAX_CONCURRENT_JOBS"
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, why, {"Retry-After": SOON})
        self._taken += 1

    async def _run(
        self, job: Job, form: Form, files: list[File], key: str | None, *, later: bool
    ) -> Job | web.Response:
        """The finished job; or the answer that it is accepted, with `later`."""
        job.lasting = later
        if key is not None:
            job.key = (hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest(), form.digest.hexdigest())
            if (earlier := await self._earlier(job, key)) is not None:
                return await self._again(earlier, later=later)
        self._take_slot()
        release = True
        try:
            version = await self._io_call(self._created, job, form, files, key)
            if version is None:  # another request with this key was faster
                earlier = await self._earlier(job, str(key))
                return await self._again(earlier or job, later=later)
            base = ResolvedOptions(Recipe(**job.recipe), job.origins)
            sources = None if later else FileStore(form.folder)
            if not later:
                _rename(job, form, files)
            future = self._jobs.submit(job, version, base, sources)
            if not later:
                return await _wrapped(future)
            release = False
            loop = asyncio.get_running_loop()
            future.add_done_callback(partial(self._released, loop))
            return _json(accepted(job.model_copy(update={"status": "queued"}), self._store), HTTPStatus.ACCEPTED)
        finally:
            self._taken -= release
            self._jobs.abandon(job.id)

    def _released(self, loop: asyncio.AbstractEventLoop, future: "Future[Job]") -> None:
        future.exception()  # asked for, so that nobody wonders
        with suppress(RuntimeError):  # the loop is closed: the service has ended
            loop.call_soon_threadsafe(self._release)

    def _release(self) -> None:
        self._taken -= 1

    def _created(self, job: Job, form: Form, files: list[File], key: str | None) -> str | None:
        """Writes the record, and the uploads of a job that lasts; None where the key has a job since just now."""
        for number in range(_TRIES):
            job.id = self._store.id_for(key, number) if key is not None else secrets.token_hex(4)
            try:
                version = self._jobs.create(job)
            except Conflict:
                taken = self._store.read(job.id) if job.key else None
                if taken and taken[0].key and job.key and taken[0].key[0] == job.key[0]:
                    return None
                continue
            if job.lasting:
                for item, file in zip(job.items, files, strict=True):
                    if not file.too_large:
                        self._store.put_file(job.id, f"upload-{item.number}", form.folder / file.path)
            return version
        raise ApiError(HTTPStatus.CONFLICT, "no id was free for the job", {"Retry-After": SOON})

    async def _earlier(self, job: Job, key: str) -> Job | None:
        """The job that the key has made already. ApiError 422 where something else was sent with it."""
        for number in range(_TRIES):
            found = await self._io_call(self._store.read, self._store.id_for(key, number))
            if found is None:
                return None
            earlier, _ = found
            if earlier.key is None or job.key is None or earlier.key[0] != job.key[0]:
                continue
            if earlier.key[1] != job.key[1]:
                why = "Value error, this key was sent with another photo or other options"
                raise invalid(field_error("header", "Idempotency-Key", "value_error", why, key))
            if earlier.was_interrupted or self._sweeper.is_over(earlier, time.time()):
                await self._io_call(self._store.delete, earlier.id)
                return None
            return earlier
        return None

    async def _again(self, earlier: Job, *, later: bool) -> Job | web.Response:
        if not earlier.is_open:
            return earlier
        if later:
            return _json(accepted(earlier, self._store), HTTPStatus.ACCEPTED)
        if (future := self._jobs.current(earlier.id)) is not None:
            return await _wrapped(future)
        raise ApiError(HTTPStatus.CONFLICT, "the job of this Idempotency-Key is in work", {"Retry-After": SOON})

    async def _found(self, request: web.Request) -> Job:
        """The job of the path, for who has the key or the job's token; ApiError."""
        self._access.check_page(request)
        job_id, token = request.match_info["job_id"], request.query.get("t")
        trusted = self._access.has_key(request)
        if token is None and not trusted:
            self._access.check(request)
            self._guesses.check(request)
        if not ID.fullmatch(job_id):
            raise _NOT_FOUND
        found = await self._io_call(self._store.read, job_id)
        job = found[0] if found else None
        if not trusted and token is not None and (job is None or not secrets.compare_digest(
            self._store.token(job).encode(), token.encode("utf-8", "surrogateescape")
        )):  # fmt: skip
            self._guesses.check(request)
            self._guesses.count(request)
            self._access.check(request)  # a wrong token is none
        if job is None:
            self._guesses.count(request)
            raise _NOT_FOUND
        return job

    async def _told(self, job: Job) -> web.Response:
        if self._sweeper.is_over(job, time.time()):
            job = job.model_copy(update={"status": "expired"})
        elif job.is_open and job.owner == self._service:
            job = job.model_copy(update={"status": "running" if self._jobs.is_begun(job.id) else job.status})
        body = await self._io_call(lambda: json.dumps(answer(job, self._store)).encode())
        return web.Response(body=body, content_type="application/json")

    async def _io_call(self, call: Callable[..., _T], *arguments: Any) -> _T:  # noqa: ANN401  # the call's own
        return await asyncio.get_running_loop().run_in_executor(self._io, partial(call, *arguments))


def _is_ours(path: str) -> bool:
    """Whether pages of listed origins may read what is answered there."""
    return path.startswith("/api/") or path in ("/health", "/ready", "/status", "/openapi.json")


def _json(content: dict[str, Any], status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(content, status=status, headers=headers)


def _answer_error(error: ApiError) -> web.Response:
    return _json({"detail": error.detail}, error.status, error.headers)


async def _wrapped(future: "Future[_T]") -> _T:
    """Its result. A client that goes away ends nothing."""
    return await asyncio.shield(asyncio.wrap_future(future))


def _idempotency_key(request: web.Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= _KEY:
        why = f"Value error, has {len(key)} characters; write 1 to {_KEY}"
        raise invalid(field_error("header", "Idempotency-Key", "value_error", why, key[:_KEY]))
    return key


def _only_file(form: Form) -> File:
    """ApiError where there is none."""
    if form.files and (form.files[-1].filename or form.files[-1].size):
        if not form.files[-1].filename:
            raise ApiError(HTTPStatus.BAD_REQUEST, "No file provided")
        return form.files[-1]
    if form.files:
        form.texts.append("")
    raise _no_file("file", form)


def _no_file(field: str, form: Form) -> ApiError:
    if not form.texts:
        return invalid(field_error("body", field, "missing", "Field required"))
    why = "Value error, Expected UploadFile, received: <class 'str'>"
    return invalid({**field_error("body", field, "value_error", why, form.texts[-1]), "ctx": {"error": {}}})


def _has_known_name(filename: str) -> bool:
    return PurePosixPath(filename).suffix.lower() in _ALLOWED.split(", ")


def _rename(job: Job, form: Form, files: list[File]) -> None:
    """What the photos are called on the disk has nothing of their names."""
    for item, file in zip(job.items, files, strict=True):
        target = form.folder / upload_path(job.id, item.number)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not file.too_large:
            (form.folder / file.path).rename(target)


def _picture(reply: Reply) -> web.Response:
    match reply:
        case Processed():
            (png, *_) = [each for each in reply.result.portraits[0].pictures if each.kind == "png"]
            return web.Response(body=png.data, content_type="image/png")
        case Rejected(reason, hint):
            return _json({"detail": reason, "error_message": hint}, HTTPStatus.BAD_REQUEST)
        case Failed(reason):
            hint = REASONS.get(reason, REASONS["processing_error"])
            return _json({"detail": reason, "error_message": hint}, HTTPStatus.BAD_REQUEST)
    return _json({"detail": "No output generated"}, HTTPStatus.INTERNAL_SERVER_ERROR)
