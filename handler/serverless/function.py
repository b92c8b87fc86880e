"""Answers one call: events of buckets, or one photo. Shared by Lambda and the Invoke endpoint."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from handler.config.settings import CommonSettings
from handler.outbox.paths import report_path
from handler.outbox.reports import read_report
from handler.processing.process import Pool, Process
from handler.processing.slots import Workers
from handler.serverless.direct import InlineProcess, parse_request
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

_MAX_RECEIVES: Final = 10
"""A message that cannot be parsed goes back to the queue, for its redrive policy to take, until it came this often."""

_LAST_SECONDS: Final = 0.3
"""Kept of a call's time for its answer, whatever hangs."""

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
    """Collects each photo's last outcome; a `handler.processing.slots.Progress`."""

    each: dict[str, tuple[Event, Outcome]] = field(default_factory=dict)

    def taken(self, event: Event) -> None:
        pass

    def settled(self, event: Event, outcome: Outcome) -> None:
        self.each[event.path] = (event, outcome)


class LambdaFunction:
    """Callable: event and invocation -> the answer, or FunctionError. Thread-safe.

    Args:
        settings: The options of photos in base64, and how many photos of a call are processed at once.
        pool: Processes photos in base64.
        process: Processes photos of the inbox, and its outbox takes images that an answer cannot hold. Without it, or
            if the inbox is a folder, only photos in base64 are taken.
    """

    def __init__(self, settings: CommonSettings, pool: Pool, process: Process | None = None) -> None:
        self._slots = settings.workers
        self._process = process
        self._inline = InlineProcess(
            settings.recipe(), settings.limits(), pool, process.writer.outbox if process else None
        )

    def __call__(self, event: object, invocation: Invocation) -> Answer:
        match event:
            case Mapping() if "image" in event:
                return self._direct(event, invocation)
            case {"Records": [_, *_] as records} if all(_is_message(record) for record in records):
                return self._messages(records, invocation)
            case Mapping():
                return self._event(event, invocation)
        raise FunctionError(
            "InvalidEvent", f'{short_repr(event)} is not a JSON object; send {{"image": "<base64>"}}, or events of S3'
        )

    # One photo

    def _direct(self, event: Mapping[str, object], invocation: Invocation) -> Answer:
        request = parse_request(event)
        if isinstance(request.image, bytes):
            return self._inline(request.image, request.options, invocation.request_id)
        process, inbox = self._bucket()
        if request.options:
            raise FunctionError("InvalidOptions", _OPTIONS)
        photo = _photo_at(request.image, inbox)
        source = BatchSource(invocation.remaining)
        source.add(invocation.request_id, (photo,))
        outcomes = self._process_source(source, process, invocation)
        if any(isinstance(outcome, Vanished) for _, outcome in outcomes):
            raise FunctionError("NotFound", f"there is no object at {photo.uri}: put the photo there first")
        found = read_report(process.writer.outbox, photo.path).content
        if source.failed_messages() or found is None:
            raise _retry_later(outcomes)
        return dict(found)

    # Events of buckets

    def _messages(self, records: Sequence[Mapping[str, Any]], invocation: Invocation) -> Answer:
        """A batch of a queue; messages that are not done are named in the answer, so that they come again.

        Those received most often go first, because the queue's redrive policy takes them soon.
        """
        process, inbox = self._bucket()
        source, unparsed = BatchSource(invocation.remaining, "sqs"), []
        for record in sorted(records, key=_receive_count, reverse=True):
            notification, receives = _parse_for(record.get("body"), inbox), _receive_count(record)
            source.add(record["messageId"], notification.photos, receives)
            if notification.error is not None:
                unparsed += [record["messageId"]] if receives < _MAX_RECEIVES else []
                _log_unparsed(record, notification.error)
        self._process_source(source, process, invocation)
        failures = dict.fromkeys([*source.failed_messages(), *unparsed])
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failures]}

    def _event(self, event: Mapping[str, object], invocation: Invocation) -> Answer:
        """Any other event. Its sender sends it again if the call fails."""
        notification = _parse_for(event, self._inbox() or _NOWHERE)
        if notification.error is not None and not notification.photos:
            raise FunctionError("InvalidEvent", f'{notification.error}; or send a photo as {{"image": "<base64>"}}')
        process, _ = self._bucket()
        source = BatchSource(invocation.remaining)
        source.add(invocation.request_id, notification.photos)
        outcomes = self._process_source(source, process, invocation)
        if source.failed_messages():
            raise _retry_later(outcomes)
        if notification.error is not None:
            raise FunctionError("InvalidEvent", f"{notification.error}; its other photos are done")
        return {"photos": [_photo_answer(process, *each) for each in outcomes], "ignored": notification.ignored}

    # Both

    def _bucket(self) -> tuple[Process, BucketInbox]:
        inbox = self._inbox()
        if self._process is None or inbox is None:
            raise FunctionError("NoInbox", _NO_INBOX)
        return self._process, inbox

    def _inbox(self) -> BucketInbox | None:
        store = self._process and self._process.inbox
        return BucketInbox(store.bucket, store.prefix) if isinstance(store, S3Store) else None

    def _process_source(
        self, source: BatchSource, process: Process, invocation: Invocation
    ) -> Sequence[tuple[Event, Outcome]]:
        """Process the photos of the source. Returns those that there was time for, with their outcomes."""
        outcomes = _Outcomes()
        workers = Workers(source, process, outcomes, self._slots)
        workers.start()
        if not workers.wait(min(max(0.0, invocation.remaining() - _LAST_SECONDS), threading.TIMEOUT_MAX)):
            _log.error("function.late", extra={"next": "answered without what hangs"})
            source.stop()
        return tuple(outcomes.each.values())


def _parse_for(body: object, inbox: BucketInbox) -> InboxNotification:
    """Logs events that are about another inbox; nothing else would show that the settings name the wrong one."""
    notification = inbox.parse(body)
    if notification.ignored and not notification.photos:
        _log.info(
            "event.ignored", extra={"number": notification.ignored, "inbox": f"s3://{inbox.bucket}/{inbox.prefix}"}
        )
    return notification


def _photo_at(uri: str, inbox: BucketInbox) -> BucketPhoto:
    """Raises FunctionError if the URI cannot be that of a photo in the inbox."""
    found = URI.fullmatch(uri)
    if found is None or not found["prefix"]:
        raise FunctionError(
            "InvalidImage", f"image is {short_repr(uri)}; write s3://BUCKET/KEY, as in s3://photos/in/anna.jpg"
        )
    created = ObjectCreated(found["bucket"], found["prefix"])
    if not inbox.contains(created):
        inside = f"s3://{inbox.bucket}/{inbox.prefix}"
        raise FunctionError("OutsideInbox", f"{uri} is not in the inbox (outside_inbox): put the photo below {inside}")
    photo = inbox.photo(created)
    if photo is None or photo.uri != uri:
        raise FunctionError(
            "InvalidImage", f"{uri} is the name of a folder, a sidecar or a temporary file, not of a photo: rename it"
        )
    return photo


def _is_message(record: object) -> bool:
    match record:
        case {"eventSource": "aws:sqs", "messageId": str(name)}:
            return name != ""
    return False


def _receive_count(record: Mapping[str, Any]) -> int:
    """How often the queue has delivered it, this time included."""
    match record.get("attributes"):
        case {"ApproximateReceiveCount": str(count)} if count.isdecimal():
            return max(1, int(count))
    return 1


def _log_unparsed(record: Mapping[str, Any], wrong: str) -> None:
    _log.error(
        "message.not_understood",
        extra={"message_id": record["messageId"], "why": wrong, "body": short_repr(record.get("body"))},
    )


def _photo_answer(process: Process, event: Event, outcome: Outcome) -> dict[str, str | None]:
    reason = outcome.reason if isinstance(outcome, Rejected | Failed) else None
    report = None if isinstance(outcome, Vanished) else process.writer.outbox.uri(report_path(event.path))
    return {"uri": event.uri, "outcome": outcome.name, "reason": reason, "report": report}


def _retry_later(outcomes: Sequence[tuple[Event, Outcome]]) -> FunctionError:
    """The error that makes the caller try again."""
    failed = [
        f"{event.uri}: {outcome.reason}: {outcome.error}"
        for event, outcome in outcomes
        if isinstance(outcome, Failed) and outcome.retry_in is not None
    ]
    why = failed[0] if failed else "there was too little time left; raise the function's timeout"
    return FunctionError("RetryLater", f"{why}; call again")
