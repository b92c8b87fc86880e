"""A short run of what `make chaos` does at length; and the harness itself: that it can fail."""

import random
import sys

import pytest

from tests.bench.memory import measure
from tests.chaos.__main__ import PORTRAIT
from tests.chaos.audit import audited, snapshot
from tests.chaos.feed import Feeder
from tests.chaos.run import run
from tests.chaos.services import LIGHT

LIGHT_SERVICE = (sys.executable, *LIGHT)


@pytest.mark.timeout(600)
def test_photos_that_arrive_while_everything_dies_end_as_one_report_each(tmp_path):
    seed = random.SystemRandom().randrange(10**6)

    audit, _ = run(tmp_path, seed, 6, tmp_path / "no models", PORTRAIT.read_bytes())

    assert audit.well(), f"seed {seed}: {audit.faults()}"


def test_the_audit_tells_what_is_lost_left_over_and_touched(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    with Feeder(tmp_path / "in", PORTRAIT.read_bytes(), 1) as feeder:
        pass
    before = snapshot(feeder.inbox)
    (feeder.inbox / "segv-photo.jpg").touch()
    (tmp_path / "out" / "anna.png").touch()

    audit = audited(feeder, tmp_path / "out", [], before, light=True)

    assert "oom-photo.jpg" in audit.lost
    assert (audit.touched, audit.left_over) == (["segv-photo.jpg"], ["anna.png"])


def test_memory_stays_flat(tmp_path):
    service = [service for _, service, _ in measure(tmp_path, tmp_path / "none", 300, LIGHT_SERVICE)]

    assert service[-1] - service[2] < 20
