"""What the board tells of photos in work."""

import time

import pytest

from handler.processing.activity import Activity
from handler.telemetry.metrics import Metrics
from handler.workers.outcome import Skipped
from sources.events import Event
from tests.handler.telemetry.test_metrics import samples


@pytest.mark.parametrize(("ago", "counted"), [(90.0, 1), (None, 0)])
def test_how_long_a_photo_waited_is_told_when_its_work_begins(ago, counted):
    metrics = Metrics()
    queued_at = None if ago is None else time.monotonic() - ago
    Activity(metrics).taken(Event("file:///in/anna.jpg", "anna.jpg", "v1", queued_at=queued_at))

    seen = samples(metrics)
    assert seen["facecraft_queue_wait_seconds_count",] == counted
    assert seen["facecraft_queue_wait_seconds_sum",] >= (ago or 0)


def test_what_is_in_work_leaves_with_its_outcome():
    activity, event = Activity(Metrics()), Event("file:///in/anna.jpg", "anna.jpg", "v1")

    activity.taken(event)
    assert [each["uri"] for each in activity.inflight()] == [event.uri]
    activity.settled(event, Skipped())

    assert (activity.inflight(), activity.counts()) == ([], {"skipped": 1})
