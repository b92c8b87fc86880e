"""What `make install` installs is written down exactly, and is what is installed."""

import os
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"(?P<name>[a-z0-9-]+)(\[[a-z0-9,]+\])?==(?P<version>[0-9][0-9a-z.]*)")


def pins(name: str) -> dict[str, str]:
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    found = [(line, PINNED.fullmatch(line)) for line in lines if line]
    assert [line for line, match in found if match is None] == []
    return {match["name"]: match["version"] for _, match in found if match}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-gpu.txt"])
def test_every_requirement_names_one_version(name: str):
    assert len(pins(name)) > 20


def test_gpu_list_differs_in_its_runtime_alone():
    cpu, gpu = pins("requirements.txt"), pins("requirements-gpu.txt")
    assert gpu.pop("onnxruntime-gpu") == cpu.pop("onnxruntime")
    assert gpu == cpu


def test_environment_is_what_the_list_says():
    # onnxruntime-gpu is the other list's; torch says "+cpu" where it came from the CPU index.
    wanted = {name: number for name, number in pins("requirements.txt").items() if name != "onnxruntime"}
    assert {name: version(name).split("+")[0] for name in wanted} == wanted


@pytest.mark.parametrize("name", ["opencv-python", "tb-nightly"])
def test_what_basicsr_must_not_bring_is_not_there(name: str):
    with pytest.raises(PackageNotFoundError):
        version(name)


@pytest.mark.parametrize("name", ["docker/install.sh", ".ci/run"])
def test_scripts_can_be_run_and_parse(name: str):
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / name], check=True)


def test_make_alone_lists_the_commands():
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for command in ("install", "demo", "test", "lint", "bench"):
        assert f"make {command} " in said
