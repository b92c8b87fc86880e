"""S3 requests per photo, without models: `python -m tests.bench.requests`.

Counts what a service sends to moto's server for a new photo and for one that is done already, from bucket to bucket,
and prints it per verb and per kind of object, with the price of a million photos.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from handler.config.settings import CommonSettings
from handler.outbox.attempts import Attempts
from handler.processing.process import Process
from handler.workers.outcome import Done, Outcome, Skipped
from sources.events import Event
from sources.stores import aws
from sources.stores.s3 import S3Store
from tests.handler.fakes import FakePool
from tests.support.s3_servers import moto_server, s3_at

PRICES_AS_OF: Final = "2026-11"
WRITE_DOLLARS: Final = 0.005 / 1000
READ_DOLLARS: Final = 0.0004 / 1000
VERBS: Final = {
    "GetObject": "GET",
    "HeadObject": "HEAD",
    "PutObject": "PUT",
    "CopyObject": "COPY",
    "DeleteObject": "DELETE",
    "ListObjectsV2": "LIST",
}

Requests = Counter[tuple[str, str]]
"""How often each (verb, kind of object) was asked for."""


@contextmanager
def counted(inbox: S3Store, outbox: S3Store) -> Iterator[Requests]:
    """Counts every request of this process's S3 client, retries included, while the context lasts."""
    requests: Requests = Counter()

    def count(params: Mapping[str, object], model: object, **_: object) -> None:
        verb = VERBS.get(operation := getattr(model, "name", ""), operation)
        requests[verb, kind_of(str(params.get("Key", "")), inbox, outbox)] += 1

    events = aws.client("s3").meta.events
    events.register("before-parameter-build.s3", count)
    try:
        yield requests
    finally:
        events.unregister("before-parameter-build.s3", count)


def kind_of(key: str, inbox: S3Store, outbox: S3Store) -> str:
    """What an object is, by its key."""
    if key.startswith(inbox.prefix):
        return "sidecar" if key.endswith(".toml") else "photo"
    path = key.removeprefix(outbox.prefix)
    for start, kind in {"reports/": "report", ".facecraft/attempts/": "marker", ".facecraft/": "state"}.items():
        if path.startswith(start):
            return kind
    return {"png": "PNG", "jpg": "JPEG"}.get(path.rpartition(".")[2], "other")


def measure(inbox: S3Store, outbox: S3Store) -> dict[str, Requests]:
    """The requests of one service: for a new photo, and for the same photo announced again.

    What a service asks for only once (whether the server keeps conditions, its lease) is not counted.
    """
    attempts = Attempts(outbox)
    process = Process.between(inbox, outbox, attempts, FakePool(), CommonSettings())
    try:
        _expect(Done, process(_put(inbox, "first.jpg")))
        event = _put(inbox, "sales/anna.jpg")
        return {
            "new photo": _requests_of(lambda: _expect(Done, process(event)), inbox, outbox),
            "done photo announced again": _requests_of(lambda: _expect(Skipped, process(event)), inbox, outbox),
        }
    finally:
        attempts.close()


def dollars(requests: Requests) -> float:
    """Price by AWS' list for us-east-1: PUT, COPY, POST and LIST cost more than all others, DELETE nothing."""
    each = {"PUT": WRITE_DOLLARS, "COPY": WRITE_DOLLARS, "LIST": WRITE_DOLLARS, "DELETE": 0.0}
    return sum(number * each.get(verb, READ_DOLLARS) for (verb, _), number in requests.items())


def table(title: str, requests: Requests) -> str:
    kinds = sorted({kind for _, kind in requests})
    verbs = [verb for verb in VERBS.values() if any(verb == each for each, _ in requests)]
    lines = [f"{title}: {requests.total()} requests, $ {1e6 * dollars(requests):,.2f} for a million photos"]
    lines.append("  " + " " * 8 + "".join(f"{kind:>9}" for kind in kinds))
    lines += [f"  {verb:8}" + "".join(f"{requests[verb, kind] or '':>9}" for kind in kinds) for verb in verbs]
    return "\n".join(lines)


def _put(inbox: S3Store, path: str) -> Event:
    return Event(inbox.uri(path), path, inbox.write(path, b"a photo"))


def _requests_of(work: Callable[[], None], inbox: S3Store, outbox: S3Store) -> Requests:
    with counted(inbox, outbox) as requests:
        work()
    return requests


def _expect(kind: type[Outcome], outcome: Outcome) -> None:
    if not isinstance(outcome, kind):
        raise AssertionError(f"{outcome} is not {kind.__name__}")


def run() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's line for each request
    with moto_server() as address, s3_at(address) as stores:
        for title, requests in measure(stores("in"), stores("out")).items():
            print(table(title, requests))
    print(f"AWS, us-east-1, {PRICES_AS_OF}: PUT, COPY, POST, LIST $ 0.005 per 1,000, others $ 0.0004, DELETE free")


if __name__ == "__main__":
    run()
