"""What is to be in an image: the build context, and the packages of a list's sections."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = "# tests and checks"
_PINNED = re.compile(r"^([a-z0-9-]+)(?:\[[a-z0-9,]+\])?==([0-9a-z.]+)", re.MULTILINE)
_BESIDE = (
    "LICENSE", "requirements.txt", "requirements-gpu.txt", "docker/facecraft", "docker/load.py",
    "docker/models.py", "docker/overrides.txt", "docker/packages.sh", "docker/ready.py",
)  # fmt: skip


def context_files():
    """Every file that a build may see: the three packages, and what the Dockerfiles name beside them."""
    packages = [path for name in ("handler", "sources", "pipeline") for path in (ROOT / name).rglob("*")]
    code = [path for path in packages if path.is_file() and "__pycache__" not in path.parts]
    return sorted([*_BESIDE, *(path.relative_to(ROOT).as_posix() for path in code)])


def pins(variant):
    """The service's packages with their versions, and the names of those that only tests and checks need."""
    name = "requirements-gpu.txt" if variant == "gpu" else "requirements.txt"
    service, tests = (ROOT / name).read_text().split(TESTS)
    return dict(_PINNED.findall(service)), {package for package, _ in _PINNED.findall(tests)}
