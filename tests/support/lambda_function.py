"""The function as Lambda runs it: the image's entry point in a room, calls from a Runtime API, moto's S3."""

import json
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from tests.support.fault_proxy import FaultProxy
from tests.support.lambda_room import Room
from tests.support.runtime_api import RuntimeApi

BUCKET = "photos"
ENTRY = (sys.executable, "-m", "handler")
REGION = "eu-central-1"
_API, _S3 = 9001, 9002
EVENTS = Path(__file__).parents[1] / "events"
PORTRAITS = Path(__file__).parents[1] / "portraits"


def event(name):
    """One of tests/events, as its sender writes it."""
    return json.loads((EVENTS / f"{name}.json").read_text("utf-8"))


def key_of(name):
    """The object that most of them tell of; it holds what each sender encodes in its own way."""
    return f"in/{name}/Anna B+é.jpg"


def message(key, number=0, bucket=BUCKET):
    """A record of an SQS batch that tells of this key."""
    one = event("sqs-s3")["Records"][0]
    body = json.loads(one["body"])
    body["Records"][0]["s3"]["object"]["key"] = key
    body["Records"][0]["s3"]["bucket"]["name"] = bucket
    return one | {"messageId": f"message-{number}", "body": json.dumps(body)}


class Bucket:
    """The bucket that the function works in, empty, in moto."""

    def __init__(self):
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"{host}:{port}"
        access = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": REGION}
        self.client = boto3.client("s3", endpoint_url=f"http://{self.endpoint}", **access)
        with suppress(self.client.exceptions.BucketAlreadyOwnedByYou):  # all servers of a process hold the same
            self.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.empty("")

    def close(self):
        self.client.close()
        self._server.stop()

    def put(self, key, portrait="sally_ride_small.jpg", **fields):
        self.client.put_object(Bucket=BUCKET, Key=key, Body=(PORTRAITS / portrait).read_bytes(), **fields)
        return key

    def get(self, key):
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def empty(self, prefix):
        for key in self.keys(prefix):
            self.client.delete_object(Bucket=BUCKET, Key=key)

    def report(self, key):
        """That of the photo under this key."""
        return json.loads(self.get(f"out/reports/{key.removeprefix('in/')}.json"))


def environment(models, endpoint, **settings):
    """What Lambda and the function's own settings say: nothing of this machine's."""
    ours = {"MODELS_DIR": models, "INBOX": f"s3://{BUCKET}/in", "OUTBOX": f"s3://{BUCKET}/out"} | settings
    access = {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": REGION, "ENDPOINT_URL": f"http://{endpoint}"}
    return {f"AWS_{name}": value for name, value in access.items()} | {
        f"FACECRAFT_{name}": str(value) for name, value in ours.items() if value is not None
    }


class LambdaFunction:
    """One that has begun: calls, its room, and the way to S3, which may be harmed."""

    def __init__(self, api, room, s3):
        self.api, self.room, self.s3 = api, room, s3
        self.call, self.send = api.call, api.send

    def photo(self, key, seconds=60.0):
        """Tell it of one object, as S3 does."""
        told = event("s3-put")
        told["Records"][0]["s3"]["object"]["key"] = key
        return self.call(told, seconds)


@contextmanager
def function(models, bucket, command=("watch",), tmp="512m", **settings):
    """`command` is what the image is told to run; a setting that is None is not set."""
    with ExitStack() as stack:
        api = stack.enter_context(RuntimeApi())
        s3 = stack.enter_context(FaultProxy(bucket.endpoint))
        environ = environment(models, f"127.0.0.1:{_S3}", **settings)
        environ["AWS_LAMBDA_RUNTIME_API"] = f"127.0.0.1:{_API}"
        doors = {_API: api.address, _S3: s3.endpoint}
        room = stack.enter_context(Room([*ENTRY, *command], environ, doors, kept=[models], tmp=tmp))
        yield LambdaFunction(api, room, s3)
