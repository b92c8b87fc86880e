"""Memory of the service and of its model worker as photos go by: `python -m tests.bench.memory [--photos 1000]`.

With the real models and small photos; prints the resident memory (MB) of both every 100 photos.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from tests.handler.service_runner import WATCH, Watch

PORTRAIT = Path(__file__).parents[1] / "portraits" / "sally_ride_small.jpg"
BATCH = 20
MB = 1024 * 1024


def measure(
    folder: Path, models: Path, photos: int, command: Sequence[str] = WATCH
) -> Iterator[tuple[int, float, float]]:
    """(photos so far, service, worker) in MB, every 20 photos."""
    with Watch(folder, models, command=command) as watch:
        watch.ready()
        for first in range(0, photos, BATCH):
            uris = [watch.drop(PORTRAIT, f"{number}.jpg") for number in range(first, first + BATCH)]
            for uri in uris:
                assert watch.settled(uri)["outcome"] == "done", uri
            watch.lines.clear()
            yield first + BATCH, *_resident(watch.process.pid)


def _resident(pid: int) -> tuple[float, float]:
    service = psutil.Process(pid)
    (worker,) = service.children()
    return service.memory_info().rss / MB, worker.memory_info().rss / MB


def run(models: Path, photos: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, service, worker in measure(Path(folder), models, photos):
            if not number % 100:
                print(f"after {number:,} photos  service {service:.0f} MB, worker {worker:.0f} MB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--photos", type=int, default=1000)
    arguments = parser.parse_args()
    run(arguments.models.resolve(), arguments.photos)
