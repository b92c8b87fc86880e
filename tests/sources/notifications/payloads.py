"""Bodies as the servers send them: written from their documentation, their source and from what they sent to us."""

import json
from base64 import b64encode
from urllib.parse import quote, quote_plus

from sources.notifications.notification import ObjectCreated

ODD = "in/a+b c/é%25.jpg"
ETAG = "0cc175b9c0f1b6a831c399e269772661"
MD5 = "DMF1ucDxtqgxw5niaXcmYQ=="
SEEN = ObjectCreated("photos", ODD, None, ETAG, "0064D3901D00059242", 1024)


def record(key=None, name="ObjectCreated:Put", source="aws:s3", version="2.1", drop=(), **fields):
    """A record as AWS publishes it; `drop` names fields of the object that it lacks."""
    thing = {
        "key": quote_plus(ODD, safe="/") if key is None else key,
        "size": 1024,
        "eTag": ETAG,
        "sequencer": "0064D3901D00059242",
        **fields,
    }
    return {
        "eventVersion": version,
        "eventSource": source,
        "awsRegion": "eu-central-1",
        "eventTime": "2026-11-21T10:00:00.000Z",
        "eventName": name,
        "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "to-the-queue",
            "bucket": {
                "name": "photos",
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": "arn:aws:s3:::photos",
            },
            "object": {field: value for field, value in thing.items() if field not in drop},
        },
    }


def direct(*records):
    return {"Records": list(records)}


def minio(key=ODD, name="s3:ObjectCreated:Put", source="minio:s3", **fields):
    """MinIO writes a slash as %2F, and the key once more, plain, at the top."""
    one = record(quote_plus(key), name, source, "2.0", sequencer="1782FE0B0F4C5D3A", **fields)
    one["responseElements"] = {
        "x-amz-id-2": "dd9025bab4ad464b049177c95eb6ebf374d3b3fd1af9251148b658df7ac2e3e8",
        "x-amz-request-id": "1782FE0B0F4C5D3A",
        "x-minio-deployment-id": "4db39e3e-5a1c-4e3c-9d2e-6c9fd2a4f6f0",
        "x-minio-origin-endpoint": "http://127.0.0.1:9000",
    }
    one["s3"]["object"] |= {"contentType": "image/jpeg", "userMetadata": {"content-type": "image/jpeg"}}
    one["source"] = {"host": "127.0.0.1", "port": "", "userAgent": "MinIO (linux; amd64) minio-go/v7.0.90"}
    return {"EventName": name, "Key": f"photos/{key}", "Records": [one]}


def ceph(key=ODD, name="ObjectCreated:Put"):
    one = record(key, name, "ceph:s3", "2.2", versionId="", sequencer="F7E6D75DC742D108")
    one["s3"]["object"] |= {"metadata": [{"key": "x-amz-meta-a", "val": "b"}], "tags": []}
    return direct(one | {"eventId": f"1575221657.102001.{ETAG}", "opaqueData": "me@example.com"})


def versity(key=ODD, kind="webhook"):
    one = record(key, "s3:ObjectCreated:Put", version="2.2", versionId=None, sequencer="00D3901D00059242")
    one["s3"]["configurationId"] = f"{kind}-global"
    one["glacierEventData"] = {"restoreEventData": {"lifecycleRestoreStorageClass": ""}}
    return one


def bridge(kind="Object Created", key=ODD, reason="PutObject", **fields):
    """EventBridge does not encode the key."""
    thing = {"key": key, "size": 1024, "etag": ETAG, "sequencer": "0064D3901D00059242", **fields}
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": kind,
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-11-21T00:00:00Z",
        "region": "ca-central-1",
        "resources": ["arn:aws:s3:::photos"],
        "detail": {
            "version": "0",
            "bucket": {"name": "photos"},
            "object": thing,
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            "reason": reason,
        },
    }


def sns(body, **fields):
    return {
        "Type": "Notification",
        "MessageId": "dc1e94d9-56c5-5e96-808d-cc7f68faa162",
        "TopicArn": "arn:aws:sns:us-east-2:111122223333:ExampleTopic1",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(body),
        "Timestamp": "2026-11-21T22:26:07.100Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE600dXlMHqQ==",
        "SigningCertURL": "https://sns.us-east-2.amazonaws.com/SimpleNotificationService-010a507c.pem",
        "UnsubscribeURL": "https://sns.us-east-2.amazonaws.com/?Action=Unsubscribe",
        **fields,
    }


def sns_record(body):
    """As a function gets it that SNS calls."""
    return {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": "arn:aws:sns:us-east-2:111122223333:ExampleTopic1:e6f8",
        "Sns": sns(body),
    }


def batch(*bodies):
    """As a function gets it that is fed by SQS."""
    return direct(
        *(
            {
                "messageId": f"059f36b4-87a3-44ab-83d2-66197574{number:04}",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
                "body": json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183"},
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
                "awsRegion": "us-east-2",
            }
            for number, body in enumerate(bodies)
        )
    )


def test_event(**fields):
    return {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2026-11-21T10:00:00.000Z",
        "Bucket": "photos",
        "RequestId": "5582815E1AEA5ADF",
        "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
        **fields,
    }


test_event.__test__ = False


def entry(name="é%25.jpg", etag=ETAG, **fields):
    """A file of SeaweedFS' filer."""
    extended = {"Seaweed-X-Amz-ETag": b64encode(etag.encode()).decode()} if etag else {}
    return {
        "name": name,
        "attributes": {"file_size": 1024, "mtime": 1763719200, "file_mode": 432, "mime": "image/jpeg", "md5": MD5},
        "extended": extended,
        **fields,
    }


def filer(kind="create", key=f"/buckets/photos/{ODD}", new=None, old=None, **message):
    told = {"new_parent_path": key.rpartition("/")[0], "signatures": [1], **message}
    told |= {field: value for field, value in (("new_entry", new), ("old_entry", old)) if value is not None}
    return {"event_type": kind, "key": key, "message": told}


def versioned(marker=False):
    """A version of an object lies below `<key>.versions`."""
    extended = {"Seaweed-X-Amz-Version-Id": b64encode(b"61ab").decode()}
    extended |= {"Seaweed-X-Amz-Delete-Marker": b64encode(b"true").decode()} if marker else {}
    key = f"/buckets/photos/{ODD}.versions/v_61ab"
    return filer(key=key, new=entry("v_61ab", etag=None, extended=extended))


def path_encoded(key):
    """As a URL has it; what AWS may write for a space, too."""
    return quote(key, safe="/")
