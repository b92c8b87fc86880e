"""The function of AWS Lambda: `python -m tests.bench.function`.

Prints the time from the start of its process to the first answer, then what its parts take one after the other, and
what a warm call takes beside the pipeline's own time. Restoration is off: `tests.bench.start` measures what it adds.
"""

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pipeline.recipe import Recipe
from pipeline.types import Limits
from tests.bench.common.machine import machine
from tests.support.runtime_api import RuntimeApi

PHOTO = Path(__file__).parents[1] / "portraits" / "grace_hopper.jpg"
PARTS = ("imports", "verification", "faces", "cut-out", "first photo")
CALLS = 30


def environment(models: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FACECRAFT_", "AWS_"))}
    return kept | {"FACECRAFT_MODELS_DIR": str(models), "FACECRAFT_RESTORE": "off"}


def event() -> dict[str, object]:
    return {"image": base64.b64encode(PHOTO.read_bytes()).decode()}


def parts() -> None:
    """One after the other in this process; prints their seconds as JSON."""
    seconds = []

    def timed(part: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        made = part()
        seconds.append(time.perf_counter() - begun)
        return made

    timed(_imports)
    from handler.config.load import load_lambda
    from handler.models.select import build_model_set
    from pipeline import pipeline
    from pipeline.cutout import segment
    from pipeline.face import detect, landmarks

    model_set = timed(lambda: build_model_set(load_lambda()))
    timed(
        lambda: detect.FaceFinder(
            landmarks.Landmarker(model_set.landmarks.path, 68), model_set.mmod.path if model_set.mmod else None
        )
    )
    timed(lambda: segment.Segmenter(model_set.cutout.path, model_set.device, model_set.threads))
    one, data, limits = pipeline.PortraitPipeline(model_set), PHOTO.read_bytes(), Limits(20 << 20, 50_000_000)
    timed(lambda: one.process(data, Recipe(), limits, PHOTO.name))
    print(json.dumps(seconds))


def _imports() -> None:
    """What the init phase imports."""
    from handler.models import libraries

    libraries.prepare()
    import awslambdaric.bootstrap  # noqa: F401

    import pipeline.pipeline  # noqa: F401


def split(models: Path, rounds: int) -> dict[str, float]:
    """The median of each part, in seconds, each round in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.function", "--parts"]
    answers = [
        subprocess.run(command, env=environment(models), check=True, stdout=subprocess.PIPE) for _ in range(rounds)
    ]
    seconds = zip(*(json.loads(answer.stdout) for answer in answers), strict=True)
    return dict(zip(PARTS, map(statistics.median, seconds), strict=True))


@dataclass(frozen=True, slots=True)
class Life:
    """Of one process: seconds to the end of its init phase and to its first answer, those of processors until then, and
    of all further calls; then of each further call all its time and that of its steps; its most memory in MB."""

    ready: float
    first: float
    used: tuple[float, float, float]
    calls: list[tuple[float, float]]
    memory: float


def lived(models: Path, calls: int = 0) -> Life:
    with RuntimeApi() as api:
        begun = time.perf_counter()
        environ = environment(models) | {"AWS_LAMBDA_RUNTIME_API": api.address}
        command = [sys.executable, "-m", "handler", "watch"]
        process = psutil.Popen(command, env=environ, stderr=subprocess.DEVNULL)
        try:
            api.ready()
            ready, used = time.perf_counter() - begun, [_used(process)]
            api.call(event())
            first, used = time.perf_counter() - begun, [*used, _used(process)]
            answers = [api.call(event()) for _ in range(calls)]
            used.append((_used(process) - used[1]) / max(1, calls))
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        finally:
            process.kill()
            process.wait()
    warm = [(answer.seconds, sum(answer.body["stages_ms"].values()) / 1000) for answer in answers]
    most = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return Life(ready, first, (used[0], used[1], used[2]), warm, most / 1024)


def _used(process: psutil.Popen) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def run(models: Path, rounds: int) -> None:
    models = models.resolve()
    lived(models)  # the first one warms the files up
    lives = [lived(models, CALLS) for _ in range(rounds)]
    ready, first = (statistics.median(each) for each in zip(*((life.ready, life.first) for life in lives), strict=True))
    used = [statistics.median(each) for each in zip(*(life.used for life in lives), strict=True)]
    print(f"{machine()}; medians of {rounds}; in brackets seconds of processors")
    print(f"function: init {ready:.2f} s ({used[0]:.2f} s), first answer after {first:.2f} s ({used[1]:.2f} s)")
    shares = split(models, rounds)
    for name, seconds in shares.items():
        print(f"  {name:13} {seconds:6.2f} s  {100 * seconds / sum(shares.values()):4.0f} %")
    warm = [call for life in lives for call in life.calls]
    whole, over = (statistics.median(each) for each in zip(*((all_, all_ / own) for all_, own in warm), strict=True))
    print(f"warm call: {whole:.2f} s ({used[2]:.2f} s), {over:.3f} times what its steps take (median of {len(warm)})")
    print(f"most memory: {max(life.memory for life in lives):.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.parts:
        parts()
    else:
        run(arguments.models, arguments.rounds)
