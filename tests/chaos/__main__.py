"""`make chaos N=1000 SEED=7`: so many deaths, one in twenty of them with the real models."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import run

PORTRAIT = Path(__file__).parents[1] / "portraits" / "sally_ride_small.jpg"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--real", type=int, help="how many of the deaths are with the real models (one in twenty)")
    arguments = parser.parse_args()
    real = arguments.kills // 20 if arguments.real is None else arguments.real
    well = True
    for kills, light in ((arguments.kills - real, True), (real, False)):
        if kills:
            well &= _run(arguments, kills, light=light)
    return 0 if well else 1


def _run(arguments, kills, *, light):
    with tempfile.TemporaryDirectory(prefix="facecraft-chaos-", ignore_cleanup_errors=True) as folder:
        audit, deaths = run(
            Path(folder).resolve(), arguments.seed, kills, arguments.models.resolve(), PORTRAIT.read_bytes(),
            light=light, say=lambda line: print(line, flush=True),
        )  # fmt: skip
        for what, number in sorted(deaths.items()):
            print(f"{number:6} {what}")
        for kind, faults in audit.faults().items():
            for fault in faults[:20]:
                print(f"{kind}: {fault}")
        counts = ", ".join(f"{len(faults)} {kind}" for kind, faults in audit.faults().items())
        workers = "light workers" if light else "real models"
        print(f"{kills} deaths, {workers}, seed {arguments.seed}: {counts}; {audit.given_up} given up")
        if not audit.well():
            kept = Path(tempfile.mkdtemp(prefix="facecraft-chaos-failed-"))
            Path(folder).rename(kept / "run")
            print(f"kept for a look: {kept}/run")
    return audit.well()


if __name__ == "__main__":
    sys.exit(main())
