"""What is in work and what became of the rest, for /status, the metrics and the progress bar."""

import threading
import time
from typing import Any

from handler.processing.slots import Progress
from handler.telemetry.metrics import Metrics
from handler.workers.outcome import Done, Outcome
from sources.events import Event


class Activity:
    """Is told of every photo that is taken and acknowledged. Thread-safe."""

    def __init__(self, metrics: Metrics, progress: Progress | None = None) -> None:
        self._metrics, self._progress = metrics, progress
        self._lock = threading.Lock()
        self._inflight: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._seconds = 0.0

    def taken(self, event: Event) -> None:
        with self._lock:
            self._inflight[event.uri] = time.monotonic()
        self._metrics.received(event.source)
        if event.queued_at is not None:
            self._metrics.waited(time.monotonic() - event.queued_at)
        if self._progress:
            self._progress.taken(event)

    def settled(self, event: Event, outcome: Outcome) -> None:
        name = outcome.name
        with self._lock:
            self._seconds += time.monotonic() - self._inflight.pop(event.uri, time.monotonic())
            self._counts[name] = self._counts.get(name, 0) + 1
        self._metrics.settled(event.source, name, outcome.stages_ms if isinstance(outcome, Done) else None)
        if self._progress:
            self._progress.settled(event, outcome)

    def inflight(self) -> list[dict[str, Any]]:
        """The photos in work, and for how many seconds; longest first."""
        now = time.monotonic()
        with self._lock:
            started = dict(self._inflight)
        return [{"uri": uri, "seconds": round(now - since, 1)} for uri, since in started.items()]

    def statistics(self) -> dict[str, int | float]:
        """How many photos came to an end, which share of them with a portrait, and how long one was in work."""
        with self._lock:
            ended = {name: self._counts.get(name, 0) for name in ("done", "rejected", "failed")}
            seconds = self._seconds
        total = sum(ended.values())
        return {
            "total_processed": total,
            "success_rate": round(ended["done"] / total, 4) if total else 0.0,
            "avg_processing_ms": round(1000 * seconds / total, 1) if total else 0.0,
        }

    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)
