"""The folder source alone, without models: `python -m tests.bench.folder`.

Prints how long a complete photo waits until a slot has it, how long a rescan of done photos takes, and what so many
photos that arrive at once cost in time and memory.
"""

import argparse
import os
import resource
import statistics
import tempfile
import threading
import time
from pathlib import Path

from handler.outbox.paths import report_path
from handler.outbox.reports import ReportStore
from handler.processing.slots import Workers
from handler.workers.outcome import Outcome, Skipped
from pipeline.formats.completeness import is_complete
from sources.events import Event
from sources.folder.scanner import FolderScanner
from sources.folder.source import FolderSource
from sources.stores.local import FileStore

JPEG = (
    bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb0004000affda0002") + bytes([1]) * 200_000 + b"\xff\xd9"
)
NEVER = 3600.0


class Clocked:
    """A process that does nothing but note when it was given a photo."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> Outcome:
        with self._changed:
            self.begun.setdefault(event.path, time.perf_counter())
            self._changed.notify_all()
        return Skipped()

    def taken(self, event: Event) -> None: ...

    def settled(self, event: Event, outcome: Outcome) -> None: ...

    def until(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self.begun) >= number)


class Running:
    """A source and two slots."""

    def __init__(self, inbox: Path, outbox: Path) -> None:
        self.clocked = Clocked()
        report_store = ReportStore(FileStore(outbox))
        self.source = FolderSource(
            inbox,
            settle_seconds=2,
            rescan_seconds=NEVER,
            done_in=report_store.done_in,
            is_complete=is_complete,
        )
        self._workers = Workers(self.source, self.clocked, self.clocked, 2)

    def __enter__(self) -> "Running":
        self._workers.start()
        while self.source.attached():
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.source.stop()
        self._workers.wait()
        self.source.close()


def latency(inbox: Path, outbox: Path, photos: int) -> None:
    """From the moment that the writer closes a photo, or renames it, to the moment that a slot has it."""
    for how in ("written", "renamed"):
        ends: dict[str, float] = {}
        with Running(inbox, outbox) as running:
            for number in range(photos):
                name = f"{how}-{number}.jpg"
                _arrive(inbox, name, how)
                ends[name] = time.perf_counter()
                running.clocked.until(len(ends))
            waits = sorted(1000 * (begun - ends[name]) for name, begun in running.clocked.begun.items() if name in ends)
        for name in ends:
            (inbox / name).unlink()
        _print_waits(how, waits)


def _arrive(inbox: Path, name: str, how: str) -> None:
    place = inbox / (name if how == "written" else f"{name}.part")
    place.write_bytes(JPEG)
    if how == "renamed":
        place.rename(inbox / name)


def _print_waits(how: str, waits: list[float]) -> None:
    late = waits[int(len(waits) * 0.99)]
    print(f"{how} photo, start of work  p50 {statistics.median(waits):.1f} ms, p99 {late:.1f} ms, {len(waits)} photos")


def rescan(inbox: Path, outbox: Path, photos: int) -> None:
    """All photos done, in one folder: what a listing of both sides costs."""
    for number in range(photos):
        name = f"{number}.jpg"
        (inbox / name).touch()
        report = outbox / report_path(name)
        report.parent.mkdir(exist_ok=True)
        report.touch()
        changed = (inbox / name).stat().st_ctime_ns
        os.utime(report, ns=(changed, changed))
    scanner = FolderScanner(os.fspath(inbox), ReportStore(FileStore(outbox)).done_in)
    for _ in range(3):
        began, busy = time.perf_counter(), time.process_time()
        found = sum(len(batch.paths) for batch in scanner.scan())
        took, busy = time.perf_counter() - began, time.process_time() - busy
        print(f"{photos:,} done photos, rescan  {took:.2f} s ({busy:.2f} s of one processor), {found} found")


def flood(inbox: Path, outbox: Path, photos: int) -> None:
    """Photos that arrive as fast as names can be made, under the eyes of a running source; links share one content."""
    (outbox / "photo").write_bytes(JPEG)
    before = _memory()
    with Running(inbox, outbox) as running:
        began = time.perf_counter()
        for number in range(photos):
            if not number % 10_000:  # no file system lets one file have very many names
                (outbox / "photo").unlink()
                (outbox / "photo").write_bytes(JPEG)
            os.link(outbox / "photo", inbox / f"{number}.jpg")
        there = time.perf_counter() - began
        running.clocked.until(photos)
        taken = time.perf_counter() - began
    print(f"{photos:,} photos at once  there {there:.1f} s, taken {taken:.1f} s, {_memory() - before:.0f} MB of memory")


def _memory() -> float:
    """The most that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(photos: int) -> None:
    for measure, number in ((latency, 300), (flood, photos), (rescan, photos)):
        with tempfile.TemporaryDirectory() as folder:
            inbox, outbox = Path(folder, "in"), Path(folder, "out")
            inbox.mkdir(), outbox.mkdir()
            measure(inbox, outbox, number)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=100_000)
    run(parser.parse_args().photos)
