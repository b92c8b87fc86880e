"""What docker/README.md says of an image, one function each: it returns what was seen, or raises NotProvedError."""

import hashlib
import json
import re
import shutil
from pathlib import Path

from pipeline.models.catalog import REGISTRY, card
from tests.image import build
from tests.image.docker import ROOT, docker, inspected, proved, wait_until
from tests.image.lists import RESTORATION, TESTS, context_files, pins, service_pins
from tests.image.service import CONFINED, running

PORTRAIT = "astronaut.png"
BATCH = 8
LARGEST = 15
ORPHAN_SECONDS = 10
WRONG_USE = 2
AWAY = "https://127.0.0.1:9/simple"
INSIDE = (ROOT / "tests" / "image" / "inside.py").read_text()


def the_context(image, variant):
    listed = build.context()
    proved(listed == context_files(), f"the build context is {sorted(set(listed) ^ set(context_files()))} off")
    return f"{len(listed)} files"


def the_labels(image, variant):
    config = inspected(image)["Config"]
    labels = config["Labels"]
    proved(config["User"] == "1000:1000", f"its user is {config['User']}")
    proved(config["Healthcheck"]["StartPeriod"] == 180 * 10**9, "no start period of 180 s")
    command = [*config["Entrypoint"], *config["Cmd"]]
    proved(command == ["tini", "--", "facecraft", "watch"], f"its command is {command}")
    proved("MIT" in labels["org.opencontainers.image.licenses"], str(labels))
    proved(re.fullmatch(r"\d+\.\d+\.\d+", labels["org.opencontainers.image.version"]), str(labels))
    return labels["org.opencontainers.image.licenses"]


def the_contents(image, variant):
    """The service's packages at their pinned versions, none of the tests', and models with the right checksums."""
    facts = contents(image)
    service = service_pins(variant)
    tests = pins(TESTS).keys() - service.keys()
    found = {name: number for name, number in facts["packages"].items() if name in service}
    without = RESTORATION if image.endswith("-free") else set()
    proved(found == {name: number for name, number in service.items() if name not in without}, f"packages: {found}")
    proved(not tests & facts["packages"].keys(), f"packages of tests: {tests & facts['packages'].keys()}")
    proved(set(facts["models"].values()) == {"ok"}, f"models: {facts['models']}")
    proved(facts["uid"] == 1000, f"it runs as uid {facts['uid']}")
    proved(facts["telemetry_off"] == "1" and not facts["writable"], str(facts))
    return f"{len(facts['packages'])} packages; models {', '.join(facts['models'])}"


def contents(image):
    command = ("--rm", *CONFINED, "--entrypoint", "python", image, "-c", INSIDE)
    return json.loads(docker("run", *command).stdout)


def absent(image):
    """The models of the full set that the image lacks."""
    there = contents(image)["models"]
    return [each.name for each in REGISTRY if each.bundled and each.name not in there]


def no_cuda(image, variant):
    facts = contents(image)
    nvidia = [name for name in facts["packages"] if name.startswith(("nvidia-", "cuda-", "triton"))]
    proved(facts["cuda"] is None and not nvidia, f"CUDA {facts['cuda']}, {nvidia}")
    return "neither in PyTorch nor beside it"


def a_wrong_model(variant, flags, folder):
    """A build fails if the folder of models has one wrong byte, or lacks one model."""
    wrong, less = Path(folder) / "wrong", Path(folder) / "less"
    build.copied(wrong, build.present())
    build.with_a_wrong_byte(wrong)
    build.refused(variant, [*flags, *taken(wrong, "available")], "models", f"instead of {card('mmod').sha256}")
    build.copied(less, [each for each in build.present() if each.name != "mmod"])
    build.refused(variant, [*flags, *taken(less, "full")], "models", f"{card('mmod').file}: missing")
    return "the build fails, and names the model"


def taken(folder, models):
    return "--build-context", f"folder={folder}", "--build-arg", f"MODELS={models}"


def no_index(variant, flags):
    """If PyTorch's index cannot be reached, the build fails instead of taking PyTorch from elsewhere."""
    build.refused(variant, [*flags, "--build-arg", f"TORCH_INDEX={AWAY}"], "builder", AWAY)
    return "the build fails"


def a_wrong_setting(image, variant):
    """`watch` ends with the exit code for wrong settings, and names the setting."""
    ended = docker("run", "--rm", *CONFINED, "--env", "FACECRAFT_WORKERS=none", image, check=False)
    proved(ended.returncode == WRONG_USE, f"exit code {ended.returncode}:\n{ended.stderr[-500:]}")
    proved("FACECRAFT_WORKERS: 'none'" in ended.stderr, f"the setting is not named:\n{ended.stderr[-500:]}")
    return f"exit code {ended.returncode}"


def without_a_temporary_folder(image, variant, folder):
    """`once` with a root that is read-only and no --tmpfs: nowhere to write but the outbox."""
    own = Path(folder) / "without"
    (own / "inbox").mkdir(parents=True)
    (own / "outbox").mkdir()
    (own / "outbox").chmod(0o777)  # whoever it runs as
    shutil.copy(ROOT / "tests" / "portraits" / PORTRAIT, own / "inbox")
    mounts = (f"type=bind,source={own}/inbox,target=/inbox,readonly", f"type=bind,source={own}/outbox,target=/outbox")
    given = [each for mount in mounts for each in ("--mount", mount)]
    docker("run", "--rm", "--read-only", "--network", "none", *given, image, "once", "/inbox", "/outbox")
    outcome = json.loads((own / "outbox" / "reports" / f"{PORTRAIT}.json").read_text())["outcome"]
    proved(outcome == "done", f"the photo is {outcome}")
    return "`once` makes a portrait"


def a_portrait(image, variant, folder, user, *more):
    """A confined container makes a portrait between two mounted folders, is healthy, and drains when it is stopped."""
    with running(image, folder, user, *more) as container:
        container.drop(PORTRAIT)
        start = container.wait_ready()
        report = container.report(PORTRAIT)
        proved(report["outcome"] == "done", f"{report['outcome']}: {report['reason']}")
        whole(container, report)
        container.wait_healthy()
        an_orphan_is_reaped(container)
        drained = drain(container)
    return f"ready in {start:.1f} s, healthy; {drained}"


def whole(container, report):
    """Each output exists and has the checksum in its report."""
    for output in report["outputs"]:
        data = (container.outbox / output["name"]).read_bytes()
        proved(hashlib.sha256(data).hexdigest() == output["sha256"], f"{output['name']} is not what its report says")


def an_orphan_is_reaped(container):
    """A process whose parent has ended leaves no zombie behind when it ends itself."""
    orphan = container.within("sh", "-c", "sleep 3 > /dev/null & echo $!").stdout.strip()

    def exists():
        return container.within("test", "-e", f"/proc/{orphan}", check=False).returncode == 0

    proved(exists(), "the orphan ended before it was seen")
    wait_until(lambda: not exists(), f"the orphan {orphan} stays a zombie", ORPHAN_SECONDS)


def drain(container):
    for number in range(BATCH):
        container.drop(PORTRAIT, f"batch-{number}.png")
    container.wait_for_reports(2)  # the first of the batch is done, and the next in work
    code, seconds = container.stop()
    proved(code == 0, f"docker stop: exit code {code}; the log ends with:\n{container.log()[-1500:]}")
    reports = container.reports()
    for path in reports:
        whole(container, json.loads(path.read_text()))
    proved(1 < len(reports) <= BATCH, f"{len(reports)} reports: it was not stopped in the middle")
    open_work = [path.name for path in container.outbox.rglob("attempts/*")]
    proved(not open_work, f"left behind: {open_work}")
    return f"stopped at {len(reports) - 1} of {BATCH} photos in {seconds:.1f} s, each whole"


def the_size(image, variant):
    """The total, the layers of more than a megabyte from the base up, and the largest packages."""
    shown = docker("history", "--no-trunc", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}", image).stdout
    rows = [line.split("\t", 1) for line in shown.splitlines()]
    layers = [f"{int(size) / 1e6:,.0f} MB {what[:40]}" for size, what in reversed(rows) if int(size) > 10**6]
    sizes = contents(image)["sizes"]
    largest = sorted(sizes, key=sizes.get, reverse=True)[:LARGEST]
    packages = ", ".join(f"{name} {sizes[name]:,.0f}" for name in largest)
    return f"{inspected(image)['Size'] / 1e6:,.0f} MB: {'; '.join(layers)}; packages {packages}"
