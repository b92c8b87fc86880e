"""Events that reach the queue by way of SNS or EventBridge, and every body that there is: a real server of all four."""

import json
import threading

import pytest

from tests.sources.notifications.bodies import CREATED, IGNORED, NAMED, SEVERAL, WRONG
from tests.sources.sqs.sqs_helpers import SOON, Run

KEY = "in/a+b c/é%25.jpg"


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
        assert run.drained(queue)


def messages(bodies):
    """What a message can hold: text, and some of it."""
    return [body for body in bodies if body != "" and not isinstance(body, bytes)]


def test_of_all_bodies_that_there_are_each_is_worked_on_or_deleted_or_a_dead_letter(cloud, queue):
    wrong = messages(body for body, _ in WRONG.values())
    well = messages(body for table in (CREATED, IGNORED, SEVERAL, NAMED) for body, *_ in table.values())
    dead, paths = queue.redrive(2), set()
    for body in wrong + well:
        queue.send(body)
    with Run(cloud.client("sqs"), queue.url, slots=10) as run:

        def work():
            while event := run.next(100):
                paths.add(event.path)
                run.ack(event)

        worker = threading.Thread(target=work)
        worker.start()
        assert dead.comes_to((len(wrong), 0), 60)
        assert queue.comes_to((0, 0), 60)
        run.source.stop()
        worker.join(SOON)
    told = {"a+b c/é%25.jpg", "a%20b+c.jpg", "a.versions/v_61ab", "second.jpg"}
    assert paths == told | {name for _, name in NAMED.values()} | {f"{number}.jpg" for number in range(100)}
    several = sum(len(created) + len(ignored) for _, created, ignored in SEVERAL.values())
    assert run.counts["events"] + run.counts["ignored"] == len(well) - len(SEVERAL) + several
