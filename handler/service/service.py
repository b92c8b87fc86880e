"""The service: everything wired together, started, asked and stopped."""

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast, get_args

from handler import __version__
from handler.config.fields import is_loopback
from handler.config.settings import CommonSettings, Settings
from handler.http.auth import Guard
from handler.http.events import EventsRoute
from handler.http.invoke import InvokeRoute
from handler.models.select import build_model_set
from handler.outbox.attempts import Attempts
from handler.outbox.health import OutboxHealth
from handler.outbox.reports import ReportStore
from handler.outbox.retention import Retention
from handler.processing.activity import Activity
from handler.processing.process import Process
from handler.processing.worker import Progress, Workers
from handler.serverless.calls import CallExecutor
from handler.serverless.function import LambdaFunction
from handler.service.recovery import Recovery
from handler.service.sources import Bucket, Queue, SourceSet, from_folder
from handler.telemetry.metrics import Counted, Metrics
from handler.workers import child
from handler.workers.pool import LoadModels, ModelPool, PoolLane
from pipeline.formats.completeness import is_complete
from pipeline.models.catalog import Verified
from pipeline.models.model_set import ModelSet
from sources.folder.source import FolderSource
from sources.stores.local import FileStore
from sources.stores.location import store_at
from sources.stores.s3 import S3Store

_TICK: Final = 0.2
_NOT_BEGUN: Final = "the service could not start: see the error in the log, then start it again"


class Service:
    """Watches the inbox, or empties it `once`, and turns its photos into portraits. Also what the server asks.

    `progress` hears of every photo, beside the metrics. `build` verifies the models that `load` loads in each worker.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        once: bool = False,
        progress: Progress | None = None,
        build: Callable[[CommonSettings], ModelSet] = build_model_set,
        load: LoadModels = child.load,
    ) -> None:
        self._settings = settings
        self._names = settings.source_names()
        self._metrics = Metrics(self._names if "folder" in self._names else tuple({*self._names, "poll"}))
        self._activity = Activity(self._metrics, progress)
        self._inbox, self._outbox = store_at(settings.inbox), store_at(settings.outbox)
        self._report_store = ReportStore(self._outbox)
        self._attempts = Attempts(self._outbox)
        self._draining = threading.Event()
        self._outbox_health = OutboxHealth(self._outbox, settings.outbox, self._draining, self._look_again)
        hours = None if once else settings.cleanup_age_hours
        self._retention = Retention(self._outbox, self._attempts, hours, self._draining, self._counted)
        self._beginning = threading.Thread(target=self._begin, name="begin", daemon=True)
        self._started = time.time()
        self.pool = ModelPool(
            functools.partial(build, settings),
            settings.workers,
            settings.photo_timeout_seconds,
            on_death=lambda: self._metrics.count("worker_deaths"),
            load=load,
        )
        self._sources = self._source_set(once=once)
        self.source = self._sources.source
        process = Process.between(self._inbox, self._outbox, self._attempts, self.pool, settings)
        process = replace(process, most_attempts=self._sources.most_attempts)
        self._recovery = Recovery(
            self._inbox, self._report_store, process.writer, self._attempts, self._sources.recheck
        )
        self._workers = Workers(self.source, process, self._activity, settings.workers, self._await_outbox)
        self._calls = CallExecutor(self._function(process), settings.max_concurrent_jobs, self._metrics)

    def _source_set(self, *, once: bool) -> SourceSet:
        if isinstance(self._inbox, FileStore):
            return from_folder(self._folder_source(self._inbox.root, once=once))
        settings = self._settings
        dated = settings.after == "keep"
        bucket = Bucket(self._inbox, self._outbox, settings.rescan_seconds, dated, self._counted)
        queue = self._queue(self._inbox) if "sqs" in self._names and not once else None
        return bucket.source_set(self._names, queue, once=once)

    def _queue(self, inbox: S3Store) -> Queue:
        from sources.sqs.client import connect  # noqa: PLC0415 - as above
        from sources.sqs.source import SqsSource  # noqa: PLC0415 - it brings boto3, which others have no use for

        url, slots = str(self._settings.sqs_queue_url), self._settings.workers
        return SqsSource(url, inbox.bucket, inbox.prefix, slots=slots, client=connect(url), on_count=self._counted)

    def _folder_source(self, inbox: Path, *, once: bool) -> FolderSource:
        return FolderSource(
            inbox,
            settle_seconds=self._settings.settle_seconds,
            rescan_seconds=self._settings.rescan_seconds,
            done_in=self._report_store.done_in,
            is_complete=is_complete,
            once=once,
            on_count=self._counted,
        )

    def _function(self, process: Process) -> LambdaFunction:
        """Calls share workers, attempts and turns with the photos of the source, and have a lane of their own."""
        lane = PoolLane(self.pool, self._settings.photo_timeout_seconds)
        return LambdaFunction(self._settings, lane, replace(process, pool=lane))

    def start(self) -> None:
        """Load the models and look through the outbox; photos are taken as soon as both are done. Returns at once."""
        self.pool.start()
        self._outbox_health.start()
        self._retention.start()
        self._beginning.start()

    def drain(self) -> None:
        """Take no more photos and calls, finish those in work, end the model workers."""
        self._draining.set()
        self.source.stop()
        self.pool.stop_waiting()
        self._beginning.join()
        self._calls.drain()
        self.finish()

    def finish(self) -> None:
        """Wait until the source has ended and everything is settled, then end the rest."""
        self._workers.wait()
        self._draining.set()
        self.pool.stop()
        self.source.close()
        self._retention.join()
        self._attempts.close()
        self._outbox_health.join()

    def wait_started(self) -> str | None:
        """Wait until photos are taken; else say what is in the way, models that do not load or the outbox."""
        while self._beginning.is_alive():
            self._beginning.join(_TICK)
            if self.pool.failures or self._outbox_health.trouble:
                return self.pool.unready() if self.pool.failures else self._outbox_health.unwritable()
        return _NOT_BEGUN if self._never_begun() else None

    def wait_finished(self, seconds: float) -> bool:
        """Whether everything was settled within that time; only `once` comes to such an end."""
        return self._workers.wait(seconds)

    def waiting(self) -> int:
        """Photos found and not settled."""
        return self.source.pending() + len(self._activity.inflight())

    def _begin(self) -> None:
        while not self._draining.is_set():
            if self._outbox_health.trouble is None and self._recovered() and self.pool.wait_ready():
                self._metrics.models_loaded(self.pool.load_seconds, [model.card for model in self._models()])
                self._workers.start()
                return
            self._draining.wait(_TICK)

    def _recovered(self) -> bool:
        try:
            return self._recovery.run()
        except OSError as error:
            self._outbox_health.trouble = str(error)
            return False

    def _look_again(self) -> None:
        if self._workers.begun():
            self._recovery.run()

    def _await_outbox(self) -> None:
        """100,000 photos that fail one after the other, again and again, would only fill the log."""
        self._outbox_health.wait(lambda: self.source.stopped)

    def _counted(self, name: str, more: int) -> None:
        if name in get_args(Counted):
            self._metrics.count(cast("Counted", name), more)

    def _models(self) -> tuple[Verified, ...]:
        return self.pool.model_set.models if self.pool.model_set else ()

    # What the server asks

    def events(self) -> EventsRoute | None:
        """What `POST /events` needs, where that is a source."""
        token = self._settings.webhook_token
        if self._sources.accept is None:
            return None
        return EventsRoute(self._sources.accept, self.unready, token.get_secret_value() if token else None)

    def invoke(self) -> InvokeRoute:
        """What the Lambda-compatible endpoint needs."""
        settings = self._settings
        key = settings.api_key.get_secret_value() if settings.api_key else None
        guard = Guard(is_loopback(settings.host), key)
        return InvokeRoute(self._calls, guard, self.unready, self._metrics, settings.photo_timeout_seconds)

    def health(self) -> tuple[bool, dict[str, Any]]:
        if self._never_begun():
            return False, {"error": _NOT_BEGUN}
        lost = 0 if self._draining.is_set() else self._workers.lost()
        return lost == 0, {"slots_lost": lost} if lost else {}

    def _never_begun(self) -> bool:
        """Whether the thread that begins ended before it had: a fault of ours."""
        over = self._beginning.ident is not None and not self._beginning.is_alive()
        return over and not self._workers.begun() and not self._draining.is_set()

    def unready(self) -> list[str]:
        draining = "the service is stopping" if self._draining.is_set() else None
        reasons = (draining, self.pool.unready(), self.source.attached(), self._outbox_health.unwritable())
        return [reason for reason in reasons if reason]

    def status(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "uptime_seconds": round(time.time() - self._started, 1),
            "ready": not self.unready(),
            "device": self.pool.device,
            "models": [model.facts for model in self._models()],
            **self._restoration(),
            "outbox": {"place": str(self._settings.outbox), "conditional": self._recovery.conditional},
            "source": {
                "kind": ",".join(self._names),
                "inbox": str(self._settings.inbox),
                "mode": self._sources.mode(),
            },
            "counts": self._activity.counts(),
            "pending": self.source.pending(),
            "inflight": self._activity.inflight(),
            "invocations": {"inflight": self._calls.in_flight, "limit": self._calls.limit},
            "worker_deaths": self.pool.deaths,
        }

    def _restoration(self) -> dict[str, str]:
        model_set = self.pool.model_set
        if self._settings.restore == "off":
            return {"restoration": "off"}
        if model_set is None or model_set.restorer is None:
            return {
                "restoration": "unavailable",
                "restoration_why": model_set.unrestored if model_set else "no models are loaded yet",
            }
        return {"restoration": "available"}

    def metrics(self) -> tuple[bytes, str]:
        self._metrics.load(len(self._activity.inflight()), self.source.pending(), self._calls.in_flight)
        for name, attached in self._sources.attached.items():
            self._metrics.source_up(name, attached() is None)
        return self._metrics.render()
