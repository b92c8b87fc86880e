"""Every kind of body, by every server, and what it tells: a photo, several, nothing, or nothing that is understood."""

import gzip
import json
from dataclasses import replace
from urllib.parse import quote_plus

from sources.notifications.notification import ObjectCreated
from tests.sources.notifications.payloads import (
    ETAG,
    ODD,
    SEEN,
    batch,
    bridge,
    ceph,
    direct,
    entry,
    filer,
    minio,
    path_encoded,
    record,
    sns,
    sns_record,
    test_event,
    versioned,
    versity,
)

HOW = ("Put", "Post", "Copy", "CompleteMultipartUpload")
BY_MINIO = replace(SEEN, sequencer="1782FE0B0F4C5D3A")
BY_CEPH = replace(SEEN, sequencer="F7E6D75DC742D108")
LOOKS_ENCODED = "in/a%20b+c.jpg"
BY_FILER = replace(SEEN, sequencer=None)
BY_VERSITY = replace(SEEN, sequencer="00D3901D00059242")
SECOND = replace(SEEN, key="in/second.jpg")
second = record("in/second.jpg")

CREATED = {
    **{
        f"aws-{version}-{how}": (direct(record(name=f"ObjectCreated:{how}", version=version)), SEEN)
        for version in ("2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.19")
        for how in HOW
    },
    "aws-multipart": (
        direct(record(name="ObjectCreated:CompleteMultipartUpload", eTag="4af981f98d22a0b9979da24b259e5e42-12")),
        replace(SEEN, etag="4af981f98d22a0b9979da24b259e5e42-12"),
    ),
    "aws-no-event-version": (direct({**record(), "eventVersion": "2"}), SEEN),
    "aws-versioned": (
        direct(record(versionId="096fKKXTRTtl3on89fVO.nfljtsv6qko")),
        replace(SEEN, version_id="096fKKXTRTtl3on89fVO.nfljtsv6qko"),
    ),
    "aws-space-as-percent": (direct(record(path_encoded(ODD))), SEEN),
    "aws-all-encoded": (direct(record(quote_plus(ODD, safe=""))), SEEN),
    "aws-only-what-is-needed": (
        direct(record(drop=("size", "eTag", "sequencer"))),
        ObjectCreated("photos", ODD),
    ),
    "aws-odd-optional-fields": (
        direct(record(size="big", eTag=7, sequencer="no hex", versionId=[])),
        ObjectCreated("photos", ODD),
    ),
    "aws-size-is-true": (direct(record(size=True)), replace(SEEN, size=None)),
    "aws-etag-in-quotes": (direct(record(eTag=f'"{ETAG}"')), SEEN),
    "aws-empty-object": (direct(record(size=0)), replace(SEEN, size=0)),
    "aws-folder": (direct(record("in/", size=0)), replace(SEEN, key="in/", size=0)),
    "aws-glacier-data": (direct({**record(), "glacierEventData": {"restoreEventData": {}}}), SEEN),
    "aws-test-of-lambda-s-console": (
        direct(record("test%2Fkey", version="2.0", drop=("sequencer",))),
        replace(SEEN, key="test/key", sequencer=None),
    ),
    "as-text-in-text": (json.dumps(direct(record())), SEEN),
    "as-a-bare-list": ([record()], SEEN),
    "as-a-bare-record": (record(), SEEN),
    "with-a-byte-order-mark": (b"\xef\xbb\xbf" + json.dumps(direct(record())).encode(), SEEN),
    "in-utf-16": (json.dumps(direct(record()), ensure_ascii=False).encode("utf-16"), SEEN),
    "moto-direct": (
        direct(record(quote_plus(ODD), drop=("sequencer",), versionId=None)),
        replace(SEEN, sequencer=None),
    ),
    **{
        f"{server}-{how}": (minio(name=f"s3:ObjectCreated:{how}", source=f"{server}:s3"), BY_MINIO)
        for server in ("minio", "rustfs")
        for how in HOW
    },
    "minio-versioned": (minio(versionId="0d5b-4c"), replace(BY_MINIO, version_id="0d5b-4c")),
    "rustfs-without-a-version": (minio(source="rustfs:s3", versionId=""), BY_MINIO),
    "minio-without-size-of-version-null": (
        minio("in/folder/", drop=("size",), versionId="null"),
        replace(BY_MINIO, key="in/folder/", size=None),
    ),
    "minio-top-level-only": (
        {"EventName": "s3:ObjectCreated:Put", "Key": f"photos/{ODD}"},
        ObjectCreated("photos", ODD),
    ),
    "minio-top-level-no-records": (
        {"EventName": "s3:ObjectCreated:Put", "Key": f"photos/{ODD}", "Records": None},
        ObjectCreated("photos", ODD),
    ),
    **{f"ceph-{how}": (ceph(name=f"ObjectCreated:{how}"), BY_CEPH) for how in HOW},
    "ceph-as-it-was-named-once": (ceph(name="s3:ObjectCreated:Put"), BY_CEPH),
    "ceph-key-that-looks-encoded": (ceph(LOOKS_ENCODED), replace(BY_CEPH, key=LOOKS_ENCODED)),
    **{
        f"versity-{kind}-{form}": (body(versity(kind=kind)), BY_VERSITY)
        for kind in ("kafka", "nats", "rabbitmq", "webhook")
        for form, body in {"records": direct, "list": lambda record: [record], "bare": lambda record: record}.items()
    },
    "versity-key-that-looks-encoded": (direct(versity(LOOKS_ENCODED)), replace(BY_VERSITY, key=LOOKS_ENCODED)),
    "some-other-server": (direct(record(source="zenko:s3")), SEEN),
    **{
        f"bridge-{reason}": (bridge(reason=reason), SEEN)
        for reason in ("PutObject", "POST Object", "CopyObject", "CompleteMultipartUpload")
    },
    "bridge-of-a-later-version": ({**bridge(), "version": "1", "detail": {**bridge()["detail"], "version": "7"}}, SEEN),
    "bridge-replayed": ({**bridge(), "replay-name": "again"}, SEEN),
    "bridge-without-reason": ({**bridge(), "detail": {**bridge()["detail"], "reason": None}}, SEEN),
    "bridge-key-that-looks-encoded": (bridge(key=LOOKS_ENCODED), replace(SEEN, key=LOOKS_ENCODED)),
    "bridge-versioned": (
        bridge(**{"version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"}),
        replace(SEEN, version_id="IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"),
    ),
    "bridge-of-moto": (bridge(**{"etag": None, "eTag": ETAG, "version-id": "null"}), SEEN),
    "bridge-as-a-list": ([bridge()], SEEN),
    "sns-wrapped": (sns(direct(record())), SEEN),
    "sns-of-moto-without-subject": (sns(direct(record()), Subject=None), SEEN),
    "sns-raw": (json.dumps(direct(record())), SEEN),
    "sns-of-a-fifo-topic": (sns(direct(record()), SequenceNumber="10000000000000003000"), SEEN),
    "sns-with-attributes": (sns(direct(record()), MessageAttributes={"a": {"Type": "String", "Value": "b"}}), SEEN),
    "sns-signed-anew": (sns(direct(record()), SignatureVersion="2", UnsubscribeURL=None), SEEN),
    "sns-of-bridge": (sns(bridge()), SEEN),
    "sns-to-lambda": (direct(sns_record(direct(record()))), SEEN),
    "sqs-to-lambda": (batch(direct(record())), SEEN),
    "sqs-to-lambda-of-sns": (batch(sns(direct(record()))), SEEN),
    "sqs-to-lambda-of-bridge": (batch(bridge()), SEEN),
    "sqs-to-lambda-of-minio": (batch(minio()), BY_MINIO),
    "sqs-to-pipes": (batch(direct(record()))["Records"], SEEN),
    "filer-create": (filer(new=entry()), BY_FILER),
    "filer-create-without-etag": (filer(new=entry(etag=None)), BY_FILER),
    "filer-create-without-any-sum": (
        filer(new=entry(etag=None, attributes={"file_size": 1024, "md5": "bad"})),
        replace(BY_FILER, etag=None),
    ),
    "filer-update-of-content": (filer("update", new=entry(), old=entry(etag="a" * 32)), BY_FILER),
    "filer-update-without-sums": (
        filer("update", new=entry(etag=None, attributes={}), old=entry(etag=None, attributes={})),
        ObjectCreated("photos", ODD),
    ),
    "filer-rename": (
        filer("rename", "/buckets/photos/tmp/old.jpg", entry(), entry(), new_parent_path="/buckets/photos/in/a+b c"),
        BY_FILER,
    ),
    "filer-versioned": (versioned(), replace(BY_FILER, version_id="61ab")),
    "filer-key-that-ends-like-a-version": (
        filer(key="/buckets/photos/in/a.versions/v_61ab", new=entry("v_61ab")),
        replace(BY_FILER, key="in/a.versions/v_61ab"),
    ),
}  # fmt: skip

SEVERAL = {
    "two-records": (direct(record(), second), [SEEN, SECOND], []),
    "a-record-and-a-delete": (direct(record(), record(name="ObjectRemoved:Delete")), [SEEN], ["ObjectRemoved:Delete"]),
    "two-messages-in-a-batch": (batch(direct(record()), direct(second)), [SEEN, SECOND], []),
    "a-batch-with-a-test": (batch(test_event(), direct(record())), [SEEN], ["s3:TestEvent"]),
    "a-hundred-records": (
        direct(*(record(f"in/{number}.jpg") for number in range(100))),
        [replace(SEEN, key=f"in/{number}.jpg") for number in range(100)],
        [],
    ),
    "sns-of-two-records": (sns(direct(record(), second)), [SEEN, SECOND], []),
    "restored": (direct(record(name="ObjectRestore:Completed")), [SEEN], []),
    "restored-bridge": (bridge("Object Restore Completed"), [SEEN], []),
    "restored-minio": (minio(name="s3:ObjectRestore:Completed"), [BY_MINIO], []),
    "twice-the-same": (direct(record(), record()), [SEEN, SEEN], []),
    "kinds-in-a-batch": (batch(bridge(), sns(direct(second)), minio()), [SEEN, SECOND, BY_MINIO], []),
}

BODILESS = ("size", "eTag")
IGNORED = {
    **{
        f"aws-{name}": (direct(record(name=name, drop=BODILESS)), name)
        for name in (
            "ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "ObjectTagging:Put", "ObjectTagging:Delete",
            "ObjectAcl:Put", "ObjectRestore:Post", "ObjectRestore:Delete",
            "LifecycleExpiration:Delete", "LifecycleExpiration:DeleteMarkerCreated", "LifecycleTransition",
            "IntelligentTiering", "ReducedRedundancyLostObject", "Replication:OperationFailedReplication",
            "Replication:OperationMissedThreshold", "Replication:OperationReplicatedAfterThreshold",
            "Replication:OperationNotTracked", "ObjectAnnotation:Put", "SomethingNew:In2027",
        )
    },
    **{
        f"minio-{name}": (minio(name=f"s3:{name}"), name)
        for name in (
            "ObjectCreated:PutTagging", "ObjectCreated:DeleteTagging", "ObjectCreated:PutLegalHold",
            "ObjectCreated:PutRetention", "ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated",
            "ObjectAccessed:Get", "ObjectAccessed:Head", "ObjectTransition:Complete", "Scanner:ManyVersions",
            "ObjectAccessed:GetRetention", "ObjectAccessed:GetLegalHold", "ObjectAccessed:Attributes",
            "ObjectRemoved:NoOP", "ObjectRemoved:DeleteAllVersions", "ObjectTransition:Failed", "ObjectRestore:Post",
            "Replication:OperationCompletedReplication", "Scanner:LargeVersions",
            "Scanner:BigPrefix", "LifecycleDelMarkerExpiration:Delete", "BucketCreated", "BucketRemoved",
        )
    },
    "rustfs-tagging-without-key": (
        {"EventName": "s3:ObjectCreated:PutTagging", "Key": "photos/",
         "Records": [record("", "s3:ObjectCreated:PutTagging", "rustfs:s3")]},
        "ObjectCreated:PutTagging",
    ),
    "minio-top-level-delete": ({"EventName": "s3:ObjectRemoved:Delete", "Key": "photos/in/a"}, "ObjectRemoved:Delete"),
    "ceph-sync": (direct(record(name="ObjectSynced:Create", source="ceph:s3")), "ObjectSynced:Create"),
    **{
        f"bridge-{kind}": (bridge(kind, reason="DeleteObject"), kind)
        for kind in (
            "Object Deleted", "Object Restore Initiated", "Object Restore Expired",
            "Object Storage Class Changed", "Object Access Tier Changed", "Object ACL Updated", "Object Tags Added",
            "Object Tags Deleted",
        )
    },
    "test-event": (test_event(), "s3:TestEvent"),
    "test-event-of-versity": ({"Service": "S3", "Event": "s3:TestEvent", "Bucket": "Test-Bucket"}, "s3:TestEvent"),
    "test-event-by-sns": (sns(test_event()), "s3:TestEvent"),
    "test-event-in-a-batch": (batch(test_event()), "s3:TestEvent"),
    "empty-records": (direct(), "no records"),
    "records-null": ({"Records": None}, "no records"),
    "empty-list": ([], "no records"),
    "sns-confirmation": (sns({}, Type="SubscriptionConfirmation", MessageId="x"), "SubscriptionConfirmation"),
    "sns-farewell": (sns({}, Type="UnsubscribeConfirmation"), "UnsubscribeConfirmation"),
    "filer-delete": (filer("delete", old=entry()), "filer delete"),
    "filer-folder": (filer(key="/buckets/photos/in", new=entry("in", is_directory=True)), "filer folder"),
    "filer-folder-by-mode": (
        filer(key="/buckets/photos/in", new=entry("in", attributes={"file_mode": 2147484141})), "filer folder",
    ),
    "filer-tags": (filer("update", new=entry(), old=entry()), "filer update of metadata"),
    "filer-part": (filer(key="/buckets/photos/.uploads/1f/0001.part", new=entry()), "filer upload in parts"),
    "filer-bucket": (filer(key="/buckets/photos", new=entry("photos")), "filer path outside the buckets"),
    "filer-system": (filer(key="/buckets/.system/multipart/x", new=entry()), "filer path outside the buckets"),
    "filer-elsewhere": (filer(key="/topics/x", new=entry()), "filer path outside the buckets"),
    "filer-delete-marker": (versioned(marker=True), "filer delete marker"),
}  # fmt: skip

WRONG = {
    "nothing": ("", "is not JSON"),
    "text": ("hello", "is not JSON"),
    "no-utf-8": (b"\xff\xfe\xfa", "is not JSON"),
    "cut-off": (json.dumps(direct(record()))[:300], "is not JSON"),
    "deep-json": ("[" * 100_000, "is not JSON"),
    "long-number": ("9" * 5000, "is not JSON"),
    "null": ("null", "is no JSON object"),
    "number": ("42", "is no JSON object"),
    "true": ("true", "is no JSON object"),
    "not-a-number": ("NaN", "is no JSON object"),
    "text-in-json": ('"hello"', "is not JSON"),
    "two-lines": ('{"Records":[]}\n{"Records":[]}', "is not JSON"),
    "xml": ('<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "is not JSON"),
    "html": ("<!doctype html><title>502</title>", "is not JSON"),
    "form": ("payload=%7B%22Records%22%3A%5B%5D%7D", "is not JSON"),
    "base64": ("eyJSZWNvcmRzIjpbXX0=", "is not JSON"),
    "gzip": (gzip.compress(b'{"Records":[]}'), "is not JSON"),
    "nul-bytes": (bytes(10), "is not JSON"),
    "only-a-byte-order-mark": (b"\xef\xbb\xbf", "is not JSON"),
    "empty-object": ({}, "no event has these fields"),
    "event-grid": ([{"eventType": "Microsoft.Storage.BlobCreated", "data": {"url": "x"}}], "no event has these fields"),
    "google-storage": ({"kind": "storage#object", "name": "in/a.jpg", "bucket": "photos"}, "no event has these fields"),
    "cloud-event": (
        {"specversion": "1.0", "type": "com.amazonaws.s3.objectcreated", "subject": "in/a.jpg", "data": {}},
        "no event has these fields",
    ),
    "code-pipeline": ({"CodePipeline.job": {"id": "1"}}, "no event has these fields"),
    "scheduled-event": (
        {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}},
        "is no event of S3's objects",
    ),
    "record-a-text": (direct("hello"), "is not JSON"),
    "record-a-number": (direct(7), "is no JSON object"),
    "s3-null": (direct({**record(), "s3": None}), "no event has these fields"),
    "object-null": (direct({**record(), "s3": {"bucket": {"name": "photos"}, "object": None}}), "object.key is None"),
    "bucket-a-text": (direct({**record(), "s3": {"bucket": "photos", "object": {"key": "a"}}}), "bucket.name is None"),
    "some-object": ({"bucket": "photos", "name": "x"}, "no event has these fields"),
    "records-no-list": ({"Records": "x"}, "no event has these fields"),
    "record-of-another-service": (direct({"eventSource": "aws:dynamodb", "dynamodb": {}}), "no event has these fields"),
    "eventVersion-3": (direct(record(version="3.0")), "eventVersion is '3.0'"),
    "eventVersion-1": (direct(record(version="1.0")), "eventVersion is '1.0'"),
    **{
        f"eventVersion-{version!r}": (direct(record(version=version)), f"eventVersion is {version!r}")
        for version in ("2.", "2.1.", " 2.1", "\uff12.1", "v2.1", "", None, ["2.1"], 3)
    },
    "eventVersion-true": (direct(record(version=True)), "eventVersion is True"),
    "eventSource": (direct(record(source="aws:kinesis")), "eventSource is 'aws:kinesis'"),
    "eventName-missing": (direct({**record(), "eventName": None}), "eventName is None"),
    "eventName-with-spaces": (direct(record(name="Object created")), "eventName is 'Object created'"),
    "key-missing": (direct(record(drop=("key",))), "object.key is None"),
    "key-empty": (direct(record("")), "object.key is ''"),
    "key-a-number": (direct(record(7)), "object.key is 7"),
    "key-no-utf-8": (direct(record("in/%FF.jpg")), "is not UTF-8"),
    "key-half-a-character": (direct(record("in/\ud800.jpg")), "is not UTF-8"),
    "bucket-missing": (direct({**record(), "s3": {"object": {"key": "a"}}}), "bucket.name is None"),
    "bridge-of-another-service": ({**bridge(), "source": "aws.ec2"}, "is no event of S3's objects"),
    "bridge-by-cloudtrail": (bridge("AWS API Call via CloudTrail"), "is no event of S3's objects"),
    "bridge-without-detail": ({**bridge(), "detail": None}, "bucket.name is None"),
    "minio-key-without-bucket": ({"EventName": "s3:ObjectCreated:Put", "Key": "photos"}, "Key is 'photos'"),
    "sns-of-text": ({"Type": "Notification", "Message": "hello"}, "is not JSON"),
    "sns-in-sns-in-sns": (sns(sns(sns(sns(sns(direct(record())))))), "wrappings"),
    "lists-in-lists": ([[[[[[[[[[record()]]]]]]]]]], "wrappings"),
    "deep-key": (direct(record(json.loads("[" * 500 + "]" * 500))), "object.key is [[["),
    "filer-unknown": (filer("append", new=entry()), "event_type is 'append'"),
    "filer-without-entry": (filer(), "message.new_entry is None"),
    "filer-without-message": ({"event_type": "create", "key": "/buckets/photos/a", "message": 1}, "new_entry is None"),
    "filer-rename-without-name": (filer("rename", new=entry(None)), "message.new_entry.name is None"),
}

NAMES = (
    "a+b.jpg", "100%.jpg", "%2B.jpg", "a%20b.jpg", "日本語/写真.jpg", "🙂.jpg", "a&b=c#d?.jpg", "back\\slash.jpg",
    "'\"<>.jpg", "tab\tnew\nline.jpg", "space at the end ", "deep/er/x.jpg", "é.jpg", "e\u0301.jpg", "null", "~.jpg;,",
)  # fmt: skip
WAYS = {
    "aws": lambda key: direct(record(quote_plus(key, safe="/"))),
    "percent": lambda key: direct(record(path_encoded(key))),
    "minio": minio,
    "top-level": lambda key: {"EventName": "s3:ObjectCreated:Put", "Key": f"photos/{key}"},
    "rustfs": lambda key: minio(key, source="rustfs:s3"),
    "ceph": ceph,
    "versity": lambda key: direct(versity(key)),
    "bridge": lambda key: bridge(key=key),
    "filer": lambda key: filer(key=f"/buckets/photos/{key}", new=entry()),
    "sns": lambda key: sns(minio(key)),
    "batch": lambda key: batch(sns(bridge(key=key))),
}
"""How each kind tells of a key."""

NAMED = {f"{way}-{name}": (make(f"in/{name}"), name) for way, make in WAYS.items() for name in NAMES}
"""Odd names of photos, told in every way."""


def sendable(body):
    """As it goes over a wire."""
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()
