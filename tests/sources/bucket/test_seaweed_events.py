"""SeaweedFS' filer and its webhook. What it fails to deliver is lost there, so the rescan has to find it."""

import boto3
import pytest

from tests.sources.bucket.webhook_endpoint import TOKEN, Hook
from tests.support.ports import free_port
from tests.support.s3_servers import seaweed_server

NAMES = ["a+b c/é%25.jpg", "100%.jpg", "日本語/写真.jpg", "q?x=1&y=2#z.jpg", "plus+.jpg", "sub/plain.jpg"]


@pytest.fixture(scope="module")
def hook():
    return Hook(free_port())


@pytest.fixture(scope="module")
def client(hook):
    notification = f"""
[notification.webhook]
enabled = true
endpoint = "http://127.0.0.1:{hook.port}/events"
bearer_token = "{TOKEN}"
"""
    with seaweed_server(notification) as address:
        client = boto3.client(
            "s3",
            endpoint_url=address,
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",  # noqa: S106
        )
        client.create_bucket(Bucket="photos")
        yield client
        client.close()


def test_odd_keys_arrive_as_the_right_paths_and_versions(client, hook):
    with hook:
        etags = {}
        for name in NAMES:
            answer = client.put_object(Bucket="photos", Key=f"in/{name}", Body=name.encode())
            etags[name] = answer["ETag"].strip('"')
        client.put_object(Bucket="photos", Key="elsewhere/a.jpg", Body=b"x")
        told = {}
        while set(etags) - set(told):
            told |= [hook.told.get(timeout=60)]
    assert told == etags


def test_tags_tell_nothing_and_another_content_does(client, hook):
    with hook:
        tags = {"TagSet": [{"Key": "facecraft", "Value": "done"}]}
        client.put_object_tagging(Bucket="photos", Key="in/plus+.jpg", Tagging=tags)
        etag = client.put_object(Bucket="photos", Key="in/plus+.jpg", Body=b"another")["ETag"].strip('"')
        assert hook.told.get(timeout=60) == ("plus+.jpg", etag)
