"""The image under test, and builds that must fail."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from handler import __version__
from handler.models.fetch import inspect
from pipeline.models.catalog import REGISTRY, card
from tests.image.docker import ROOT, NotProvedError, docker, proved

MODELS = ROOT / "models"
ALL = "FROM scratch\nCOPY . /\n"


def tag(variant, models):
    return f"facecraft:{variant}{'-free' if models == 'free' else ''}"


def build(variant, models, flags):
    """Build and tag it; docker shows its own progress."""
    ended = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False)
    revision = ended.stdout.strip() or "unknown"
    named = {"VARIANT": variant, "MODELS": models, "VERSION": __version__, "REVISION": revision}
    arguments = [each for name, value in named.items() for each in ("--build-arg", f"{name}={value}")]
    command = ["docker", "build", *arguments, *flags, "-f", "docker/Dockerfile", "-t", tag(variant, models), "."]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise NotProvedError("the build failed: see above")
    return tag(variant, models)


def context():
    """The files of the build context, found by a build that copies all of them."""
    command = ["docker", "build", "--output", "type=tar,dest=-", "-f", "-", "."]
    ended = subprocess.run(command, input=ALL.encode(), capture_output=True, cwd=ROOT, check=False)
    proved(ended.returncode == 0, f"the context could not be listed: {ended.stderr.decode()[-500:]}")
    with tarfile.open(fileobj=io.BytesIO(ended.stdout)) as archive:
        return sorted(each.name for each in archive if each.isfile())


def refused(variant, flags, stage, words):
    """Proved if a build of this stage fails and prints these words."""
    ended = docker(
        "build", "--build-arg", f"VARIANT={variant}", *flags, "--target", stage, "-f", "docker/Dockerfile", ".",
        check=False,
    )  # fmt: skip
    proved(ended.returncode != 0, f"the build went on with: {' '.join(flags)}")
    proved(words in ended.stderr + ended.stdout, f"the build failed, but not since {words}:\n{ended.stderr[-1500:]}")


def present():
    """The models that are here, verified."""
    return [row.card for row in inspect(REGISTRY, MODELS) if row.state == "ok" and row.card.name != "u2netp"]


def copied(target, cards):
    """Fill a folder with these models, as hard links where that is possible."""
    for each in cards:
        place = target / each.file
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(MODELS / each.file, place)
        except OSError:
            shutil.copyfile(MODELS / each.file, place)


def with_a_wrong_byte(folder):
    """Change the middle of the smallest model in the folder."""
    path = Path(folder) / card("mmod").file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)
