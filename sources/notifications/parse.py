"""Parses the notifications that S3 servers, and the services between, send about objects. No network, no clock.

Understands S3's own records (2.x; MinIO, RustFS, Ceph and VersityGW write them too), MinIO's `EventName` and `Key`,
the envelopes of SNS and SQS, EventBridge's events and the webhook of SeaweedFS' filer, nested in any order.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sources.notifications.fields import (
    MalformedNotification,
    get_field,
    parse_key,
    require_text,
    sequencer_or_none,
    short_repr,
    size_or_none,
    text_or_none,
    version_or_none,
)
from sources.notifications.notification import Notification, ObjectCreated
from sources.notifications.seaweedfs import parse_seaweedfs

_MAX_DEPTH: Final = 8
"""Levels of nesting: a batch, its list, a record, SNS in it, its text, the records of S3."""

_MAX_ERRORS: Final = 3

_CREATED: Final = frozenset(f"ObjectCreated:{how}" for how in ("Put", "Post", "Copy", "CompleteMultipartUpload"))
"""MinIO sends `ObjectCreated:PutTagging` and the like for objects that existed before."""

_READABLE: Final = _CREATED | {"ObjectRestore:Completed"}
"""Events after which an object can be read: it is new, or was brought back from an archive."""

_PLAIN_SOURCES: Final = frozenset({"ceph:s3"})
_PLAIN_CONFIGURATIONS: Final = frozenset(f"{kind}-global" for kind in ("kafka", "nats", "rabbitmq", "webhook"))
"""VersityGW calls itself `aws:s3`, and only this configuration name tells that its keys are not encoded."""

_Found = ObjectCreated | str | MalformedNotification
"""A created object, the name of an event that is ignored, or an error."""


def parse_notification(body: object) -> Notification:
    """What this body says; never raises.

    Args:
        body: JSON as text or bytes, or the parsed value.
    """
    found = list(_parse(body, 0))
    errors = [str(each) for each in found if isinstance(each, MalformedNotification)]
    if len(errors) > _MAX_ERRORS:
        errors[_MAX_ERRORS:] = [f"and {len(errors) - _MAX_ERRORS} more"]
    return Notification(
        created=tuple(each for each in found if isinstance(each, ObjectCreated)),
        ignored=tuple(each for each in found if isinstance(each, str)),
        error="; ".join(errors) or None,
    )


def _parse(value: object, depth: int) -> Iterator[_Found]:
    """An error ends the part that it is in, not the parts beside it."""
    try:
        if depth > _MAX_DEPTH:
            raise MalformedNotification(f"more than {_MAX_DEPTH} wrappings within each other")
        if isinstance(value, bytes | str):
            yield from _parse(_parse_json(value), depth + 1)
        elif isinstance(value, Mapping):
            yield from _parse_object(value, depth)
        elif isinstance(value, Sequence):
            yield from _parse_list(value, depth)
        else:
            raise MalformedNotification(f"{short_repr(value)} is no JSON object")
    except MalformedNotification as error:
        yield error


def _parse_json(text: bytes | str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedNotification(f"{short_repr(text)} is not JSON ({error})") from error


def _parse_list(values: Sequence[object], depth: int) -> Iterator[_Found]:
    if not values:
        yield "no records"
    for value in values:
        yield from _parse(value, depth + 1)


def _parse_object(value: Mapping[str, object], depth: int) -> Iterator[_Found]:
    match value:
        case {"Type": "Notification", "Message": inner} | {"Sns": Mapping() as inner}:
            yield from _parse(inner, depth + 1)
        case {"s3": Mapping()}:
            yield _parse_record(value)
        case {"eventSource": "aws:sqs", "body": inner}:
            yield from _parse(inner, depth + 1)
        case {"Records": [_, *_] as records}:
            yield from _parse_list(records, depth)
        case {"detail-type": str(kind)}:
            yield _parse_event_bridge(kind, value)
        case {"event_type": str()}:
            yield parse_seaweedfs(value)
        case {"EventName": str(), "Key": str()}:
            yield _parse_minio(value)
        case _:
            yield _parse_without_objects(value)


def _parse_without_objects(value: Mapping[str, object]) -> str:
    match value:
        case {"Event": "s3:TestEvent"}:
            return "s3:TestEvent"
        case {"Type": ("SubscriptionConfirmation" | "UnsubscribeConfirmation") as kind}:
            return str(kind)
        case {"Records": [] | None}:
            return "no records"
    raise MalformedNotification(f"no event has these fields: {short_repr(list(value))}; one of S3 has Records")


def _parse_record(record: Mapping[str, object]) -> ObjectCreated | str:
    """A record of S3: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html."""
    name = _parse_event_name(record.get("eventName"))
    version, source = record.get("eventVersion", "2.0"), record.get("eventSource", "aws:s3")
    if not re.fullmatch(r"2(\.\d{1,9})*", str(version), re.ASCII):
        raise MalformedNotification(f"eventVersion is {short_repr(version)}; only 2.x is understood")
    if not (isinstance(source, str) and source.endswith(":s3")):
        raise MalformedNotification(
            f"eventSource is {short_repr(source)} and should be that of an S3 server, as in 'aws:s3'"
        )
    if name not in _READABLE:
        return name
    s3 = record["s3"]
    configuration = text_or_none(get_field(s3, "configurationId"))
    plain = source in _PLAIN_SOURCES or (source == "aws:s3" and configuration in _PLAIN_CONFIGURATIONS)
    return ObjectCreated(
        require_text(s3, "bucket", "name"),
        parse_key(require_text(s3, "object", "key"), encoded=not plain),
        version_or_none(get_field(s3, "object", "versionId")),
        text_or_none(get_field(s3, "object", "eTag")),
        sequencer_or_none(get_field(s3, "object", "sequencer")),
        size_or_none(get_field(s3, "object", "size")),
    )


def _parse_event_name(name: object) -> str:
    """Without the `s3:` that MinIO writes and AWS does not."""
    if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9:]{1,100}", name):
        return name.removeprefix("s3:")
    raise MalformedNotification(f"eventName is {short_repr(name)} and should be as in 'ObjectCreated:Put'")


def _parse_event_bridge(kind: str, event: Mapping[str, object]) -> ObjectCreated | str:
    """An event of EventBridge; its keys are not encoded."""
    if event.get("source") != "aws.s3" or not kind.startswith("Object "):
        raise MalformedNotification(
            f"detail-type {short_repr(kind)} of {short_repr(event.get('source'))} is no event of S3's objects"
        )
    if kind not in ("Object Created", "Object Restore Completed"):
        return kind
    detail = event.get("detail")
    return ObjectCreated(
        require_text(detail, "bucket", "name"),
        parse_key(require_text(detail, "object", "key"), encoded=False),
        version_or_none(get_field(detail, "object", "version-id")),
        text_or_none(get_field(detail, "object", "etag")) or text_or_none(get_field(detail, "object", "eTag")),
        sequencer_or_none(get_field(detail, "object", "sequencer")),
        size_or_none(get_field(detail, "object", "size")),
    )


def _parse_minio(event: Mapping[str, object]) -> ObjectCreated | str:
    """MinIO's own event. `Key` is the bucket, a slash and the key, which is not encoded here."""
    name = _parse_event_name(event["EventName"])
    if name not in _READABLE:
        return name
    bucket, _, key = require_text(event, "Key").partition("/")
    if not (bucket and key):
        raise MalformedNotification(f"Key is {short_repr(event['Key'])} and should be as in 'bucket/anna.jpg'")
    return ObjectCreated(bucket, parse_key(key, encoded=False))
