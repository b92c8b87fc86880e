"""The comparison of two listings alone, no server and no models: `python -m tests.bench.reconcile`.

Prints time and memory of the first scan and of a later one of so many photos, each with a report; every tenth was
uploaded in parts, so that its date decides nothing.
"""

import argparse
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from handler.outbox.paths import report_path
from sources.bucket.scanner import BucketScanner

BEGAN_NS = 1_700_000_000 * 10**9


@dataclass(frozen=True, slots=True)
class Object:
    path: str
    etag: str
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Generated:
    """Reports of photos `0000/000000.jpg` and so on; nothing of it is kept."""

    number: int

    def photos(self) -> Iterator[Object]:
        for number in range(self.number):
            etag = f"{number:032x}" + ("-2" if number % 10 == 0 else "")
            yield Object(_path(number), etag, BEGAN_NS + number)

    def stamps(self) -> Iterator[tuple[str, int]]:
        for number in reversed(range(self.number)):
            yield report_path(_path(number)), BEGAN_NS + number + 10**9

    def place(self, path: str) -> str:
        return report_path(path)

    def covers(self, entry: Object, stamp_ns: int, *, sidecar: bool) -> bool:
        return stamp_ns > entry.changed_ns and "-" not in entry.etag

    def about(self, photo: str, entry: Object, stamp_ns: int) -> bool:
        return True


def _path(number: int) -> str:
    return f"{number // 1000:04d}/IMG_{number:07d}.jpg"


class Peak:
    """The most memory that the process holds while this context lasts, beyond what it held before, in MB."""

    def __init__(self) -> None:
        self.before = self.most = _resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def more(self) -> float:
        return (self.most - self.before) / 1024 / 1024

    def _look(self) -> None:
        while not self._over.wait(0.005):
            self.most = max(self.most, _resident())


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - opened 200 times a second
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(keys: int) -> None:
    generated = Generated(keys)
    began = time.perf_counter()
    nothing = sum(1 for _ in generated.photos()) + sum(1 for _ in generated.stamps())
    idle = time.perf_counter() - began
    print(f"{nothing:,} generated entries cost {idle:.1f} s by themselves, which is not taken off below")
    scanner = BucketScanner("s3://bench/in", generated.photos, generated)
    for scan in ("first scan", "later scan"):
        with Peak() as peak:
            began, busy = time.perf_counter(), time.process_time()
            found = sum(len(batch.paths) for batch in scanner.scan())
            took, busy = time.perf_counter() - began, time.process_time() - busy
        print(
            f"{keys:,} photos and reports, {scan}  {took:.1f} s ({busy:.1f} s of one processor), "
            f"{peak.more:.0f} MB more than before, {found} found"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    run(parser.parse_args().keys)
