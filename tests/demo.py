"""`make demo`: starts the service on an empty inbox, drops sample photos in, shows the results, and stops it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.support.ports import free_port

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "tests" / "portraits"
INBOX = ROOT / "demo" / "inbox"
OUTBOX = ROOT / "demo" / "outbox"
LOG = ROOT / "demo" / "service.log"
READY_SECONDS = 300
PHOTO_SECONDS = 120


class DemoFailedError(Exception):
    """The service did not do what the demo expects; the message says what is missing."""


def main() -> int:
    """Run the demo.

    Returns:
        The exit code: 0 if every photo got its report, else 1.
    """
    console = Console(width=None if sys.stdout.isatty() else 160)
    photos = sorted(path for path in SAMPLES.iterdir() if path.suffix in {".jpg", ".png", ".webp"})
    shutil.rmtree(ROOT / "demo", ignore_errors=True)
    INBOX.mkdir(parents=True)
    OUTBOX.mkdir()
    port = free_port()
    with LOG.open("wb") as log:
        service = subprocess.Popen([sys.executable, "-m", "handler", "watch"], cwd=ROOT, env=_env(port), stderr=log)
    try:
        _show(console, photos, port, service)
    except DemoFailedError as error:
        console.print(f"demo: {error}. The end of the service's log, {_short(LOG)}:", markup=False)
        console.print("\n".join(LOG.read_text().splitlines()[-20:]), markup=False, highlight=False)
        return 1
    finally:
        _stop(service)
    return 0


def _stop(service: subprocess.Popen[bytes]) -> None:
    service.send_signal(signal.SIGTERM)
    try:
        service.wait(timeout=60)
    except subprocess.TimeoutExpired:
        service.kill()
        service.wait()


def _show(console: Console, photos: list[Path], port: int, service: subprocess.Popen[bytes]) -> None:
    console.print(f"Starting the service on {_short(INBOX)} and loading the models")
    begun = time.monotonic()
    _wait(lambda: _ready(port), READY_SECONDS, service, lambda: "the service is not ready")
    console.print(f"Ready after {time.monotonic() - begun:.1f} s. Copying {len(photos)} photos into {_short(INBOX)}")
    begun = time.monotonic()
    for photo in photos:
        shutil.copy(photo, INBOX)
    _follow(console, photos, service)
    reports = {photo.name: json.loads(_report(photo).read_text()) for photo in photos}
    console.print(_table(reports))
    done = sum(report["outcome"] == "done" for report in reports.values())
    console.print(f"{done} of {len(photos)} photos became portraits in {time.monotonic() - begun:.1f} s.")
    console.print(f"Portraits: {_short(OUTBOX)}/   reports: {_short(OUTBOX)}/reports/   log: {_short(LOG)}")


def _follow(console: Console, photos: list[Path], service: subprocess.Popen[bytes]) -> None:
    """Wait for every report; print each photo as its report appears."""
    reported: set[str] = set()

    def all_here() -> bool:
        for photo in photos:
            if photo.name not in reported and _report(photo).exists():
                reported.add(photo.name)
                console.print(f"  {len(reported)}/{len(photos)} {photo.name}", highlight=False)
        return len(reported) == len(photos)

    def missing() -> str:
        return "no report for " + ", ".join(photo.name for photo in photos if photo.name not in reported)

    _wait(all_here, PHOTO_SECONDS * len(photos), service, missing)


def _wait(done: Callable[[], bool], seconds: float, service: subprocess.Popen[bytes], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if service.poll() is not None:
            raise DemoFailedError(f"the service ended with {service.returncode}")
        if time.monotonic() > deadline:
            raise DemoFailedError(f"{what()} after {seconds:.0f} s")
        time.sleep(0.2)


def _table(reports: dict[str, dict[str, Any]]) -> Table:
    stages = list(dict.fromkeys(stage for report in reports.values() for stage in report.get("stages_ms", {})))
    table = Table("photo", "portraits", *stages, title="time per stage in ms")
    for name, report in reports.items():
        times = report.get("stages_ms", {})
        outputs = "\n".join(output["name"] for output in report.get("outputs", []))
        cells = [f"{times[stage]:.0f}" if stage in times else "" for stage in stages]
        table.add_row(name, outputs or f"{report['outcome']}: {report['reason']}", *cells)
    return table


def _report(photo: Path) -> Path:
    return OUTBOX / "reports" / f"{photo.name}.json"


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _env(port: int) -> dict[str, str]:
    """The demo's own folders and port; of the user's settings only those that say where the models are."""
    ours = {"INBOX": str(INBOX), "OUTBOX": str(OUTBOX), "PORT": str(port), "SOURCES": "folder"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FACECRAFT_") or name.endswith(("MODELS_DIR", "_PATH"))
    }
    return kept | {f"FACECRAFT_{name}": value for name, value in ours.items()}


def _short(path: Path) -> Path:
    return path.relative_to(ROOT)


if __name__ == "__main__":
    sys.exit(main())
