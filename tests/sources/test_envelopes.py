"""Every kind of body, by every server: the right photo, or ignored, or not understood."""

import json
from dataclasses import replace
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.announced import Announced, EnvelopeError, is_older
from sources.envelopes import announced
from tests.sources.payloads import (
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

BY_MINIO = replace(SEEN, sequencer="1782FE0B0F4C5D3A")
BY_CEPH = replace(SEEN, sequencer="F7E6D75DC742D108")
LOOKS_ENCODED = "in/a%20b+c.jpg"
BY_FILER = replace(SEEN, sequencer=None)
BY_VERSITY = replace(SEEN, sequencer="00D3901D00059242")
SECOND = replace(SEEN, key="in/second.jpg")
second = record("in/second.jpg")

CREATED = {
    "aws-put": (direct(record()), SEEN),
    "aws-post": (direct(record(name="ObjectCreated:Post")), SEEN),
    "aws-copy": (direct(record(name="ObjectCreated:Copy")), SEEN),
    "aws-multipart": (
        direct(record(name="ObjectCreated:CompleteMultipartUpload", eTag="4af981f98d22a0b9979da24b259e5e42-12")),
        replace(SEEN, etag="4af981f98d22a0b9979da24b259e5e42-12"),
    ),
    **{f"aws-version-{version}": (direct(record(version=version)), SEEN) for version in ("2.0", "2.3", "2.6", "2.19")},
    "aws-no-event-version": (direct({**record(), "eventVersion": "2"}), SEEN),
    "aws-versioned": (
        direct(record(versionId="096fKKXTRTtl3on89fVO.nfljtsv6qko")),
        replace(SEEN, version_id="096fKKXTRTtl3on89fVO.nfljtsv6qko"),
    ),
    "aws-space-as-percent": (direct(record(path_encoded(ODD))), SEEN),
    "aws-all-encoded": (direct(record(quote_plus(ODD, safe=""))), SEEN),
    "aws-only-what-is-needed": (
        direct(record(drop=("size", "eTag", "sequencer"))),
        Announced("photos", ODD),
    ),
    "aws-odd-optional-fields": (
        direct(record(size="big", eTag=7, sequencer="no hex", versionId=[])),
        Announced("photos", ODD),
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
    "minio-put": (minio(), BY_MINIO),
    "minio-multipart": (minio(name="s3:ObjectCreated:CompleteMultipartUpload"), BY_MINIO),
    "minio-copy": (minio(name="s3:ObjectCreated:Copy"), BY_MINIO),
    "minio-post": (minio(name="s3:ObjectCreated:Post"), BY_MINIO),
    "minio-without-size-of-version-null": (
        minio("in/folder/", drop=("size",), versionId="null"),
        replace(BY_MINIO, key="in/folder/", size=None),
    ),
    "minio-top-level-only": ({"EventName": "s3:ObjectCreated:Put", "Key": f"photos/{ODD}"}, Announced("photos", ODD)),
    "minio-top-level-no-records": (
        {"EventName": "s3:ObjectCreated:Put", "Key": f"photos/{ODD}", "Records": None},
        Announced("photos", ODD),
    ),
    "rustfs-put": (minio(source="rustfs:s3"), BY_MINIO),
    "rustfs-multipart": (minio(name="s3:ObjectCreated:CompleteMultipartUpload", source="rustfs:s3"), BY_MINIO),
    "ceph-put": (ceph(), BY_CEPH),
    "ceph-key-that-looks-encoded": (ceph(LOOKS_ENCODED), replace(BY_CEPH, key=LOOKS_ENCODED)),
    "versity-webhook": (direct(versity()), BY_VERSITY),
    "versity-nats-bare-list": ([versity(kind="nats")], BY_VERSITY),
    "versity-key-that-looks-encoded": (direct(versity(LOOKS_ENCODED)), replace(BY_VERSITY, key=LOOKS_ENCODED)),
    "some-other-server": (direct(record(source="zenko:s3")), SEEN),
    "bridge-put": (bridge(), SEEN),
    "bridge-copy": (bridge(reason="CopyObject"), SEEN),
    "bridge-key-that-looks-encoded": (bridge(key=LOOKS_ENCODED), replace(SEEN, key=LOOKS_ENCODED)),
    "bridge-versioned": (
        bridge(**{"version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"}),
        replace(SEEN, version_id="IYV3p45BT0ac8hjHg1houSdS1a.Mro8e"),
    ),
    "bridge-of-moto": (bridge(**{"etag": None, "eTag": ETAG, "version-id": "null"}), SEEN),
    "bridge-as-a-list": ([bridge()], SEEN),
    "sns-wrapped": (sns(direct(record())), SEEN),
    "sns-of-moto-without-subject": (sns(direct(record()), Subject=None), SEEN),
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
        Announced("photos", ODD),
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
    "twice-the-same": (direct(record(), record()), [SEEN, SEEN], []),
    "kinds-in-a-batch": (batch(bridge(), sns(direct(second)), minio()), [SEEN, SECOND, BY_MINIO], []),
}

BODILESS = ("size", "eTag")
IGNORED = {
    **{
        f"aws-{name}": (direct(record(name=name, drop=BODILESS)), name)
        for name in (
            "ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "ObjectTagging:Put", "ObjectTagging:Delete",
            "ObjectAcl:Put", "ObjectRestore:Post", "ObjectRestore:Completed", "ObjectRestore:Delete",
            "LifecycleExpiration:Delete", "LifecycleExpiration:DeleteMarkerCreated", "LifecycleTransition",
            "IntelligentTiering", "ReducedRedundancyLostObject", "Replication:OperationFailedReplication",
        )
    },
    **{
        f"minio-{name}": (minio(name=f"s3:{name}"), name)
        for name in (
            "ObjectCreated:PutTagging", "ObjectCreated:DeleteTagging", "ObjectCreated:PutLegalHold",
            "ObjectCreated:PutRetention", "ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated",
            "ObjectAccessed:Get", "ObjectAccessed:Head", "ObjectTransition:Complete", "Scanner:ManyVersions",
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
            "Object Deleted", "Object Restore Initiated", "Object Restore Completed", "Object Restore Expired",
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
    "some-object": ({"bucket": "photos", "name": "x"}, "no event has these fields"),
    "records-no-list": ({"Records": "x"}, "no event has these fields"),
    "record-of-another-service": (direct({"eventSource": "aws:dynamodb", "dynamodb": {}}), "no event has these fields"),
    "eventVersion-3": (direct(record(version="3.0")), "eventVersion is '3.0'"),
    "eventVersion-1": (direct(record(version="1.0")), "eventVersion is '1.0'"),
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


@pytest.mark.parametrize("as_bytes", [False, True], ids=["parsed", "bytes"])
@pytest.mark.parametrize(("body", "photo"), CREATED.values(), ids=CREATED)
def test_a_created_object_is_announced(body, photo, as_bytes):
    told = announced(json.dumps(body).encode() if as_bytes and not isinstance(body, bytes) else body)
    assert (told.created, told.ignored) == ((photo,), ())


@pytest.mark.parametrize(("body", "created", "ignored"), SEVERAL.values(), ids=SEVERAL)
def test_all_that_a_body_tells_is_told(body, created, ignored):
    told = announced(body)
    assert ([*told.created], [*told.ignored]) == (created, ignored)


@pytest.mark.parametrize(("body", "name"), IGNORED.values(), ids=IGNORED)
def test_what_creates_nothing_is_ignored_by_name(body, name):
    told = announced(json.dumps(body))
    assert (told.created, told.ignored) == ((), (name,))


@pytest.mark.parametrize(("body", "wrong"), WRONG.values(), ids=WRONG)
def test_what_is_not_understood_is_said(body, wrong):
    with pytest.raises(EnvelopeError) as error:
        announced(body)
    assert wrong in str(error.value)
    assert len(str(error.value)) < 700


def test_what_is_understood_is_not_lost_for_what_is_not():
    with pytest.raises(EnvelopeError) as error:
        announced(batch(direct(record(), record(version="9")), "hello", direct(second), *[None] * 3))
    assert error.value.understood.created == (SEEN, SECOND)
    assert "eventVersion is '9'" in str(error.value)
    assert str(error.value).endswith("and 2 more")


keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
WAYS = {
    "aws": lambda key: direct(record(quote_plus(key, safe="/"))),
    "percent": lambda key: direct(record(path_encoded(key))),
    "minio": minio,
    "top-level": lambda key: {"EventName": "s3:ObjectCreated:Put", "Key": f"photos/{key}"},
    "rustfs": lambda key: minio(key, source="rustfs:s3"),
    "ceph": ceph,
    "versity": lambda key: direct(versity(key)),
    "bridge": lambda key: bridge(key=key),
    "filer": lambda key: filer(key=f"/buckets/photos/in/{key}", new=entry()),
    "sns": lambda key: sns(minio(key)),
    "batch": lambda key: batch(sns(bridge(key=key))),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@given(key=keys)
def test_every_key_comes_out_as_it_was(way, key):
    (photo,) = announced(json.dumps(way(key))).created
    assert photo.key.removeprefix("in/") == key.removeprefix("in/")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NAMES = ("Records", "s3", "Sns", "body", "Message", "Type", "Event", "detail-type", "detail", "object", "bucket", "key",
         "name", "eventName", "eventSource", "eventVersion", "event_type", "message", "new_entry", "EventName", "Key",
         "attributes", "extended", "md5", "source")  # fmt: skip
VALUES = ("Notification", "ObjectCreated:Put", "aws:s3", "aws:sqs", "aws.s3", "Object Created", "create", "rename",
          "2.1", "/buckets/photos/a", "%FF", "\ud800", "")  # fmt: skip
look_alikes = st.recursive(
    st.sampled_from(VALUES) | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
)


def reads(body):
    try:
        told = announced(body)
    except EnvelopeError as error:
        told = error.understood
    return all(photo.bucket and photo.key for photo in told.created)


@given(st.binary() | st.text())
def test_no_bytes_break_it(body):
    assert reads(body)


@given(json_values)
def test_no_json_breaks_it(value):
    assert reads(json.dumps(value))


@given(st.dictionaries(st.sampled_from(NAMES), look_alikes))
def test_nothing_that_looks_like_an_event_breaks_it(value):
    assert reads(value)


@given(st.data())
def test_no_field_of_a_real_event_breaks_it(data):
    body = data.draw(st.sampled_from([body for body, _ in (*CREATED.values(), *IGNORED.values())]).filter(bool))
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    whole = json.loads(text)
    place = whole
    while isinstance(place, dict | list) and place:
        name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[name], dict | list) or data.draw(st.booleans()):
            place[name] = data.draw(json_values)
            break
        place = place[name]
    assert reads(whole)


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        ("0064D3901D00059242", "0064D3901D00059243", True),
        ("FF", "100", True),
        ("0ff", "FE", False),
        ("A", "a", False),
        (None, "1", False),
        ("1", None, False),
    ],
)
def test_sequencers_of_any_length_compare_as_numbers(one, other, older):
    assert is_older(one, other) is older
