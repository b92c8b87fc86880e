"""The images as they are written down: their context, their packages and models, and the scripts around them.

`make image-check` builds and runs them.
"""

import fnmatch
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from handler import __version__
from pipeline.models.catalog import REGISTRY, card
from tests.image.lists import RESTORATION, ROOT, context_files, service_pins
from tests.image.surroundings import argument

DOCKER = ROOT / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
SPDX = {
    "Apache-2.0": "Apache-2.0",
    "CC0": "CC0-1.0",
    "public domain": "LicenseRef-public-domain",
    "non-commercial (iBUG 300-W)": "LicenseRef-iBUG-300-W-non-commercial",
    "S-Lab 1.0, non-commercial": "LicenseRef-S-Lab-1.0-non-commercial",
}


def loaded(name):
    """A script of the images as a module."""
    spec = importlib.util.spec_from_file_location(f"image_{name}", DOCKER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


models = loaded("models")


def in_context(path):
    """Whether Docker takes the file: the last line of .dockerignore that matches it or a folder above it decides."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    above = ["/".join(path.split("/")[: count + 1]) for count in range(path.count("/") + 1)]
    taken = True
    for line in lines:
        pattern = line.lstrip("!")
        names = [each.rsplit("/", 1)[-1] for each in above] if pattern.startswith("**/") else above
        if any(fnmatch.fnmatchcase(name, pattern.removeprefix("**/")) for name in names):
            taken = line.startswith("!")
    return taken


def test_the_build_context_is_what_the_dockerfiles_copy_and_nothing_else():
    pruned = {".git", ".venv", "models", "build", "demo"}
    there = [
        Path(folder, name).relative_to(ROOT).as_posix()
        for folder, folders, names in os.walk(ROOT)
        for name in names
        if not pruned.intersection(Path(folder).relative_to(ROOT).parts[:1])
    ]
    assert sorted(path for path in there if in_context(path)) == context_files()


@pytest.mark.parametrize("path", [".git/config", ".venv/bin/python", "models/u2net.onnx", "handler/__pycache__/a.pyc"])
def test_no_build_sees(path):
    assert not in_context(path)


def test_dockerfile_defaults_are_this_version_on_a_pinned_base():
    assert f"\nARG VERSION={__version__}\n" in DOCKERFILE
    for variant in ("cpu", "gpu"):
        assert re.fullmatch(r"python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", argument(variant, "BASE"))


def test_dockerfile_takes_pytorch_with_cuda_for_the_gpu_only():
    indexes = {variant: argument(variant, "TORCH_INDEX") for variant in ("cpu", "gpu")}
    assert indexes == {"cpu": "https://download.pytorch.org/whl/cpu", "gpu": "https://pypi.org/simple"}


@pytest.mark.parametrize("which", ["full", "free"])
def test_licence_label_names_the_licences_of_the_models_in_the_image(which):
    (label,) = re.findall(rf'AS licences-{which}\nLABEL org.opencontainers.image.licenses="(.*)"', DOCKERFILE)
    assert set(label.split(" AND ")) == {"MIT", *(SPDX[card(name).licence] for name in models.names(which))}


# Models


def test_full_is_every_bundled_model_and_free_none_that_is_not_for_commercial_use():
    assert set(models.names("full")) == {each.name for each in REGISTRY if each.bundled}
    assert models.names("free") == ("landmarks_5", "mmod", "u2net_human_seg")
    with pytest.raises(ValueError, match="MODELS=all is not a set of models; write full, free or available"):
        models.names("all")


def small_models(folder, *names):
    """The models that are quickly copied and need no network; tests have them all in models/."""
    for name in names:
        shutil.copyfile(ROOT / "models" / card(name).file, folder / card(name).file)


@pytest.fixture
def places(tmp_path):
    for name in ("folder", "cache", "target"):
        (tmp_path / name).mkdir()
    return tuple(tmp_path / name for name in ("folder", "cache", "target"))


def test_a_folder_without_one_of_the_models_ends_the_build(places, capsys):
    small_models(places[0], "landmarks_5", "mmod")
    assert models.bring("free", *places) == 1
    assert "u2net_human_seg.onnx: missing" in capsys.readouterr().err
    assert list(places[2].iterdir()) == []


def test_a_wrong_byte_ends_the_build(places, capsys):
    small_models(places[0], "mmod")
    path = places[0] / card("mmod").file
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert models.bring("available", *places) == 1
    assert "mmod_human_face_detector.dat: sha256" in capsys.readouterr().err


def test_available_takes_the_substitute_only_where_the_better_model_is_missing(tmp_path):
    for name in ("u2net", "u2netp", "mmod"):
        (tmp_path / card(name).file).touch()
    assert [each.name for each in models.chosen("available", tmp_path)] == ["mmod", "u2net"]
    (tmp_path / card("u2net_human_seg").file).touch()
    assert [each.name for each in models.chosen("available", tmp_path)] == ["mmod", "u2net_human_seg"]


# Packages, with a `uv` that writes down what it is asked for


def program(path, script):
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


def with_tools(folder):
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture
def uv_calls(tmp_path):
    """Runs docker/packages.sh and returns the arguments of each call of uv."""

    def run(*arguments):
        log = tmp_path / "log"
        program(tmp_path / "bin" / "uv", f'echo "$@" >> {log}')
        command = [DOCKER / "packages.sh", *arguments]
        subprocess.run(command, check=True, env=with_tools(tmp_path / "bin"), cwd=ROOT)
        return log.read_text().splitlines()

    return run


@pytest.mark.parametrize("variant", ["cpu", "gpu"])
def test_packages_full_installs_the_list_and_takes_pytorch_alone_from_its_index(uv_calls, variant):
    name = "requirements-gpu.txt" if variant == "gpu" else "requirements.txt"
    torch, *others = uv_calls(name, "full", "https://index")
    assert torch == "pip install --default-index https://index --no-deps --requirement docker/requirements-torch.txt"
    assert f"--requirement {name}" in others[-1]
    assert not [call for call in others if "https://index" in call or "--excludes docker/excludes.txt" not in call]


def test_packages_without_an_index_takes_pytorch_from_the_default_one(uv_calls):
    assert "index" not in " ".join(uv_calls("requirements.txt", "full"))


def test_packages_free_excludes_restoration_and_nothing_else(uv_calls):
    (call,) = uv_calls("requirements.txt", "free", "https://index")
    assert "--excludes docker/excludes-free.txt --requirement requirements.txt" in call
    lines = (DOCKER / "excludes-free.txt").read_text().splitlines()
    assert {line for line in lines if not line.startswith("#")} == RESTORATION


def test_models_script_needs_rich_and_no_other_package():
    """The stage of the models installs nothing else."""
    code = "import sys; sys.path[:0] = sys.argv[1:]; import models; print(*sorted(sys.modules))"
    command = [sys.executable, "-c", code, DOCKER, ROOT]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    tops = {name.split(".")[0] for name in loaded if not name.startswith("_")} - sys.stdlib_module_names
    mapped = packages_distributions()
    assert {name for top in tops for name in mapped.get(top, [])} & service_pins("cpu").keys() == {"rich"}


# The health check


class Answering(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(self.server.code if self.path == "/ready" else 404)
        self.end_headers()
        self.wfile.write(b"models are loading")

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ready(port):
    environment = {**os.environ, "FACECRAFT_HOST": "", "FACECRAFT_PORT": str(port)}
    return subprocess.run(
        [sys.executable, "-IS", DOCKER / "ready.py"], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("code", "exit_code"), [(200, 0), (503, 1)])
def test_the_health_check_is_what_ready_says(server, code, exit_code):
    server.code = code
    seen = ready(server.server_port)
    assert (seen.returncode, seen.stdout) == (exit_code, f"{code} models are loading\n")


def test_the_health_check_fails_where_nobody_answers(server):
    port = server.server_port
    server.server_close()
    assert ready(port).returncode == 1
    assert f"no answer from 0.0.0.0:{port}" in ready(port).stderr


# Publishing and pinning, with a `docker` that writes down what it is asked for


def publish(tmp_path, *arguments):
    program(tmp_path / "bin" / "docker", f'echo "$@" >> {tmp_path}/log')
    return subprocess.run(
        [DOCKER / "publish.sh", *arguments],
        env=with_tools(tmp_path / "bin"),
        capture_output=True,
        text=True,
        check=False,
    )


def test_publish_pushes_each_variant_alone_and_with_its_version_and_never_latest(tmp_path):
    assert publish(tmp_path, "you/facecraft", "1.2.3", "cpu", "gpu").returncode == 0
    calls = (tmp_path / "log").read_text().splitlines()
    pushed = [call.split()[1] for call in calls if call.startswith("push")]
    assert pushed == [f"you/facecraft:{tag}" for tag in ("cpu", "1.2.3-cpu", "gpu", "1.2.3-gpu")]
    tagged = [call.split()[1] for call in calls if call.startswith("tag")]
    assert tagged == ["facecraft:cpu", "facecraft:cpu", "facecraft:gpu", "facecraft:gpu"]


def test_publish_wants_a_repository_of_the_user_s_own(tmp_path):
    refused = publish(tmp_path, "facecraft", "1.2.3", "cpu")
    assert refused.returncode == 2
    assert "make publish IMAGE=you/facecraft" in refused.stderr
    assert not (tmp_path / "log").exists()


def test_publish_checks_before_it_pushes():
    said = subprocess.run(["make", "-n", "publish", "IMAGE=a/b"], cwd=ROOT, capture_output=True, text=True, check=True)
    check, push = (said.stdout.index(word) for word in ("tests.image --publishable", "docker/publish.sh a/b"))
    assert check < push


def pin(tmp_path, digest):
    for name in ("pin.sh", "Dockerfile"):
        shutil.copy(DOCKER / name, tmp_path)
    program(tmp_path / "bin" / "docker", f'echo "$@" >> {tmp_path}/log; echo "Digest:    {digest}"')
    return subprocess.run(
        [tmp_path / "pin.sh"], env=with_tools(tmp_path / "bin"), capture_output=True, text=True, check=False
    )


def test_pin_writes_the_registry_s_digest_into_the_dockerfile(tmp_path):
    digest = f"sha256:{'ab' * 32}"
    assert pin(tmp_path, digest).returncode == 0
    assert (tmp_path / "log").read_text() == "buildx imagetools inspect python:3.11-slim-bookworm\n"
    changed = re.sub(r"(?m)^(ARG BASE=.*@).*", rf"\g<1>{digest}", DOCKERFILE)
    assert (tmp_path / "Dockerfile").read_text() == changed


def test_pin_without_a_digest_from_the_registry_changes_nothing(tmp_path):
    assert pin(tmp_path, "unauthorized").returncode == 1
    assert (tmp_path / "Dockerfile").read_text() == DOCKERFILE
