"""`POST /events` alone, without models: `python -m tests.bench.webhook`.

Prints how many events a second go from a client's POST to a slot that does nothing, and how long an answer takes.
"""

import argparse
import http.client
import json
import statistics
import threading
import time
from collections.abc import Iterator

from handler.http.events import EventsRoute
from handler.http.server import ServerThread, make_app
from handler.processing.slots import Workers
from handler.workers.outcome import Outcome, Skipped
from sources.bucket.inbox import BucketInbox
from sources.bucket.source import BucketSource
from sources.bucket.webhook import Webhook
from sources.events import Event
from sources.scanning.scanner import Batch

CLIENTS = 4


class Nothing:
    """A scanner that finds nothing."""

    root, remedy = "s3://bench/in", ""

    def scan(self, folder: str = "") -> Iterator[Batch]:
        yield from ()


class Service:
    """What the server asks, and the slots' process, which counts."""

    def __init__(self, events: int) -> None:
        self._left, self._lock, self.over = events, threading.Lock(), threading.Event()

    def __call__(self, event: Event) -> Outcome:
        return Skipped()

    def taken(self, event: Event) -> None: ...

    def settled(self, event: Event, outcome: Outcome) -> None:
        with self._lock:
            self._left -= 1
            if not self._left:
                self.over.set()

    def unready(self) -> list[str]:
        return []

    def health(self) -> tuple[bool, dict[str, object]]:
        return True, {}

    def status(self) -> dict[str, object]:
        return {}

    def metrics(self) -> tuple[bytes, str]:
        return b"", "text/plain"


def _post(port: int, numbers: range, waits: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for number in numbers:
        told = {"bucket": {"name": "bench"}, "object": {"key": f"in%2F{number}.jpg", "eTag": f"{number:032x}"}}
        record = {"eventVersion": "2.0", "eventSource": "minio:s3", "eventName": "s3:ObjectCreated:Put", "s3": told}
        began = time.perf_counter()
        connection.request("POST", "/events", json.dumps({"Records": [record]}), {"Authorization": "Bearer t"})
        connection.getresponse().read()
        waits.append(1000 * (time.perf_counter() - began))
    connection.close()


def run(events: int) -> None:
    service, waits = Service(events), list[float]()
    source = BucketSource(Nothing(), "s3://bench/in/{}".format, rescan_seconds=3600)
    webhook = Webhook(BucketInbox("bench", "in"), source.announce)
    server = ServerThread(make_app(service, EventsRoute(webhook.accept, service.unready, "t")), "127.0.0.1", 0)
    server.start()
    workers = Workers(source, service, service, 2)
    workers.start()
    began = time.perf_counter()
    share = events // CLIENTS
    ranges = [range(start * share, (start + 1) * share) for start in range(CLIENTS)]
    for thread in (clients := [threading.Thread(target=_post, args=(server.port, each, waits)) for each in ranges]):
        thread.start()
    for thread in clients:
        thread.join()
    service.over.wait()
    took = time.perf_counter() - began
    source.close()
    workers.wait()
    server.stop()
    late = sorted(waits)[int(len(waits) * 0.99)]
    print(
        f"{events:,} events by {CLIENTS} clients of this process  {events / took:,.0f} a second, "
        f"answers p50 {statistics.median(waits):.1f} ms, p99 {late:.1f} ms"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4_000)
    run(parser.parse_args().events // CLIENTS * CLIENTS)
