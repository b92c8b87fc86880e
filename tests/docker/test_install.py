"""What `make install` installs: pinned, named where the code imports it, and equal to what is installed."""

import ast
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, version

import pytest

from tests.image.lists import ROOT, TESTS, pins, service_pins

PRODUCT = ("handler", "sources", "pipeline", "docker")


def imported(folders):
    """The distributions that the code in these folders imports."""
    names = {
        name.split(".")[0]
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _modules(node)
    }
    own = {"handler", "sources", "pipeline", "tests"}
    mapped = packages_distributions() | {"dlib": ["dlib-bin"]}  # its metadata names its extension module only
    return {mapped[name][0].lower().replace("_", "-") for name in names - sys.stdlib_module_names - own}


def _modules(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []


def test_requirements_gpu_differs_in_the_runtime_alone():
    cpu, gpu = service_pins("cpu"), service_pins("gpu")
    assert gpu.pop("onnxruntime-gpu") == cpu.pop("onnxruntime")
    assert gpu == cpu


def test_requirements_name_exactly_what_the_product_imports():
    # onnxruntime and onnxruntime-gpu are one module.
    assert imported(PRODUCT) - {"onnxruntime-gpu"} == service_pins("cpu").keys() - {"onnxruntime-gpu"}


def test_installed_packages_have_the_pinned_versions():
    # Either onnxruntime or onnxruntime-gpu is installed. PyTorch's version ends in "+cpu" if it is from the CPU index.
    wanted = {name: number for name, number in (service_pins("cpu") | pins(TESTS)).items() if name != "onnxruntime"}
    assert {name: version(name).split("+")[0] for name in wanted} == wanted


@pytest.mark.parametrize("name", ["opencv-python", "tb-nightly"])
def test_excluded_package_is_not_installed(name):
    assert name in (ROOT / "docker" / "excludes.txt").read_text().splitlines()
    with pytest.raises(PackageNotFoundError):
        version(name)


def test_spandrel_with_its_non_commercial_parts_is_for_tests_only():
    assert {"spandrel", "spandrel-extra-arches"} <= pins(TESTS).keys() - service_pins("cpu").keys()


@pytest.mark.parametrize("name", ["docker/install.sh", ".ci/run"])
def test_script_is_executable_and_parses(name):
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", ROOT / name], check=True)


def test_make_alone_lists_the_commands():
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for command in ("install", "demo", "test", "lint", "bench"):
        assert f"make {command} " in said
