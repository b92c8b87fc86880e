"""Real servers that speak S3, started once a session, and a store of one's own in each of them."""

import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from sources.stores import aws
from sources.stores.s3 import S3Store
from tests.support.ports import free_port

BUCKET = "facecraft-tests"


@pytest.fixture(scope="session")
def moto():
    """moto's server: its address."""
    with moto_server() as address:
        yield address


@contextmanager
def moto_server():
    """Runs it in threads of this process; gives its address."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()


@pytest.fixture(scope="session")
def seaweed():
    """SeaweedFS' server: its address."""
    with seaweed_server() as address:
        yield address


@contextmanager
def seaweed_server(notification=""):
    """Gives its address; `notification` is the content of the filer's notification.toml."""
    folder = tempfile.mkdtemp(prefix="seaweed-")
    Path(folder, "notification.toml").write_text(notification, "utf-8")
    master, volume, filer, s3 = (free_port() for _ in range(4))
    arguments = [
        "server", f"-dir={folder}", "-ip=127.0.0.1", "-s3", "-volume.max=100", "-master.volumeSizeLimitMB=64",
        f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",  # their ports are fixed: two would clash
    ]  # fmt: skip
    weed = Path(sys.executable).with_name("weed")
    process = subprocess.Popen([weed, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_it_answers(f"http://127.0.0.1:{s3}/healthz")
        yield f"http://127.0.0.1:{s3}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _until_it_answers(url):
    pause = threading.Event()
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - our own server
                return
        except OSError:
            pause.wait(0.1)
    raise AssertionError(f"{url} does not answer")


@contextmanager
def s3_at(address):
    """Makes stores, each below a prefix of its own; boto3's variables lead to the server, for processes too."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ENDPOINT_URL": address, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
            patch.setenv(f"AWS_{name}", value)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        aws.client.cache_clear()
        _make_bucket()
        yield lambda name: S3Store(BUCKET, f"{uuid.uuid4().hex}/{name}")
        aws.client("s3").close()
        aws.client.cache_clear()


@pytest.fixture
def s3(moto):
    """Stores in moto's server; see `s3_at`."""
    with s3_at(moto) as stores:
        yield stores


def _make_bucket():
    client = aws.client("s3")
    with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        client.create_bucket(Bucket=BUCKET)
