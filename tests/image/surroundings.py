"""What a build can reach from here, and the build arguments that follow."""

import re
import tempfile
import time
from pathlib import Path

from pipeline.models.catalog import REGISTRY
from tests.image.docker import ROOT, NotProvedError, docker

STAND_IN = "python:3.11-slim"
"""A local image of this name is used if the pinned base cannot be downloaded."""

PYPI = "https://pypi.org/simple"

_PROBE = """
ARG BASE
FROM ${BASE} AS probe
ARG SALT URLS
COPY <<"PROBE" /probe.py
import sys, urllib.request
for url in sys.argv[1:]:
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10)
        print(url)
    except OSError:
        pass
PROBE

RUN python /probe.py ${URLS} > /answers
FROM scratch
COPY --from=probe /answers /
"""


def argument(variant, name):
    """The default of a Dockerfile argument: from the variant's own stage, else the global one."""
    common, *stages = re.split(r"^FROM .* AS (\S+)$", (ROOT / "docker" / "Dockerfile").read_text(), flags=re.MULTILINE)
    own = dict(zip(stages[::2], stages[1::2], strict=True))[f"base-{variant}"]
    return re.search(rf"^ARG {name}=(\S+)$", own + common, re.MULTILINE)[1]


def flags(variant, models, given):
    """Flags for `docker build`: what this machine needs, then what the caller has `given`, which overrides it."""
    base, network = _base(variant, given)
    index = argument(variant, "TORCH_INDEX")
    sources = {each.url for each in REGISTRY if each.bundled}
    answered = _answers(base, network, [index + "/torch/", *sources])
    found = [*network]
    found += [] if base == argument(variant, "BASE") else ["--build-arg", f"BASE={base}"]
    found += [] if index + "/torch/" in answered else ["--build-arg", f"TORCH_INDEX={PYPI}"]
    if not sources <= answered:
        found += ["--build-context", f"folder={(ROOT / 'models').resolve()}"]
        if models == "full" and not all((ROOT / "models" / each.file).exists() for each in REGISTRY if each.bundled):
            found += ["--build-arg", "MODELS=available"]
    return [*found, *given]


def _base(variant, given):
    """The base image that is available, and the flags with which its builds reach the network."""
    named, own = (re.search(words, " ".join(given)) for words in (r"\bBASE=(\S+)", r"--network[= ](\S+)"))
    here = docker("image", "inspect", STAND_IN, check=False).returncode == 0
    bases = (named[1],) if named else (argument(variant, "BASE"), *([STAND_IN] if here else []))
    why = ""
    for base in bases:
        for network in (["--network", own[1]],) if own else ([], ["--network", "host"]):
            try:
                if _answers(base, network, [PYPI + "/uv/"]):
                    return base, network
            except NotProvedError as error:
                why = str(error)
                break
    raise NotProvedError(f"no base image whose builds reach {PYPI}; name them with BUILD_FLAGS. {why}")


def _answers(base, network, urls):
    """The addresses that answer from inside a build."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = {"BASE": base, "SALT": time.time_ns(), "URLS": " ".join(urls)}
        given = [each for name, value in arguments.items() for each in ("--build-arg", f"{name}={value}")]
        docker("build", *network, *given, "--output", f"type=local,dest={folder}", "-", given=_PROBE)
        return set((Path(folder) / "answers").read_text().split())
