"""The service: builds all parts, connects them, starts and stops them, and answers the HTTP server."""

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast, get_args

from aiohttp import web

from handler import __version__
from handler.api.access import Access
from handler.api.answers import answer
from handler.api.callbacks import Callbacks
from handler.api.jobs import Jobs
from handler.api.routes import Api
from handler.api.store import JobStore
from handler.api.sweeper import Sweeper
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
from handler.processing.slots import Progress, Workers
from handler.serverless.calls import CallExecutor
from handler.serverless.function import LambdaFunction
from handler.service.recovery import Recovery
from handler.service.sources import Bucket, Queue, SourceSet, from_folder
from handler.service.status import device_facts, model_roles
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
_START_FAILED: Final = "the service could not start: see the error in the log, then start it again"
_SPARE: Final = 2
"""Threads of the HTTP API beside those that the workers keep busy: they write results meanwhile."""


class Service:
    """Makes portraits of the photos in the inbox. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        *,
        once: bool = False,
        progress: Progress | None = None,
        build: Callable[[CommonSettings], ModelSet] = build_model_set,
        load: LoadModels = child.load,
    ) -> None:
        """Builds the service; nothing runs before `start`.

        Args:
            settings: The settings.
            once: Process the photos that are in the inbox, then end; otherwise watch it until `drain`.
            progress: Receives each photo that is taken and its outcome.
            build: Verifies the models.
            load: Loads the verified models, in each worker process.
        """
        self._settings = settings
        self._names = settings.source_names()
        self._metrics = Metrics(self._names if "folder" in self._names else tuple({*self._names, "poll"}))
        self._activity = Activity(self._metrics, progress)
        self._inbox, self._outbox = store_at(settings.inbox), store_at(settings.outbox)
        self._report_store = ReportStore(self._outbox)
        self._attempts = Attempts(self._outbox)
        self._draining = threading.Event()
        self._outbox_health = OutboxHealth(self._outbox, settings.outbox, self._draining, self._recover_again)
        hours = None if once else settings.cleanup_age_hours
        self._retention = Retention(self._outbox, self._attempts, hours, self._draining, self._count)
        self._starting = threading.Thread(target=self._start_workers, name="start", daemon=True)
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
        self._api = None if once else self._build_api()

    def _source_set(self, *, once: bool) -> SourceSet:
        if isinstance(self._inbox, FileStore):
            return from_folder(self._folder_source(self._inbox.root, once=once))
        settings = self._settings
        dated = settings.after == "keep"
        bucket = Bucket(self._inbox, self._outbox, settings.rescan_seconds, dated, self._count)
        queue = self._queue(self._inbox) if "sqs" in self._names and not once else None
        return bucket.source_set(self._names, queue, once=once)

    def _queue(self, inbox: S3Store) -> Queue:
        from sources.sqs.client import connect  # noqa: PLC0415 - imports boto3, which folders do not need
        from sources.sqs.source import SqsSource  # noqa: PLC0415 - likewise

        url, slots = str(self._settings.sqs_queue_url), self._settings.workers
        return SqsSource(url, inbox.bucket, inbox.prefix, slots=slots, client=connect(url), on_count=self._count)

    def _folder_source(self, inbox: Path, *, once: bool) -> FolderSource:
        return FolderSource(
            inbox,
            settle_seconds=self._settings.settle_seconds,
            rescan_seconds=self._settings.rescan_seconds,
            done_in=self._report_store.done_in,
            is_complete=is_complete,
            once=once,
            on_count=self._count,
        )

    def _function(self, process: Process) -> LambdaFunction:
        """The function that invocations call. It shares all but its lane in the pool with the photos of the source."""
        lane = PoolLane(self.pool, self._settings.photo_timeout_seconds)
        return LambdaFunction(self._settings, lane, replace(process, pool=lane))

    def _build_api(self) -> Api:
        """Its jobs share the workers with the photos of the source, and have a lane of their own."""
        settings, store = self._settings, JobStore(self._outbox)
        key = settings.api_key.get_secret_value() if settings.api_key else None
        callbacks = Callbacks(settings.callback_hosts, key, lambda job: answer(job, store))
        lane, threads = PoolLane(self.pool), settings.workers + _SPARE
        jobs = Jobs(store, lane, self._activity, settings.limits(), threads, callbacks.send)
        sweeper = Sweeper(jobs, self._attempts, settings.job_hours, settings.max_attempts, self._draining)
        access = Access(is_loopback(settings.host), key, settings.open, settings.cors_origins)
        return Api(settings, access, jobs, sweeper, callbacks, self._closed, self._attempts.service)

    def start(self) -> None:
        """Starts to load the models and to recover the outbox, and returns at once.

        Photos are taken as soon as a worker has loaded the models and the outbox is recovered.
        """
        self.pool.start()
        self._outbox_health.start()
        self._retention.start()
        self._starting.start()
        if self._api:
            self._api.start()

    def drain(self) -> None:
        """Stops taking photos and invocations, finishes those in progress, then ends all processes and threads."""
        self._draining.set()
        self.source.stop()
        self.pool.stop_waiting()
        self._starting.join()
        self._calls.drain()
        if self._api:
            self._api.drain()
        self.finish()

    def finish(self) -> None:
        """Waits until the source has ended and all its photos are processed, then ends all processes and threads."""
        self._workers.wait()
        self._draining.set()
        self.pool.stop()
        self.source.close()
        self._retention.join()
        if self._api:
            self._api.close()
        self._attempts.close()
        self._outbox_health.join()

    def wait_started(self) -> str | None:
        """Waits until photos are taken.

        Returns:
            None, or why none are taken and what to do: models do not load, or the outbox cannot be written.
        """
        while self._starting.is_alive():
            self._starting.join(_TICK)
            if self.pool.failures or self._outbox_health.trouble:
                return self.pool.unready() if self.pool.failures else self._outbox_health.unwritable()
        return _START_FAILED if self._start_failed() else None

    def wait_finished(self, seconds: float) -> bool:
        """Waits until the source ends (only with `once`), up to `seconds` for each worker thread.

        Returns:
            Whether all photos are processed.
        """
        return self._workers.wait(seconds)

    def waiting(self) -> int:
        """The number of photos that wait or are being processed."""
        return self.source.pending() + len(self._activity.inflight())

    def _start_workers(self) -> None:
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

    def _recover_again(self) -> None:
        if self._workers.begun():
            self._recovery.run()

    def _await_outbox(self) -> None:
        """Blocks while the outbox cannot be written: otherwise 100,000 photos would fail in turn and fill the log."""
        self._outbox_health.wait(lambda: self.source.stopped)

    def _count(self, name: str, times: int) -> None:
        if name in get_args(Counted):
            self._metrics.count(cast("Counted", name), times)

    def _models(self) -> tuple[Verified, ...]:
        return self.pool.model_set.models if self.pool.model_set else ()

    # Called by the HTTP server

    def events(self) -> EventsRoute | None:
        """The route `POST /events`; None unless webhooks are a source."""
        token = self._settings.webhook_token
        if self._sources.accept is None:
            return None
        return EventsRoute(self._sources.accept, self.unready, token.get_secret_value() if token else None)

    def invoke(self) -> InvokeRoute:
        """The route of the Lambda-compatible endpoint."""
        settings = self._settings
        key = settings.api_key.get_secret_value() if settings.api_key else None
        guard = Guard(is_loopback(settings.host), key)
        return InvokeRoute(self._calls, guard, self.unready, self._metrics, settings.photo_timeout_seconds)

    def install_api(self, app: web.Application) -> None:
        """Add the routes of the HTTP API."""
        if self._api:
            self._api.install(app)

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether the service works, and the details for `/health`. False only after a bug in the service itself."""
        if self._start_failed():
            return False, {"error": _START_FAILED}
        lost = 0 if self._draining.is_set() else self._workers.lost()
        return lost == 0, {"slots_lost": lost} if lost else {}

    def _start_failed(self) -> bool:
        """Whether the thread that starts the workers ended too early: a bug in the service itself."""
        ended = self._starting.ident is not None and not self._starting.is_alive()
        return ended and not self._workers.begun() and not self._draining.is_set()

    def unready(self) -> list[str]:
        """Why no photo can be processed now, with what to do; empty if one can."""
        attached = self.source.attached()
        return [*self._closed(), *([attached] if attached else [])]

    def _closed(self) -> list[str]:
        """Why no photo can be processed now that needs no inbox."""
        draining = "the service is stopping" if self._draining.is_set() else None
        reasons = (draining, self.pool.unready(), self._outbox_health.unwritable())
        return [reason for reason in reasons if reason]

    def models_loaded(self) -> bool:
        return self.pool.unready() is None

    def status(self) -> dict[str, Any]:
        """The body of `/status`; see handler/README.md."""
        return {
            "status": "operational",
            "version": __version__,
            "uptime_seconds": int(time.time() - self._started),
            "ready": not self.unready(),
            "device": device_facts(self.pool.device),
            "models": model_roles(self.pool.model_set, loaded=self.models_loaded()),
            "statistics": self._activity.statistics(),
            "device_used": self.pool.device,
            "model_files": [model.facts for model in self._models()],
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
            "jobs": {"inflight": self._api.taken if self._api else 0, "limit": self._settings.max_concurrent_jobs},
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
        """The body of `/metrics` and its content type."""
        self._metrics.load(len(self._activity.inflight()), self.source.pending(), self._calls.in_flight)
        for name, attached in self._sources.attached.items():
            self._metrics.source_up(name, attached() is None)
        return self._metrics.render()
