"""Events of object storage, without models: `python -m tests.bench.events`.

Prints how many events a second go from a queue of SQS to a process that does nothing, and are settled there: with
moto's server, beside what that server gives to a bare loop of boto3, and with a client that answers at once.
"""

import argparse
import json
import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event as Signal

from botocore.client import BaseClient

from handler.processing.slots import Workers
from handler.workers.outcome import Outcome, Skipped
from sources.events import Event
from sources.sqs.source import SqsSource
from tests.sources.notifications.payloads import direct, record
from tests.sources.sqs.sqs_helpers import Cloud, CloudQueue, FakeSqs, client_of, given

BATCH = 10
SHAPES = ((1, 1), (4, 1), (10, 1), (4, 10))
"""Slots, and records to a message."""


class Counting:
    """A process that does nothing, and a progress that counts."""

    def __init__(self) -> None:
        self._done = 0
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> Outcome:
        return Skipped()

    def taken(self, event: Event) -> None: ...

    def settled(self, event: Event, outcome: Outcome) -> None:
        with self._changed:
            self._done += 1
            self._changed.notify_all()

    def until(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._done >= number)


def measure(client: BaseClient, url: str, photos: int, slots: int) -> str:
    """From the first event that is asked for until all are settled and their messages deleted."""
    source = SqsSource(url, "photos", "in", slots=slots, client=client, wait_seconds=1)
    counting = Counting()
    workers = Workers(source, counting, counting, slots)
    began, busy = time.perf_counter(), time.process_time()
    workers.start()
    counting.until(photos)
    while not source.idle():
        time.sleep(0.01)
    took, busy = time.perf_counter() - began, time.process_time() - busy
    source.stop()
    workers.wait()
    source.close()
    return f"{photos / took:6.0f} events/s ({1000 * busy / photos:.2f} ms of one processor each)"


def bodies(photos: int, records: int) -> list[str]:
    names = [f"in/{number}.jpg" for number in range(photos)]
    return [
        json.dumps(direct(*(record(name) for name in names[at : at + records]))) for at in range(0, photos, records)
    ]


def answering_at_once(photos: int) -> None:
    for slots, records in SHAPES:
        client = FakeSqs()
        client.give(*(given(f"m{number}", body) for number, body in enumerate(bodies(photos, records))))
        print(f"at once, {slots:2} slots, {records:2} to a message  {measure(client, 'queue', photos, slots)}")


def with_moto(photos: int) -> None:
    with _moto() as endpoint:
        client = client_of("sqs", endpoint)
        for most in (1, BATCH):
            rate = _bare(client, _filled(client, photos, 1), most)
            print(f"moto, boto3 alone, {most:2} to a call   {rate:6.0f} events/s")
        for slots, records in SHAPES:
            queue = _filled(client, photos, records)
            print(f"moto, {slots:2} slots, {records:2} to a message     {measure(client, queue.url, photos, slots)}")


@contextmanager
def _moto() -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    told, over = context.Queue(), context.Event()
    server = context.Process(target=_serve, args=(told, over))
    server.start()
    try:
        yield told.get()
    finally:
        over.set()
        server.join()


def _serve(told: "Queue[str]", over: Signal) -> None:
    cloud = Cloud()
    told.put(cloud.endpoint)
    over.wait()
    cloud.close()


def _filled(client: BaseClient, photos: int, records: int) -> CloudQueue:
    queue, texts = CloudQueue(client, {}), bodies(photos, records)
    for at in range(0, len(texts), BATCH):
        queue.send_all(texts[at : at + BATCH])
    return queue


def _bare(client: BaseClient, queue: CloudQueue, most: int) -> float:
    began, done = time.perf_counter(), 0
    while messages := queue.receive(most):
        receipts = [message["ReceiptHandle"] for message in messages]
        client.delete_message_batch(
            QueueUrl=queue.url, Entries=[{"Id": str(at), "ReceiptHandle": each} for at, each in enumerate(receipts)]
        )
        done += len(messages)
    return done / (time.perf_counter() - began)


def run(photos: int) -> None:
    answering_at_once(10 * photos)
    with_moto(photos)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=300)
    run(parser.parse_args().photos)
