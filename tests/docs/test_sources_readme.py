"""The files that sources/README.md gives for AWS, used on a server that emulates it."""

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest

from tests.sources.sqs.sqs_helpers import Cloud

README = (Path(__file__).parents[2] / "sources" / "README.md").read_text("utf-8")
ACCOUNT = "arn:aws:sqs:eu-central-1:123456789012"


@pytest.fixture
def cloud():
    cloud = Cloud()
    yield cloud
    cloud.close()


def example(words):
    """The one JSON example of the document that has these words, parsed."""
    (found,) = [text for text in re.findall(r"```json\n(.*?)```", README, re.DOTALL) if words in text]
    return json.loads(found)


def test_queue_and_notification_announce_a_photo(cloud):
    cloud.sqs.create_queue(QueueName="photos-dead", Attributes={"MessageRetentionPeriod": "1209600"})
    url = cloud.sqs.create_queue(QueueName="photos", Attributes=example("RedrivePolicy"))["QueueUrl"]
    with suppress(cloud.s3.exceptions.BucketAlreadyOwnedByYou):  # all servers of this process play one cloud
        cloud.s3.create_bucket(Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    notification = example("QueueConfigurations")
    cloud.s3.put_bucket_notification_configuration(Bucket="photos", NotificationConfiguration=notification)
    cloud.sqs.purge_queue(QueueUrl=url)

    for key in ("elsewhere/anna.jpg", "in/anna.jpg"):
        cloud.s3.put_object(Bucket="photos", Key=key, Body=b"x")
    (message,) = cloud.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(message["Body"])["Records"][0]["s3"]["object"]["key"].endswith("anna.jpg")


def test_queue_policies_name_the_queues(cloud):
    attributes = example("RedrivePolicy")
    (statement,) = json.loads(attributes["Policy"])["Statement"]
    (notification,) = example("QueueConfigurations")["QueueConfigurations"]
    assert statement["Resource"] == notification["QueueArn"] == f"{ACCOUNT}:photos"
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"] == f"{ACCOUNT}:photos-dead"


def test_smallest_policy_is_accepted(cloud):
    policy = json.dumps(example("s3:ListBucket"))
    made = cloud.client("iam").create_policy(PolicyName="facecraft", PolicyDocument=policy)
    assert made["Policy"]["PolicyName"] == "facecraft"
