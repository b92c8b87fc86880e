"""Events that reach the queue by way of SNS or EventBridge, and every body that there is: a real server of all four."""

import json
import threading

import pytest

from tests.sources.sqs_helpers import SOON, Cloud, Run
from tests.sources.test_envelopes import CREATED, IGNORED, WRONG

KEY = "in/a+b c/é%25.jpg"


@pytest.fixture(scope="module")
def cloud():
    cloud = Cloud()
    yield cloud
    cloud.close()


@pytest.fixture
def queue(cloud):
    return cloud.queue(VisibilityTimeout=30)


def by_sns(cloud, queue, bucket, raw):
    sns = cloud.client("sns")
    topic = sns.create_topic(Name=bucket)["TopicArn"]
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue.arn, Attributes={"RawMessageDelivery": json.dumps(raw)}
    )
    told = [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]
    cloud.s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"TopicConfigurations": told}
    )


def by_event_bridge(cloud, queue, bucket):
    events = cloud.client("events")
    events.put_rule(Name=bucket, EventPattern=json.dumps({"source": ["aws.s3"]}))
    events.put_targets(Rule=bucket, Targets=[{"Id": "1", "Arn": queue.arn}])
    cloud.s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )


WAYS = {
    "sns": lambda *places: by_sns(*places, raw=False),
    "sns-raw": lambda *places: by_sns(*places, raw=True),
    "event-bridge": by_event_bridge,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_photo_is_yielded_whatever_way_its_event_takes(cloud, queue, way):
    bucket = cloud.bucket()
    way(cloud, queue, bucket)
    etag = cloud.s3.put_object(Bucket=bucket, Key=KEY, Body=b"photo")["ETag"].strip('"')
    cloud.s3.delete_object(Bucket=bucket, Key=KEY)
    with Run(cloud.client("sqs"), queue.url, bucket) as run:
        event = run.next()
        assert (event.uri, event.version) == (f"s3://{bucket}/{KEY}", etag)
        run.ack(event)
        assert queue.comes_to((0, 0))
        assert run.nothing(0)


def test_of_all_bodies_that_there_are_each_is_worked_on_or_deleted_or_a_dead_letter(cloud, queue):
    sendable = [body for body, _ in (*CREATED.values(), *IGNORED.values(), *WRONG.values()) if body != ""]
    sendable = [body for body in sendable if not isinstance(body, bytes)]
    wrong = [body for body, _ in WRONG.values() if body != "" and not isinstance(body, bytes)]
    dead = queue.redrive(2)
    for body in sendable:
        queue.send(body)
    paths = set()
    with Run(cloud.client("sqs"), queue.url, slots=10) as run:

        def work():
            while event := run.next():
                paths.add(event.path)
                run.ack(event)

        worker = threading.Thread(target=work)
        worker.start()
        assert dead.comes_to((len(wrong), 0))
        assert queue.comes_to((0, 0))
        run.source.stop()
        worker.join(SOON)
    assert paths == {"a+b c/é%25.jpg", "a%20b+c.jpg", "a.versions/v_61ab"}
    assert run.counts["events"] + run.counts["ignored"] == len(sendable) - len(wrong)
