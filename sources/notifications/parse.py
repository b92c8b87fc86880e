"""The bodies in which S3 servers, and the services between, tell of objects. Pure: no network, no clock.

Understood are S3's own records (2.x; MinIO, RustFS, Ceph and VersityGW write them too), MinIO's `EventName` and `Key`,
SNS' and SQS' wrappings, EventBridge's events and the webhook of SeaweedFS' filer, one within the other.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sources.notifications.announcement import (
    Announcements,
    NotificationError,
    ObjectCreated,
    field,
    key_of,
    needed_text,
    sequencer_or_none,
    shown,
    size_or_none,
    text_or_none,
    version_or_none,
)
from sources.notifications.seaweedfs import parse_seaweedfs

_DEPTH: Final = 8
"""Wrappings within wrappings: a batch, its list, a record, SNS in it, its text, the records of S3."""

_MOST_ERRORS: Final = 3

_CREATED: Final = frozenset(f"ObjectCreated:{how}" for how in ("Put", "Post", "Copy", "CompleteMultipartUpload"))
"""MinIO sends `ObjectCreated:PutTagging` and the like for objects that were there before."""

_PLAIN_SOURCES: Final = frozenset({"ceph:s3"})
_PLAIN_CONFIGURATIONS: Final = frozenset(f"{kind}-global" for kind in ("kafka", "nats", "rabbitmq", "webhook"))
"""VersityGW says that it is `aws:s3`, and only this name tells that its keys are not encoded."""

_Told = ObjectCreated | str | NotificationError
"""A created object, the name of what is ignored, or what is wrong."""


def announced(body: object) -> Announcements:
    """What this body tells. EnvelopeError where any of it is not understood; that holds the rest."""
    told = list(_told(body, 0))
    understood = Announcements(
        tuple(each for each in told if isinstance(each, ObjectCreated)),
        tuple(each for each in told if isinstance(each, str)),
    )
    wrong = [str(each) for each in told if isinstance(each, NotificationError)]
    if wrong:
        more = [f"and {len(wrong) - _MOST_ERRORS} more"] if len(wrong) > _MOST_ERRORS else []
        raise NotificationError("; ".join(wrong[:_MOST_ERRORS] + more), understood)
    return understood


def _told(value: object, depth: int) -> Iterator[_Told]:
    try:
        if depth > _DEPTH:
            raise NotificationError(f"more than {_DEPTH} wrappings within each other")
        if isinstance(value, bytes | str):
            yield from _told(_parsed(value), depth + 1)
        elif isinstance(value, Mapping):
            yield from _unwrapped(value, depth)
        elif isinstance(value, Sequence):
            yield from _each(value, depth)
        else:
            raise NotificationError(f"{shown(value)} is no JSON object")
    except NotificationError as error:
        yield error


def _parsed(text: bytes | str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotificationError(f"{shown(text)} is not JSON ({error})") from error


def _each(values: Sequence[object], depth: int) -> Iterator[_Told]:
    if not values:
        yield "no records"
    for value in values:
        yield from _told(value, depth + 1)


def _unwrapped(envelope: Mapping[str, object], depth: int) -> Iterator[_Told]:
    match envelope:
        case {"Type": "Notification", "Message": inner} | {"Sns": Mapping() as inner}:
            yield from _told(inner, depth + 1)
        case {"s3": Mapping()}:
            yield _record(envelope)
        case {"eventSource": "aws:sqs", "body": inner}:
            yield from _told(inner, depth + 1)
        case {"Records": [_, *_] as records}:
            yield from _each(records, depth)
        case {"detail-type": str(kind)}:
            yield _event_bridge(kind, envelope)
        case {"event_type": str()}:
            yield parse_seaweedfs(envelope)
        case {"EventName": str(), "Key": str()}:
            yield _top_level(envelope)
        case _:
            yield _without_objects(envelope)


def _without_objects(envelope: Mapping[str, object]) -> str:
    match envelope:
        case {"Event": "s3:TestEvent"}:
            return "s3:TestEvent"
        case {"Type": ("SubscriptionConfirmation" | "UnsubscribeConfirmation") as kind}:
            return str(kind)
        case {"Records": [] | None}:
            return "no records"
    raise NotificationError(f"no event has these fields: {shown(list(envelope))}; one of S3 has Records")


def _record(record: Mapping[str, object]) -> ObjectCreated | str:
    name = _event_name(record.get("eventName"))
    version, source = record.get("eventVersion", "2.0"), record.get("eventSource", "aws:s3")
    if not re.fullmatch(r"2(\.\d{1,9})*", str(version), re.ASCII):
        raise NotificationError(f"eventVersion is {shown(version)}; only 2.x is understood")
    if not (isinstance(source, str) and source.endswith(":s3")):
        raise NotificationError(f"eventSource is {shown(source)} and should be that of an S3 server, as in 'aws:s3'")
    if name not in _CREATED:
        return name
    return _object(record["s3"], encoded=not _has_plain_keys(source, record["s3"]))


def _has_plain_keys(source: str, s3: object) -> bool:
    return source in _PLAIN_SOURCES or (
        source == "aws:s3" and text_or_none(field(s3, "configurationId")) in _PLAIN_CONFIGURATIONS
    )


def _event_name(name: object) -> str:
    """Without the `s3:` that MinIO writes and AWS does not."""
    if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9:]{1,100}", name):
        return name.removeprefix("s3:")
    raise NotificationError(f"eventName is {shown(name)} and should be as in 'ObjectCreated:Put'")


def _object(s3: object, *, encoded: bool) -> ObjectCreated:
    return ObjectCreated(
        needed_text(s3, "bucket", "name"),
        key_of(needed_text(s3, "object", "key"), encoded=encoded),
        version_or_none(field(s3, "object", "versionId")),
        text_or_none(field(s3, "object", "eTag")),
        sequencer_or_none(field(s3, "object", "sequencer")),
        size_or_none(field(s3, "object", "size")),
    )


def _event_bridge(kind: str, event: Mapping[str, object]) -> ObjectCreated | str:
    """Its keys are not encoded."""
    if event.get("source") != "aws.s3" or not kind.startswith("Object "):
        raise NotificationError(
            f"detail-type {shown(kind)} of {shown(event.get('source'))} is no event of S3's objects"
        )
    if kind != "Object Created":
        return kind
    detail = event.get("detail")
    return ObjectCreated(
        needed_text(detail, "bucket", "name"),
        key_of(needed_text(detail, "object", "key"), encoded=False),
        version_or_none(field(detail, "object", "version-id")),
        text_or_none(field(detail, "object", "etag")) or text_or_none(field(detail, "object", "eTag")),
        sequencer_or_none(field(detail, "object", "sequencer")),
        size_or_none(field(detail, "object", "size")),
    )


def _top_level(event: Mapping[str, object]) -> ObjectCreated | str:
    """`Key` is the bucket, a slash and the key, which is not encoded here."""
    name = _event_name(event["EventName"])
    if name not in _CREATED:
        return name
    bucket, _, key = needed_text(event, "Key").partition("/")
    if not (bucket and key):
        raise NotificationError(f"Key is {shown(event['Key'])} and should be as in 'bucket/anna.jpg'")
    return ObjectCreated(bucket, key_of(key, encoded=False))
