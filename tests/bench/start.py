"""What restoration costs at the start: `python -m tests.bench.start`.

A model worker's work until it is ready, with and without the restoration model, each in a process of its own; medians
and memory. Without the published weights random ones are loaded: time and memory are the same.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from handler.models import libraries

libraries.prepare()  # before anything imports rembg or onnxruntime

from pipeline.models.catalog import Verified, card  # noqa: E402 - see above
from tests.bench.common.machine import machine  # noqa: E402
from tests.bench.common.weights import codeformer_weights  # noqa: E402
from tests.conftest import model_set  # noqa: E402


def start(models: Path, weights: Path | None) -> None:
    """Load the pipeline in this process; prints seconds and MB."""
    built = model_set(models, cutout="u2netp")
    begun = time.perf_counter()
    if weights:
        seen = weights.stat()
        built = replace(built, restorer=Verified(card("codeformer"), weights, seen.st_size, seen.st_mtime_ns))
    from pipeline.pipeline import PortraitPipeline

    PortraitPipeline(built)
    print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measured(models: Path, weights: Path | None, rounds: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "tests.bench.start", "--models", str(models), "--one", str(weights or "")]
    answers = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(rounds + 1)]
    seconds, memory = zip(*(map(float, answer.split()) for answer in answers[1:]), strict=True)  # the first warms up
    return statistics.median(seconds), statistics.median(memory)


def run(models: Path, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        weights = codeformer_weights(models, Path(folder))
        print(f"{machine()}; medians of {rounds}")
        for name, file in (("restoration off", None), ("restoration on", weights)):
            seconds, memory = measured(models, file, rounds)
            print(f"{name:16} {seconds:6.2f} s  {memory:6.0f} MB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one is None:
        run(arguments.models, arguments.rounds)
    else:
        start(arguments.models, Path(arguments.one) if arguments.one else None)
