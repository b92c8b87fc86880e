"""One run: photos arrive, things die, everything comes to rest, and what lies there is checked."""

import random
import threading
from collections import Counter

from sources.stores.local import FileStore
from tests.chaos.audit import audited, contents, snapshot, unreported
from tests.chaos.feed import Feeder
from tests.chaos.services import LIGHT, REAL, Services, kill

REST_SECONDS = 600
ALIVE = 3.0
"""Seconds between two deaths, at most: start and first photos are the half of it."""


def run(folder, seed, kills, models, photo, *, light=True, say=lambda line: None):
    """`kills` deaths below the empty `folder`; gives the audit and how often what died. `photo`: a whole JPEG."""
    (folder / "in").mkdir()
    rng, deaths, pause = random.Random(seed), Counter(), threading.Event()
    around = {path.name for path in folder.iterdir()} | {"aside", "home", "out", "tmp"}
    with Services(
        folder, LIGHT if light else REAL, models, WORKERS=2 if light else 1, PHOTO_TIMEOUT_SECONDS=5 if light else 60
    ) as services:
        services.start()
        with Feeder(folder / "in", photo, seed, pause=0.01 if light else 0.1) as feeder:
            while deaths.total() < kills:
                pause.wait(rng.uniform(0, ALIVE if light else 4 * ALIVE))
                if died := kill(services, rng):
                    deaths[died] += 1
                    say(f"{deaths.total()} of {kills}: {died}; {len(feeder.photos)} photos")
        before = snapshot(feeder.inbox)
        _come_to_rest(folder, services, pause)
        code = services.stop()
    audit = audited(feeder, folder / "out", services.logs, before, light=light)
    audit.left_over += [] if code == 0 else [f"exit code {code}"]
    audit.touched += sorted({path.name for path in folder.iterdir()} - around - {log.name for log in services.logs})
    audit.touched += [path.name for place in ("home", "tmp") for path in (folder / place).iterdir()]
    return audit, deaths


def _come_to_rest(folder, services, pause):
    """Wait until all photos have their reports, and no attempt is open."""
    inbox, outbox = FileStore(folder / "in"), FileStore(folder / "out")
    for _ in range(REST_SECONDS):
        if services.process.poll() is not None:
            return
        if not outbox.stamps(".facecraft/attempts") and not unreported(contents(inbox), outbox):
            return
        pause.wait(1)
