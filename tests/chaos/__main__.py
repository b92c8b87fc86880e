"""`make chaos N=1000 SEED=7`: so many deaths, one in twenty of them with the real models.

`python -m tests.chaos 2 --bucket minio --photos 500`: so many photos come into a bucket of MinIO's, whose events wait
in its `queue_dir`, and the service is killed twice; what is more than two is deaths and a bad network in turns.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.bucket_run import BucketRun
from tests.chaos.run import run

PORTRAIT = Path(__file__).parents[1] / "portraits" / "sally_ride_small.jpg"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--real", type=int, help="how many of the deaths are with the real models (one in twenty)")
    parser.add_argument("--bucket", choices=["minio"], help="the photos come into a bucket of that server")
    parser.add_argument("--photos", type=int, default=500, help="how many photos come into the bucket")
    arguments = parser.parse_args()
    if arguments.bucket:
        return 0 if _run(arguments, arguments.kills, light=not arguments.real) else 1
    real = arguments.kills // 20 if arguments.real is None else arguments.real
    well = True
    for kills, light in ((arguments.kills - real, True), (real, False)):
        if kills:
            well &= _run(arguments, kills, light=light)
    return 0 if well else 1


def _run(arguments, kills, *, light):
    with tempfile.TemporaryDirectory(prefix="facecraft-chaos-", ignore_cleanup_errors=True) as folder:
        audit, deaths = _lived_through(arguments, Path(folder).resolve(), kills, light=light)
        for what, number in sorted(deaths.items()):
            print(f"{number:6} {what}")
        for kind, faults in audit.faults().items():
            for fault in faults[:20]:
                print(f"{kind}: {fault}")
        counts = ", ".join(f"{len(faults)} {kind}" for kind, faults in audit.faults().items())
        what = f"{arguments.photos} photos in a bucket, {kills} troubles" if arguments.bucket else f"{kills} deaths"
        workers = "light workers" if light else "real models"
        print(f"{what}, {workers}, seed {arguments.seed}: {counts}; {audit.given_up} given up")
        if not audit.well():
            kept = Path(tempfile.mkdtemp(prefix="facecraft-chaos-failed-"))
            Path(folder).rename(kept / "run")
            print(f"kept for a look: {kept}/run")
    return audit.well()


def _lived_through(arguments, folder, kills, *, light):
    models, photo = arguments.models.resolve(), PORTRAIT.read_bytes()
    if arguments.bucket:
        run_of_bucket = BucketRun(folder, arguments.seed, models, photo, number=arguments.photos, light=light)
        return run_of_bucket.run(kills, _say)
    return run(folder, arguments.seed, kills, models, photo, light=light, say=_say)


def _say(line):
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
