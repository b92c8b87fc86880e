"""One run with MinIO: photos come into a bucket, the service dies and stays away, its way to the bucket goes bad."""

import random
import threading
from collections import Counter

from handler.outbox.paths import ATTEMPTS
from sources.stores.s3 import S3Store
from tests.chaos.audit import Audit, check_outbox, done_twice, unreported
from tests.chaos.bucket_feed import BUCKET, BucketFeeder
from tests.chaos.services import DEATHS, LIGHT, REAL, Services, kill
from tests.support.fault_proxy import FaultProxy
from tests.support.minio import Minio
from tests.support.ports import free_port

REST_SECONDS = 600
TOKEN = "7Hq2vX"  # noqa: S105 - of the tests
KILLED = DEATHS[:1]
HARMS = {
    "503 from the bucket": FaultProxy.BUSY,
    "500 from the bucket": FaultProxy.BROKEN,
    "a clock that is wrong": FaultProxy.SKEWED,
    "no way to the bucket": "refused",
    "answers cut in the middle": "cut",
    "answers lost": "late",
    "a slow bucket": "slow",
    "a bucket that does not answer": "stuck",
}


class BucketRun:
    """`troubles` are deaths and harms in turns: the first two are the service's own deaths by SIGKILL."""

    def __init__(self, folder, seed, models, photo, *, number, light=True, harms=True, rescan_seconds=10):
        self._folder, self._seed, self._photo, self._number, self._light = folder, seed, photo, number, light
        self._rng, self._pause = random.Random(seed), threading.Event()
        self._harms = HARMS if harms else {}
        self._settings = {
            "INBOX": f"s3://{BUCKET}/in", "OUTBOX": f"s3://{BUCKET}/out", "SOURCES": "webhook", "WEBHOOK_TOKEN": TOKEN,
            "RESCAN_SECONDS": rescan_seconds, "PORT": free_port(), "WORKERS": 2 if light else 1,
            "PHOTO_TIMEOUT_SECONDS": 5 if light else 60,
        }  # fmt: skip
        self._models = models

    def run(self, troubles, say=lambda line: None):
        """The audit, and how often what happened."""
        (self._folder / "minio").mkdir()
        hook = f"http://127.0.0.1:{self._settings['PORT']}/events"
        with Minio(self._folder / "minio", hook, TOKEN) as server, FaultProxy(server.endpoint) as proxy:
            server.client().create_bucket(Bucket=BUCKET)
            server.notify(BUCKET)
            with server.reached(), self._services(server, proxy) as services:
                return self._lived_through(troubles, server, proxy, services, say)

    def _services(self, server, proxy):
        command = LIGHT if self._light else REAL
        return Services(self._folder, command, self._models, server.environ(proxy.endpoint), **self._settings)

    def _lived_through(self, troubles, server, proxy, services, say):
        happened = Counter()
        services.start()
        # a service takes up to 3 s to be there, and photos should come all the time
        pause = max(0.1, 6 * troubles / self._number)
        with BucketFeeder(server.client(), self._photo, self._seed, self._number, pause) as feeder:
            for index in range(troubles):
                feeder.until((index + 1) / (troubles + 1))
                away = (index + 1.3) / (troubles + 1)
                what = self._trouble(index, services, proxy, lambda away=away: feeder.until(away))
                happened[what] += 1
                say(f"{index + 1} of {troubles}: {what}; {len(feeder.checksums)} photos")
        outbox = S3Store(BUCKET, "out")
        self._come_to_rest(feeder, outbox, server, services)
        code = services.stop()
        audit = audited(feeder, outbox, server, services.logs, light=self._light)
        audit.left_over += [] if code == 0 else [f"exit code {code}"]
        return audit, happened

    def _trouble(self, index, services, proxy, away):
        if index < 2:
            return kill(services, self._rng, KILLED, away)
        if self._harms and self._rng.random() < 0.5:
            name = self._rng.choice(sorted(self._harms))
            proxy.do(self._harms[name], after=self._rng.randrange(2000))
            self._pause.wait(self._rng.uniform(0.5, 8))
            proxy.do(None)
            return name
        return kill(services, self._rng, DEATHS, away) or "no worker there"

    def _come_to_rest(self, feeder, outbox, server, services):
        """Wait until all photos have their reports, and nobody holds or remembers anything."""
        left = feeder.checksums
        for _ in range(REST_SECONDS):
            if services.process.poll() is not None:
                return
            left = unreported(left, outbox)
            if not left and not (_held(outbox) or server.queued()) and len(_living(outbox)) == 1:
                return
            self._pause.wait(1)


def _held(outbox):
    return [name for folder in (".facecraft/tmp", ATTEMPTS) for name in outbox.stamps(folder)]


def _living(outbox):
    return list(outbox.stamps(".facecraft/services"))


def audited(feeder, outbox, server, logs, *, light):
    inbox, audit = S3Store(BUCKET, "in"), Audit()
    check_outbox(audit, feeder, inbox, outbox, light=light)
    audit.lost += unreported(feeder.checksums, outbox)
    reports = len(list(outbox.list("reports")))
    if not len(feeder.checksums) <= reports <= len(feeder.checksums) + len(feeder.removed):
        audit.doubled.append(f"{reports} reports of {len(feeder.checksums)} photos and {len(feeder.removed)} that went")
    audit.doubled += done_twice(logs, {inbox.uri(path): number for path, number in feeder.sidecars.items()})
    there = {entry.path: entry.etag for entry in inbox.entries()}
    audit.touched += sorted(path for path, _ in there.items() ^ feeder.etags.items())
    audit.left_over += [f"in MinIO's queue: {name}" for name in server.queued()]
    audit.left_over += [f"a service: {name}" for name in _living(outbox)]
    return audit
