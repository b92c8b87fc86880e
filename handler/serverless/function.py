"""What one call asks for and is answered: events of buckets, or one photo. The core of Lambda and of the endpoint."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from handler.config.settings import CommonSettings
from handler.outbox.paths import report_path
from handler.outbox.reports import read_report
from handler.processing.process import Pool, Process
from handler.processing.worker import Workers
from handler.serverless.direct import Inline, parsed
from handler.serverless.invocation import Answer, FunctionError, Invocation
from handler.workers.outcome import Failed, Outcome, Rejected, Vanished
from sources.bucket.inbox import BucketInbox, BucketPhoto, InboxNotification
from sources.events import Event
from sources.notifications.fields import short_repr
from sources.notifications.notification import ObjectCreated
from sources.sqs.batch import BatchSource
from sources.stores.s3 import S3Store
from sources.stores.s3_keys import URI

__all__ = ["Answer", "FunctionError", "Invocation", "LambdaFunction"]

_MOST_RECEIVES: Final = 10
"""So often a message that is not understood goes back, for the queue's redrive policy to take; then it is dropped."""

_LAST_SECONDS: Final = 0.3
"""What is kept of a call's time for its answer alone, whatever hangs."""

_NOWHERE: Final = BucketInbox("", "")
_NO_INBOX: Final = (
    "no bucket is the inbox: set FACECRAFT_INBOX and FACECRAFT_OUTBOX, for example to s3://photos/in and "
    's3://photos/out, or send the photo itself as {"image": "<base64>"}'
)
_OPTIONS: Final = (
    "a photo in the inbox has its options beside it: put them into a sidecar, as in anna.jpg.toml, or into the "
    "object's metadata, as in facecraft-width=800"
)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Outcomes:
    """Hears what became of each photo at last; see `handler.processing.worker.Progress`."""

    each: dict[str, tuple[Event, Outcome]] = field(default_factory=dict)

    def taken(self, event: Event) -> None:
        pass

    def settled(self, event: Event, outcome: Outcome) -> None:
        self.each[event.path] = (event, outcome)


class LambdaFunction:
    """Callable: event and invocation -> the answer, or FunctionError. Safe to be called from several threads at once.

    `process` works on the photos of the inbox; without one, and where the inbox is a folder, only photos that come in
    base64 are taken. Images that an answer cannot hold go to the outbox of `process`.
    """

    def __init__(self, settings: CommonSettings, pool: Pool, process: Process | None = None) -> None:
        self._slots = settings.workers
        self._process = process
        self._inline = Inline(settings.recipe(), settings.limits(), pool, process.writer.outbox if process else None)

    def __call__(self, event: object, invocation: Invocation) -> Answer:
        match event:
            case Mapping() if "image" in event:
                return self._direct(event, invocation)
            case {"Records": [_, *_] as records} if all(_is_message(record) for record in records):
                return self._messages(records, invocation)
            case Mapping():
                return self._event(event, invocation)
        raise FunctionError(
            "InvalidEvent", f'{short_repr(event)} is no object; send {{"image": "<base64>"}}, or events of S3'
        )

    # A photo, by whoever wants its portrait

    def _direct(self, event: Mapping[str, object], invocation: Invocation) -> Answer:
        asked = parsed(event)
        if isinstance(asked.image, bytes):
            return self._inline(asked.image, asked.options, invocation.request_id)
        process, inbox = self._bucket()
        if asked.options:
            raise FunctionError("InvalidOptions", _OPTIONS)
        photo = _photo_at(asked.image, inbox)
        source = BatchSource(invocation.remaining)
        source.add(invocation.request_id, (photo,))
        outcomes = self._worked(source, process, invocation)
        if any(isinstance(outcome, Vanished) for _, outcome in outcomes):
            raise FunctionError("NotFound", f"nothing lies at {photo.uri}: put the photo there first")
        found = read_report(process.writer.outbox, photo.path).content
        if source.failed_messages() or found is None:
            raise _again(outcomes)
        return dict(found)

    # Events of buckets

    def _messages(self, records: Sequence[Mapping[str, Any]], invocation: Invocation) -> Answer:
        """Those of a queue: what is not settled comes again, message by message. Those that came most often are first:
        the queue soon loses patience with them."""
        process, inbox = self._bucket()
        source, unread = BatchSource(invocation.remaining, "sqs"), []
        for record in sorted(records, key=_receives, reverse=True):
            notification, receives = _parse_for(record.get("body"), inbox), _receives(record)
            source.add(record["messageId"], notification.photos, receives)
            if notification.error is not None:
                unread += [record["messageId"]] if receives < _MOST_RECEIVES else []
                _not_understood(record, notification.error)
        self._worked(source, process, invocation)
        failures = dict.fromkeys([*source.failed_messages(), *unread])
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failures]}

    def _event(self, event: Mapping[str, object], invocation: Invocation) -> Answer:
        """All others: whoever sent it sends it again where the call fails."""
        notification = _parse_for(event, self._inbox() or _NOWHERE)
        if notification.error is not None and not notification.photos:
            raise FunctionError("InvalidEvent", f'{notification.error}; or send a photo as {{"image": "<base64>"}}')
        process, _ = self._bucket()
        source = BatchSource(invocation.remaining)
        source.add(invocation.request_id, notification.photos)
        outcomes = self._worked(source, process, invocation)
        if source.failed_messages():
            raise _again(outcomes)
        if notification.error is not None:
            raise FunctionError("InvalidEvent", f"{notification.error}; what it also told of is settled")
        return {"photos": [_told_of(process, *each) for each in outcomes], "ignored": notification.ignored}

    # Both

    def _bucket(self) -> tuple[Process, BucketInbox]:
        inbox = self._inbox()
        if self._process is None or inbox is None:
            raise FunctionError("NoInbox", _NO_INBOX)
        return self._process, inbox

    def _inbox(self) -> BucketInbox | None:
        store = self._process and self._process.inbox
        return BucketInbox(store.bucket, store.prefix) if isinstance(store, S3Store) else None

    def _worked(self, source: BatchSource, process: Process, invocation: Invocation) -> Sequence[tuple[Event, Outcome]]:
        """What became of the photos that there was time for."""
        outcomes = _Outcomes()
        workers = Workers(source, process, outcomes, self._slots)
        workers.start()
        if not workers.wait(min(max(0.0, invocation.remaining() - _LAST_SECONDS), threading.TIMEOUT_MAX)):
            _log.error("function.late", extra={"next": "answered without what hangs"})
            source.stop()
        return tuple(outcomes.each.values())


def _parse_for(body: object, inbox: BucketInbox) -> InboxNotification:
    """An inbox that is not the one that the events are about would otherwise show in no log."""
    notification = inbox.parse(body)
    if notification.ignored and not notification.photos:
        _log.info(
            "event.ignored", extra={"number": notification.ignored, "inbox": f"s3://{inbox.bucket}/{inbox.prefix}"}
        )
    return notification


def _photo_at(uri: str, inbox: BucketInbox) -> BucketPhoto:
    """FunctionError where no photo of the inbox can be there."""
    found = URI.fullmatch(uri)
    if found is None or not found["prefix"]:
        raise FunctionError(
            "InvalidImage", f"image is {short_repr(uri)}; write s3://BUCKET/KEY, as in s3://photos/in/anna.jpg"
        )
    told_of = ObjectCreated(found["bucket"], found["prefix"])
    if not inbox.contains(told_of):
        inside = f"s3://{inbox.bucket}/{inbox.prefix}"
        raise FunctionError("OutsideInbox", f"{uri} is not in the inbox (outside_inbox): put the photo below {inside}")
    photo = inbox.photo(told_of)
    if photo is None or photo.uri != uri:
        raise FunctionError(
            "InvalidImage", f"{uri} has a name that no photo has, as folders, sidecars and *.tmp: rename it"
        )
    return photo


def _is_message(record: object) -> bool:
    match record:
        case {"eventSource": "aws:sqs", "messageId": str(name)}:
            return name != ""
    return False


def _receives(record: Mapping[str, Any]) -> int:
    """How often the queue has handed it out, this time included."""
    match record.get("attributes"):
        case {"ApproximateReceiveCount": str(count)} if count.isdecimal():
            return max(1, int(count))
    return 1


def _not_understood(record: Mapping[str, Any], wrong: str) -> None:
    _log.error(
        "message.not_understood",
        extra={"message_id": record["messageId"], "why": wrong, "body": short_repr(record.get("body"))},
    )


def _told_of(process: Process, event: Event, outcome: Outcome) -> dict[str, str | None]:
    reason = outcome.reason if isinstance(outcome, Rejected | Failed) else None
    report = None if isinstance(outcome, Vanished) else process.writer.outbox.uri(report_path(event.path))
    return {"uri": event.uri, "outcome": outcome.name, "reason": reason, "report": report}


def _again(outcomes: Sequence[tuple[Event, Outcome]]) -> FunctionError:
    """For whoever calls to try again."""
    failed = [
        f"{event.uri}: {outcome.reason}: {outcome.error}"
        for event, outcome in outcomes
        if isinstance(outcome, Failed) and outcome.retry_in is not None
    ]
    why = failed[0] if failed else "there was too little time left; raise the function's timeout"
    return FunctionError("RetryLater", f"{why}; call again")
