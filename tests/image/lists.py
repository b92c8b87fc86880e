"""What belongs in an image: the build context and the pinned packages."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = "tests/requirements.txt"
RESTORATION = {"basicsr", "torch", "torchvision"}
"""Packages that an image with MODELS=free leaves out."""

_PINNED = re.compile(r"([a-z0-9-]+)(?:\[[a-z0-9,]+\])?==([0-9][0-9a-z.]*)")
_BESIDE = (
    "LICENSE", "requirements.txt", "requirements-gpu.txt", "docker/excludes-free.txt", "docker/excludes.txt",
    "docker/facecraft", "docker/load.py", "docker/models.py", "docker/packages.sh", "docker/ready.py",
    "docker/requirements-core.txt", "docker/requirements-torch.txt",
)  # fmt: skip


def context_files():
    """Every file that a build may see: the three packages, and the other files that the Dockerfile copies."""
    packages = [path for name in ("handler", "sources", "pipeline") for path in (ROOT / name).rglob("*")]
    code = [path for path in packages if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md"]
    return sorted([*_BESIDE, *(path.relative_to(ROOT).as_posix() for path in code)])


def pins(name):
    """The packages of a requirements file and of those that it includes, with their versions.

    ValueError if a line is neither a pinned package nor an include.
    """
    found = {}
    for line in (ROOT / name).read_text().splitlines():
        if line.startswith("-r "):
            found |= pins((Path(name).parent / line[3:]).as_posix())
        elif match := _PINNED.fullmatch(line):
            found[match[1]] = match[2]
        elif line and not line.startswith("#"):
            raise ValueError(f"{name}: {line} is not a pinned package")
    return found


def service_pins(variant):
    """The packages of the image for `cpu` or `gpu`, with their versions."""
    return pins("requirements-gpu.txt" if variant == "gpu" else "requirements.txt")
