"""A MinIO server of the tests' own, built from source once by `make minio`."""

import http.client
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from sources.stores import aws
from tests.support.ports import free_port
from tests.support.tools import CACHE, needed
from tests.support.waiting import eventually

VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
BINARY = CACHE / f"minio-{VERSION}"
HOW = "`make minio` (needs Go, 5 minutes)"
CLIENT_VERSION = "v0.0.0-20250313080218-cf909e1063a9"
CLIENT = CACHE / f"mc-{CLIENT_VERSION}"
SECRET = "facecraft-tests"  # noqa: S105 - of a server that nobody else reaches
SOON = 60.0


def go():
    """The Go tool, or None."""
    return shutil.which("go") or next((path for path in ("/usr/local/go/bin/go",) if Path(path).exists()), None)


def build():
    """Build the server where that was not done before. The last lines of the build go into the error."""
    return _built("minio", VERSION, BINARY)


def build_client():
    """The same for `mc`, which only `make compose-check` needs."""
    return _built("mc", CLIENT_VERSION, CLIENT)


def _built(name, version, binary):
    if binary.exists():
        return binary
    tool = go()
    assert tool, "MinIO is built from source: install Go 1.24 or later, https://go.dev/dl"
    CACHE.mkdir(parents=True, exist_ok=True)
    aside = CACHE / f"building-{os.getpid()}"
    environ = os.environ | {"GOBIN": str(aside), "CGO_ENABLED": "0"}
    made = subprocess.run(
        [tool, "install", f"github.com/minio/{name}@{version}"], env=environ, capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr.decode()[-2000:]
    (aside / name).rename(binary)
    aside.rmdir()
    return binary


class Minio:
    """One server on one folder. `hook` is the URL that it posts to, with that token, through a queue on disk.

    Use as a context; `kill` and `start` make it go away and come back.
    """

    def __init__(self, folder, hook=None, token=None):
        self.folder = folder
        self.endpoint = f"127.0.0.1:{free_port()}"
        self.queue = folder / "queue"
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MINIO_ROOT_USER": "facecraft",
            "MINIO_ROOT_PASSWORD": SECRET,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        if hook:
            told = {"ENABLE": "on", "ENDPOINT": hook, "AUTH_TOKEN": token or "", "QUEUE_DIR": str(self.queue)}
            self._environ |= {f"MINIO_NOTIFY_WEBHOOK_{name}_FACECRAFT": value for name, value in told.items()}
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        command = [needed(BINARY, HOW), "server", "--quiet", "--address", self.endpoint, self.folder / "data"]
        self._log = (self.folder / "minio.log").open("ab")
        self._process = subprocess.Popen(command, env=self._environ, stdout=self._log, stderr=self._log)
        pause = threading.Event()
        for _ in range(int(SOON / 0.1)):
            if self._answers():
                return
            assert self._process.poll() is None, (self.folder / "minio.log").read_text()[-2000:]
            pause.wait(0.1)
        raise AssertionError(f"MinIO at {self.endpoint} does not answer")

    def kill(self):
        self._process.kill()
        self._process.wait(SOON)
        self._log.close()

    def _answers(self):
        try:
            connection = http.client.HTTPConnection(self.endpoint, timeout=5)
            connection.request("GET", "/minio/health/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def client(self, endpoint=None, **config):
        """boto3's client for it, or for what stands between."""
        return boto3.client(
            "s3", endpoint_url=f"http://{endpoint or self.endpoint}", region_name="us-east-1",
            aws_access_key_id="facecraft", aws_secret_access_key=SECRET, config=Config(**config),
        )  # fmt: skip

    def environ(self, endpoint=None):
        """boto3's variables that lead to it, or to what stands between."""
        return {
            "AWS_ENDPOINT_URL": f"http://{endpoint or self.endpoint}",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "facecraft",
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    @contextmanager
    def reached(self):
        """Stores of this process lead to it, as long as the context lasts."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environ().items():
                patch.setenv(name, value)
            aws.client.cache_clear()
            yield
            aws.client("s3").close()
            aws.client.cache_clear()

    def queued(self):
        """The events that it has not told yet."""
        return [path.name for path in self.queue.rglob("*") if path.is_file()]

    def until_queued(self):
        """It answers whoever puts an object before the event is on its disk, and then a death loses that."""
        assert eventually(self._event_written, SOON, 0.05), "MinIO keeps no event"

    def _event_written(self):
        return any(path.is_file() and path.stat().st_size for path in self.queue.rglob("*"))

    def notify(self, bucket, prefix="in/"):
        """Everything that is made below the prefix is told."""
        queue = {"QueueArn": "arn:minio:sqs::FACECRAFT:webhook", "Events": ["s3:ObjectCreated:*"]}
        rule = {"Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}}
        self.client().put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [queue | rule]}
        )


if __name__ == "__main__":
    sys.stdout.write(f"{build()}\n")
