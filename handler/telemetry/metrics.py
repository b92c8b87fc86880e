"""The Prometheus metrics. Labels have a closed set of values: never a photo's name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from handler import __version__
from pipeline.models.catalog import ModelCard

OutcomeName = Literal["done", "skipped", "rejected", "failed", "retried", "vanished"]
Counted = Literal["watch_overflows", "rescan_found", "ignored", "worker_deaths", "expired"]
Ended = Literal["done", "failed", "timed_out", "throttled", "refused"]

_STAGE_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_WAIT_SECONDS: Final = (0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 43_200)
_HELP: Final[Mapping[Counted, str]] = {
    "watch_overflows": "Times that the watcher lost events and a rescan made up for them",
    "rescan_found": "Photos that a rescan found and no event announced",
    "ignored": "Files and folders in the inbox that are not photos and were ignored",
    "worker_deaths": "Worker processes that died or were killed at their timeout",
    "expired": "Portrait files that were deleted because of their age",
}


class Metrics:
    """The metrics of one service, in a registry of its own. Thread-safe."""

    def __init__(self, sources: Sequence[str] = ("folder",)) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they only tell when the process started
        registry = self._registry = CollectorRegistry()
        self._received = Counter(
            "facecraft_events_received", "Events that a source yielded", ["source"], registry=registry
        )
        self._settled = Counter("facecraft_events", "Events by outcome", ["source", "outcome"], registry=registry)
        self._processing = Histogram(
            "facecraft_processing_seconds", "Time per stage", ["stage"], buckets=_STAGE_SECONDS, registry=registry
        )
        self._wait = Histogram(
            "facecraft_queue_wait_seconds", "Time from event to processing", buckets=_WAIT_SECONDS, registry=registry
        )
        self._inflight = Gauge("facecraft_inflight", "Photos being processed", registry=registry)
        self._pending = Gauge("facecraft_pending", "Photos waiting to be processed", registry=registry)
        self._success = Gauge(
            "facecraft_last_success_timestamp_seconds",
            "When a portrait was last finished",
            ["source"],
            registry=registry,
        )
        self._up = Gauge("facecraft_source_up", "1 while the source is attached", ["source"], registry=registry)
        self._calls = Counter("facecraft_invocations", "Calls of the function by end", ["end"], registry=registry)
        self._calling = Gauge("facecraft_invocations_inflight", "Calls that run or wait", registry=registry)
        self._call_time = Histogram(
            "facecraft_invocation_seconds",
            "Duration of a call, including waiting",
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        self._load = Gauge("facecraft_model_load_seconds", "How long the last worker loaded models", registry=registry)
        self._models = Gauge("facecraft_model_info", "Models in use", ["name", "sha256", "licence"], registry=registry)
        Info("facecraft_build", "The running version", registry=registry).info({"version": __version__})
        self._counters = {name: Counter(f"facecraft_{name}", text, registry=registry) for name, text in _HELP.items()}
        self._create_series(sources)

    def _create_series(self, sources: Sequence[str]) -> None:
        """Creates all series at 0: rate() misses the first event of a series that appears at 1."""
        for end in get_args(Ended):
            self._calls.labels(end)
        for source in sources:
            self._received.labels(source)
            self._up.labels(source)
            for outcome in get_args(OutcomeName):
                self._settled.labels(source, outcome)

    def received(self, source: str) -> None:
        """Counts an event that the source yielded."""
        self._received.labels(source).inc()

    def settled(self, source: str, outcome: OutcomeName, stages_ms: Mapping[str, float] | None = None) -> None:
        """Counts an event that was acknowledged or returned for a retry.

        Args:
            source: The source of the event.
            outcome: What became of it.
            stages_ms: Milliseconds per stage, as in the report.
        """
        self._settled.labels(source, outcome).inc()
        for stage, ms in (stages_ms or {}).items():
            self._processing.labels(stage).observe(ms / 1000)
        if outcome == "done":
            self._success.labels(source).set_to_current_time()

    def called(self, end: Ended, seconds: float | None = None) -> None:
        """Counts an invocation.

        Args:
            end: How it ended.
            seconds: Its duration including waiting; None if it never started.
        """
        self._calls.labels(end).inc()
        if seconds is not None:
            self._call_time.observe(seconds)

    def waited(self, seconds: float) -> None:
        """Records the seconds from a photo's event to the start of its processing."""
        self._wait.observe(max(0.0, seconds))

    def load(self, inflight: int, pending: int, calls: int) -> None:
        """Sets the gauges: photos being processed, photos waiting, and invocations that run or wait."""
        self._inflight.set(inflight)
        self._pending.set(pending)
        self._calling.set(calls)

    def source_up(self, source: str, up: bool) -> None:
        self._up.labels(source).set(up)

    def count(self, name: Counted, times: int = 1) -> None:
        self._counters[name].inc(times)

    def models_loaded(self, seconds: float, cards: Iterable[ModelCard]) -> None:
        """Records the models in use, instead of the former ones.

        Args:
            seconds: How long a worker took to load them.
            cards: The models.
        """
        self._load.set(seconds)
        self._models.clear()
        for card in cards:
            self._models.labels(card.name, card.sha256, card.licence).set(1)

    def render(self) -> tuple[bytes, str]:
        """The metrics in the Prometheus text format, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
