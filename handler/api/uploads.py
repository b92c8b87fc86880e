"""Receives forms: the photos go to temporary files as they come, never more than the limits allow."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.multipart import parse_content_disposition

from handler.api.errors import LATER, SOON, ApiError

_CHUNK: Final = 256 * 1024
_TEXT_BYTES: Final = 1024 * 1024
"""All fields that are no files, and what surrounds the parts."""

_MOST_PARTS: Final = 1000
"""Beside the files: as many as the original's server takes."""

_IDLE_SECONDS: Final = 30.0
_GRACE_SECONDS: Final = 10.0
_LEAST_RATE: Final = 4096
"""Bytes a second, on average, after the grace: a body that comes more slowly only holds its place."""

_FOLDER: Final = "facecraft-uploads-"
_MOST_AT_ONCE: Final = 64
_NAME: Final = 255


@dataclass(slots=True)
class File:
    """One uploaded file: its name as sent, and where it lies in the form's folder; `too_large`: it does not."""

    filename: str
    path: str
    size: int = 0
    too_large: bool = False


@dataclass(slots=True)
class Form:
    """What was sent. Of fields that come twice the last counts; `texts` are files' fields that came without a file."""

    folder: Path
    fields: dict[str, str] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one form: bytes of a file, bytes of all of it, files. `many`: each file counts, not only the last."""

    field: str
    file_bytes: int
    body_bytes: int
    files: int = 1
    many: bool = False


class Uploads:
    """The folder of the uploads of this service; it goes with the service, and where that is killed, with the next."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._forms = 0
        self._lock = -1
        self._root: Path | None = None

    def open(self) -> None:
        for old in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
            _remove_unlocked(old)
        self._root = Path(tempfile.mkdtemp(prefix=_FOLDER))
        self._lock = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            os.close(self._lock)
            self._root = None

    @asynccontextmanager
    async def form(self, request: web.Request, limits: Limits) -> AsyncIterator[Form]:
        """Everything that was sent; the files are there until the end. ApiError where it cannot be taken."""
        if (request.content_length or 0) > limits.body_bytes + _TEXT_BYTES:
            raise too_large(limits)
        with self._place() as folder:
            form = Form(folder)
            with self._counted() as count:
                try:
                    await _read(request, form, limits, count)
                except TimeoutError as error:
                    raise ApiError(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time") from error
                except OSError as error:
                    if isinstance(error, ConnectionError):
                        raise
                    why = f"the upload cannot be stored: {error.strerror}"
                    raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, why, {"Retry-After": LATER}) from error
                except (
                    ValueError,
                    AssertionError,
                    RuntimeError,
                    HttpProcessingError,
                    web.RequestPayloadError,
                ) as error:
                    why = "There was an error parsing the body"
                    raise ApiError(HTTPStatus.BAD_REQUEST, why, {"Connection": "close"}) from error
                yield form

    @contextmanager
    def _place(self) -> Iterator[Path]:
        if self._forms >= _MOST_AT_ONCE or self._root is None:
            why = f"{_MOST_AT_ONCE} uploads run already; try again"
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, why, {"Retry-After": SOON})
        self._forms += 1
        try:
            with tempfile.TemporaryDirectory(dir=self._root) as folder:
                yield Path(folder)
        finally:
            self._forms -= 1

    @contextmanager
    def _counted(self) -> Iterator["_Count"]:
        count = _Count(self)
        try:
            yield count
        finally:
            self._bytes -= count.bytes

    def take(self, number: int) -> None:
        if self._bytes + number > self._most_bytes:
            why = "too many bytes are being uploaded; try again"
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, why, {"Retry-After": SOON})
        self._bytes += number


@dataclass(slots=True)
class _Count:
    """How many bytes a form has on disk."""

    uploads: Uploads
    bytes: int = 0

    def add(self, number: int) -> None:
        self.uploads.take(number)
        self.bytes += number


@dataclass(slots=True)
class _Clock:
    """TimeoutError for a body that stops, or comes too slowly."""

    limits: Limits
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    total: int = 0

    async def chunk(self, part: BodyPartReader) -> bytes:
        async with asyncio.timeout(_IDLE_SECONDS):
            data = await part.read_chunk(_CHUNK)
        self.count(len(data))
        return data

    async def part(self, reader: MultipartReader) -> BodyPartReader | MultipartReader | None:
        async with asyncio.timeout(_IDLE_SECONDS):
            part: BodyPartReader | MultipartReader | None = await reader.next()
        self.count(100)
        return part

    def count(self, number: int) -> None:
        self.total += number
        if self.total > self.limits.body_bytes + _TEXT_BYTES:
            raise too_large(self.limits)
        taken = asyncio.get_running_loop().time() - self.began
        if taken > _GRACE_SECONDS and self.total < _LEAST_RATE * taken:
            raise TimeoutError


async def _read(request: web.Request, form: Form, limits: Limits, count: _Count) -> None:
    if request.content_type == "application/x-www-form-urlencoded":
        body = await request.clone(client_max_size=_TEXT_BYTES).text()
        for name, value in parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_PARTS):
            _text(form, limits, name, value)
        return
    if request.content_type != "multipart/form-data":
        return
    if "boundary" not in (request.headers.get("Content-Type") or ""):
        raise ApiError(HTTPStatus.BAD_REQUEST, "Missing boundary in multipart.", {"Connection": "close"})
    reader, clock, fields = await request.multipart(), _Clock(limits), _Fields(form, limits)
    while (part := await clock.part(reader)) is not None:
        if not isinstance(part, BodyPartReader):
            raise ValueError("a form in a form")
        _, parameters = parse_content_disposition(part.headers.get("Content-Disposition"))
        name, filename = parameters.get("name", ""), part.filename or parameters.get("filename")
        if name == limits.field and filename is not None:
            await _file(part, filename, form, limits, clock, count)
        else:
            await fields.read(part, None if filename is not None else name, clock)


@dataclass(slots=True)
class _Fields:
    """All parts that are not the photos: so many, of so many bytes together."""

    form: Form
    limits: Limits
    parts: int = 0
    left: int = _TEXT_BYTES

    async def read(self, part: BodyPartReader, name: str | None, clock: _Clock) -> None:
        """`name`: None for a file that nobody asked for."""
        self.parts += 1
        if self.parts > _MOST_PARTS:
            raise ApiError(HTTPStatus.BAD_REQUEST, f"Too many fields. Maximum number of fields is {_MOST_PARTS}.")
        data = bytearray()
        while chunk := await clock.chunk(part):
            self.left -= len(chunk)
            if self.left < 0:
                raise ApiError(HTTPStatus.BAD_REQUEST, f"The fields exceed {_TEXT_BYTES} bytes.")
            data += chunk
        if name is not None:
            _text(self.form, self.limits, name, data.decode("utf-8", "replace"))


def _text(form: Form, limits: Limits, name: str, value: str) -> None:
    if name == limits.field:
        form.texts.append(value)
    else:
        form.fields[name] = value
        form.digest.update(f"{name}={len(value)}:{value}\n".encode("utf-8", "replace"))


async def _file(part: BodyPartReader, filename: str, form: Form, limits: Limits, clock: _Clock, count: _Count) -> None:
    """Into the form's folder, under a number."""
    if not limits.many:
        form.files.clear()  # the last counts
    if len(form.files) >= limits.files:
        raise too_many(limits.files)
    sent = File(filename.encode("utf-8", "replace").decode()[-_NAME:], str(clock.total))
    target = form.folder / sent.path
    with target.open("wb") as file:
        while chunk := await clock.chunk(part):
            sent.size += len(chunk)
            form.digest.update(chunk)
            if sent.size > limits.file_bytes:
                if not limits.many:
                    raise too_large(limits)
                sent.too_large = True  # the rest is read past
                continue
            count.add(len(chunk))
            await asyncio.to_thread(file.write, chunk)
    form.digest.update(f"\n{filename}={sent.size}\n".encode("utf-8", "replace"))
    if sent.too_large:
        target.unlink()
    form.files.append(sent)


def too_large(limits: Limits) -> ApiError:
    what = "a batch" if limits.many else "a photo"
    why = f"{what} has at most {limits.body_bytes:,} bytes here; see FACECRAFT_MAX_UPLOAD_SIZE_MB"
    return ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why, {"Connection": "close"})


def too_many(most: int) -> ApiError:
    why = f"a batch has at most {most} files here; see FACECRAFT_BATCH_MAX_FILES"
    return ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why, {"Connection": "close"})


def _remove_unlocked(folder: Path) -> None:
    """The uploads of a service that was killed; not those of one that runs."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(fd)
