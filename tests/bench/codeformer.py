"""Our restorer beside plain CodeFormer: `python -m tests.bench.codeformer`.

Plain is spandrel's implementation in float32, as PyTorch runs it by itself. Each has a process of its own, and they
take turns. Prints the wall clock's ratio (pair by pair: machines drift, pairs drift together), the processor time's,
and how far the pictures and the codes agree. Weights are the published ones where they are, else random: speed is the
same.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.bench.common.machine import machine
from tests.bench.common.weights import codeformer_weights

Run = Callable[[float], tuple[np.ndarray, np.ndarray]]
"""From a fidelity to a picture (512 x 512 x 3, 0..255) and its codes."""


def plain(weights: Path, threads: int) -> Run:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it uses torch.jit.script
        from spandrel_extra_arches.architectures.CodeFormer import CodeFormer
    from tests.pipeline.restore.codeformer_weights import portrait

    torch.set_num_threads(threads)
    network = CodeFormer().eval()
    network.load_state_dict(torch.load(weights, weights_only=True)["params_ema"])
    x = torch.tensor(portrait()).permute(2, 0, 1)[None].float() / 127.5 - 1

    def run(fidelity: float) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            image, logits = network(x, weight=fidelity)
        levels = (image[0].permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5
        return levels.round().to(torch.uint8).numpy(), logits.argmax(2).numpy()

    return run


def ours(weights: Path, threads: int) -> Run:
    from pipeline.restore.inference import CodeFormerInference
    from tests.pipeline.restore.codeformer_weights import portrait

    face, restorer, codes = portrait(), CodeFormerInference(weights, "cpu", threads), []
    restorer.network.register_forward_hook(lambda _, __, output: codes.append(output[1].argmax(2).numpy()))

    def run(fidelity: float) -> tuple[np.ndarray, np.ndarray]:
        return restorer.restore(face, fidelity), codes.pop()

    return run


def serve(run: Run, folder: Path) -> None:
    """For each fidelity on stdin a line on stdout: seconds by the wall clock and of the processor."""
    print(flush=True)
    for line in sys.stdin:
        wall, processor = time.perf_counter(), _processor_seconds()
        picture, codes = run(float(line))
        seconds = time.perf_counter() - wall, _processor_seconds() - processor
        np.savez(folder / "last.npz", picture=picture, codes=codes)
        print(json.dumps(seconds), flush=True)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Side:
    """One implementation in a process of its own."""

    def __init__(self, name: str, weights: Path, threads: int, folder: Path) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        command = [sys.executable, "-m", "tests.bench.codeformer", "--serve", name, "--weights", weights]
        self.process = subprocess.Popen(
            [*map(str, command), "--threads", str(threads), "--folder", str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.process.stdout.readline()

    def run(self, fidelity: float) -> tuple[float, float]:
        self.process.stdin.write(f"{fidelity}\n")
        self.process.stdin.flush()
        return tuple(json.loads(self.process.stdout.readline()))

    def last(self):
        return np.load(self.folder / "last.npz")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def run(models: Path, rounds: int, threads: int = 2) -> None:
    with tempfile.TemporaryDirectory() as folder:
        weights = codeformer_weights(models, Path(folder))
        sides = [Side(name, weights, threads, Path(folder)) for name in SIDES]
        print(f"\n{machine()}, {threads} threads; weights {weights.name}; seconds a face, medians of {rounds}")
        print(f"{'fidelity':>8} {'plain':>7} {'ours':>7} {'ratio':>6} {'(pairs)':>14} {'CPU':>6} {'PSNR':>7} codes")
        for fidelity in (0.7, 0.0):
            print(row(fidelity, sides, rounds), flush=True)
        for side in sides:
            side.close()


def row(fidelity: float, sides: list[Side], rounds: int) -> str:
    times = [[side.run(fidelity) for side in sides] for _ in range(rounds + 1)][1:]  # the first round warms up
    walls = sorted(own[0] / other[0] for other, own in times)
    processor = statistics.median(own[1] / other[1] for other, own in times)
    before, now = (statistics.median(seconds[number][0] for seconds in times) for number in (0, 1))
    other, own = (side.last() for side in sides)
    apart = np.square(own["picture"].astype(float) - other["picture"]).mean()
    psnr = 10 * np.log10(255**2 / max(apart, 1e-9))
    same = "all the same" if np.array_equal(own["codes"], other["codes"]) else "DIFFERENT"
    pairs = f"({walls[0]:.2f} to {walls[-1]:.2f})"
    ratio = statistics.median(walls)
    return f"{fidelity:8} {before:7.2f} {now:7.2f} {ratio:6.2f} {pairs:>14} {processor:6.2f} {psnr:4.1f} dB {same}"


SIDES = {"plain": plain, "ours": ours}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--serve", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(SIDES[arguments.serve](arguments.weights, arguments.threads), arguments.folder)
    else:
        run(arguments.models, arguments.rounds, arguments.threads)
