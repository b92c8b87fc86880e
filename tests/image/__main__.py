"""`make image-check`: builds an image, proves what docker/README.md says of it, and lists what it could not prove."""

import argparse
import shlex
import shutil
import sys
import tempfile

from tests.image import checks, surroundings
from tests.image.build import build
from tests.image.docker import ROOT, NotProvedError, docker, inspected
from tests.image.function import a_function

SOMEBODY = "23456:23456"
NO_GPU = "the GPU: there is none here, so everything ran on the CPU"


def main():
    """The exit code. With `--publishable` it is 0 only if everything is proved; a missing GPU is allowed."""
    given = arguments()
    try:
        flags = surroundings.flags(given.variant, given.models, shlex.split(given.flags))
        say("flags of the build", " ".join(flags) or "none")
        image = build(given.variant, given.models, flags)
        gpu = given.variant == "gpu" and "nvidia" in docker("info", "--format", "{{json .Runtimes}}").stdout
        missing = not_proved(image, given, flags, gpu)
        prove(image, given.variant, flags, more(given.variant, gpu), missing)
    except NotProvedError as error:
        say("FAILED", str(error))
        return 1
    for line in missing:
        say("NOT PROVED", line)
    if given.publishable and any(line != NO_GPU for line in missing):
        say("FAILED", "an image like this is not published")
        return 1
    return 0


def arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    parser.add_argument("--variant", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--models", choices=("full", "free", "available"), default="full")
    parser.add_argument("--flags", default="", help="for docker build, stronger than what is found out")
    parser.add_argument(
        "--publishable", action="store_true", help="fail where anything but the GPU could not be proved"
    )
    return parser.parse_args()


def more(variant, gpu):
    """The flags for `docker run` that give the container a GPU, or tell it to do without."""
    if variant == "cpu":
        return ()
    return ("--gpus", "all") if gpu else ("--env", "FACECRAFT_DEVICE=cpu")


def not_proved(image, given, flags, gpu):
    """What differs from the image that docker/README.md describes, read from the image's labels."""
    labels, lines = inspected(image)["Config"]["Labels"], []
    if labels["org.opencontainers.image.base.name"] != surroundings.argument(given.variant, "BASE"):
        lines.append(f"the pinned base: built on {labels['org.opencontainers.image.base.name']}")
    if labels["torch-index"] != surroundings.argument(given.variant, "TORCH_INDEX"):
        lines.append(f"no CUDA: PyTorch comes from {labels['torch-index']}")
    if any(flag.startswith("folder=") for flag in flags):
        lines.append("fetching models from their publishers: models from a folder, verified the same")
    if labels["models"] == "available":
        lines.append(f"every model: {', '.join(checks.absent(image))} could not be had")
    if given.variant == "gpu" and not gpu:
        lines.append(NO_GPU)
    return lines


def prove(image, variant, flags, given, missing):
    """Run each check, and print what it saw."""
    say("build context", checks.the_context(image, variant))
    say("labels and defaults", checks.the_labels(image, variant))
    say("packages and models", checks.the_contents(image, variant))
    if variant == "cpu" and not any(line.startswith("no CUDA") for line in missing):
        say("no CUDA", checks.no_cuda(image, variant))
    place = ROOT / "build"
    place.mkdir(exist_ok=True)
    folder = tempfile.mkdtemp(prefix="image-", dir=place)
    try:
        say("a wrong or missing model", checks.a_wrong_model(variant, flags, folder))
        say("PyTorch's index away", checks.no_index(variant, flags))
        say("a wrong setting", checks.a_wrong_setting(image, variant))
        say("read-only without /tmp", checks.without_a_temporary_folder(image, variant, folder))
        for user in ("1000", SOMEBODY):
            seen = checks.a_portrait(image, variant, folder, user, *given)
            say(f"read-only, offline, no rights, uid {user}", seen)
        if variant == "cpu":
            say("as a function of Lambda", a_function(image, folder, checks.PORTRAIT))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say("size", checks.the_size(image, variant))


def say(what, seen):
    print(f"{what}: {seen}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
