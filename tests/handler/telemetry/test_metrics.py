import time

from prometheus_client.parser import text_string_to_metric_families

from handler import __version__
from handler.telemetry.metrics import Metrics
from pipeline.models.catalog import card


def samples(metrics):
    """Every sample by name and labels."""
    body, _ = metrics.render()
    families = text_string_to_metric_families(body.decode())
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_series_start_at_zero():
    seen = samples(Metrics(["folder"]))
    assert seen["facecraft_events_received_total", "folder"] == 0
    outcomes = ("done", "skipped", "rejected", "failed", "retried")
    assert {seen["facecraft_events_total", *sorted(("folder", outcome))] for outcome in outcomes} == {0}
    assert seen["facecraft_build_info", __version__] == 1
    assert not any("_created" in name for name, *_ in seen)


def test_settled_done_counts_stages_and_last_success():
    metrics, before = Metrics(), time.time()
    metrics.received("folder")
    metrics.settled("folder", "done", {"decode": 41.0, "detect": 60.0})
    seen = samples(metrics)
    assert seen["facecraft_events_received_total", "folder"] == 1
    assert seen["facecraft_events_total", "done", "folder"] == 1
    assert seen["facecraft_processing_seconds_sum", "decode"] == 0.041
    assert seen["facecraft_last_success_timestamp_seconds", "folder"] >= before


def test_settled_other_than_done_is_no_success():
    metrics = Metrics()
    for outcome in ("skipped", "rejected", "failed", "retried"):
        metrics.settled("folder", outcome)
    seen = samples(metrics)
    assert ("facecraft_last_success_timestamp_seconds", "folder") not in seen
    assert seen["facecraft_events_total", "folder", "retried"] == 1


def test_gauges_show_the_last_values():
    metrics = Metrics()
    metrics.load(inflight=2, pending=17, calls=3)
    metrics.load(inflight=1, pending=0, calls=2)
    metrics.source_up("folder", True)
    metrics.waited(-0.001)
    seen = samples(metrics)
    assert (seen["facecraft_inflight",], seen["facecraft_pending",]) == (1, 0)
    assert seen["facecraft_invocations_inflight",] == 2
    assert seen["facecraft_source_up", "folder"] == 1
    assert (seen["facecraft_queue_wait_seconds_count",], seen["facecraft_queue_wait_seconds_sum",]) == (1, 0)


def test_called_counts_by_end_and_times_started_calls():
    metrics = Metrics()
    metrics.called("done", 0.5)
    metrics.called("throttled")
    seen = samples(metrics)
    ends = ("done", "failed", "timed_out", "throttled", "refused")
    assert [seen["facecraft_invocations_total", end] for end in ends] == [1, 0, 0, 1, 0]
    assert (seen["facecraft_invocation_seconds_count",], seen["facecraft_invocation_seconds_sum",]) == (1, 0.5)


def test_count_increments_each_counter():
    metrics = Metrics()
    metrics.count("rescan_found", 3)
    metrics.count("watch_overflows")
    metrics.count("ignored")
    metrics.count("worker_deaths")
    seen = samples(metrics)
    names = ("rescan_found", "watch_overflows", "ignored", "worker_deaths")
    assert [seen[f"facecraft_{name}_total",] for name in names] == [3, 1, 1, 1]


def test_models_loaded_replaces_former_models():
    metrics = Metrics()
    metrics.models_loaded(3.5, [card("u2net"), card("landmarks_68")])
    metrics.models_loaded(2.5, [card("u2net")])
    seen = samples(metrics)
    assert seen["facecraft_model_load_seconds",] == 2.5
    infos = [key for key in seen if key[0] == "facecraft_model_info"]
    assert infos == [("facecraft_model_info", *sorted(("u2net", card("u2net").sha256, "Apache-2.0")))]


def test_metrics_of_two_services_are_separate():
    one, other = Metrics(), Metrics()
    one.received("folder")
    assert samples(other)["facecraft_events_received_total", "folder"] == 0
