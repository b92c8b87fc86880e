"""What the tests of the SQS source share: a server of S3 and SQS, a queue that fails on demand, a running source."""

import json
import logging
import queue
import threading
import uuid
from collections import deque

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError
from moto.server import ThreadedMotoServer

from sources.sqs.source import SqsSource
from tests.sources.notifications.payloads import direct, record
from tests.support.waiting import Counts, eventually

SOON = 15.0
REGION = "eu-central-1"
ACCESS = {"region_name": REGION, "aws_access_key_id": "test", "aws_secret_access_key": "test"}


def client_of(name, endpoint):
    config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
    return boto3.client(name, endpoint_url=endpoint, config=config, **ACCESS)


class Cloud:
    """S3 and SQS on this machine."""

    def __init__(self):
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        self.s3, self.sqs = self.client("s3"), self.client("sqs")

    def client(self, name):
        return client_of(name, self.endpoint)

    def bucket(self, *queues):
        """A bucket that tells these queues of every object that is created or deleted; its test events are gone."""
        name = f"photos-{uuid.uuid4().hex[:8]}"
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        told = [{"QueueArn": each.arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]} for each in queues]
        self.s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"QueueConfigurations": told}
        )
        for each in queues:
            self.sqs.purge_queue(QueueUrl=each.url)
        return name

    def queue(self, **attributes):
        return CloudQueue(self.sqs, attributes)

    def close(self):
        self._server.stop()


class CloudQueue:
    """A queue of the server, with what tests ask of it."""

    def __init__(self, sqs, attributes):
        self._sqs = sqs
        texts = {name: str(value) for name, value in attributes.items()}
        self.url = sqs.create_queue(QueueName=uuid.uuid4().hex, Attributes=texts)["QueueUrl"]
        self.arn = self._attributes()["QueueArn"]

    def redrive(self, most):
        """After so many receives, messages go to the queue that this gives."""
        dead = CloudQueue(self._sqs, {})
        policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": most})
        self._sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"RedrivePolicy": policy})
        return dead

    def send(self, body):
        text = body if isinstance(body, str) else json.dumps(body)
        return self._sqs.send_message(QueueUrl=self.url, MessageBody=text)["MessageId"]

    def send_all(self, bodies):
        entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
        self._sqs.send_message_batch(QueueUrl=self.url, Entries=entries)

    def receive(self, most=1):
        found = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=most, WaitTimeSeconds=0)
        return found.get("Messages", [])

    def counts(self):
        """How many messages are visible, and how many are in someone's hands."""
        found = self._attributes()
        return tuple(int(found[f"ApproximateNumberOfMessages{kind}"]) for kind in ("", "NotVisible"))

    def comes_to(self, counts, seconds=SOON):
        return eventually(lambda: self.counts() == counts, seconds, 0.02)

    def _attributes(self):
        return self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]


class OneAtATime:
    """A client whose receives wait for each other.

    moto hands a message to both of two who ask in the same moment (seen in 3 of 40 queues of 40 messages), which would
    be taken for a photo done twice. None waits in the server meanwhile, or it would keep the others from asking.
    """

    def __init__(self, sqs):
        self._sqs, self._turn = sqs, threading.Lock()

    def receive_message(self, **arguments):
        with self._turn:
            return self._sqs.receive_message(**{**arguments, "WaitTimeSeconds": 0})

    def __getattr__(self, name):
        return getattr(self._sqs, name)


class FakeSqs:
    """A client whose answers are given beforehand; remembers what it was asked, and can be waited for."""

    def __init__(self, visibility=5, redrive=None):
        self.messages, self.errors = deque(), {}
        self.asked = []
        self._attributes = {"VisibilityTimeout": str(visibility)}
        if redrive:
            self._attributes["RedrivePolicy"] = json.dumps({"maxReceiveCount": redrive})
        self._changed = threading.Condition()

    def give(self, *messages):
        with self._changed:
            self.messages.extend(messages)
            self._changed.notify_all()

    def fail(self, call, *answers):
        """The next calls of that name raise these errors, do these things, or give these lists of refused entries."""
        with self._changed:
            self.errors[call] = deque(answers)

    def calls(self, name, number=1):
        """What the calls of that name brought, when there are so many of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._of(name)) >= number, SOON), self.asked
            return self._of(name)

    def get_queue_attributes(self, **arguments):
        self._ask("attributes", arguments)
        return {"Attributes": self._attributes}

    def receive_message(self, **arguments):
        self._ask("receive", arguments["MaxNumberOfMessages"])
        with self._changed:
            self._changed.wait_for(lambda: self.messages, 0.05)
            most = min(arguments["MaxNumberOfMessages"], len(self.messages))
            return {"Messages": [self.messages.popleft() for _ in range(most)]}

    def delete_message_batch(self, **arguments):
        failed = self._ask("delete", [each["ReceiptHandle"] for each in arguments["Entries"]])
        return {"Failed": failed}

    def change_message_visibility_batch(self, **arguments):
        told = [(each["ReceiptHandle"], each["VisibilityTimeout"]) for each in arguments["Entries"]]
        return {"Failed": self._ask("hide", told)}

    def _ask(self, name, what):
        with self._changed:
            self.asked.append((name, what))
            self._changed.notify_all()
            answer = self.errors[name].popleft() if self.errors.get(name) else []
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer()
            return []
        return answer

    def _of(self, name):
        return [what for each, what in self.asked if each == name]


def given(name, body, *, received=1, receipt=None):
    """A message as the client gives it."""
    return {
        "MessageId": name,
        "ReceiptHandle": receipt or f"receipt of {name}",
        "Body": body if isinstance(body, str) else json.dumps(body),
        "Attributes": {"ApproximateReceiveCount": str(received)},
    }


def refused(number=0, *, final):
    return {"Id": str(number), "SenderFault": final, "Code": "InternalError", "Message": "try later"}


def unreachable():
    return EndpointConnectionError(endpoint_url="http://sqs.example")


def denied():
    return ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, "ReceiveMessage")


class Run:
    """A source that is iterated in a thread of its own, as often as slots are free; settles for it."""

    def __init__(self, client, url="http://sqs.example/1/photos", bucket="photos", prefix="in", *, slots=2):
        self.counts, self.bucket = Counts(), bucket
        self.source = SqsSource(
            url, bucket, prefix, slots=slots, client=client, wait_seconds=1, on_count=self.counts.add
        )
        self._free = threading.Semaphore(slots)
        self._yielded = queue.Queue()
        self._thread = threading.Thread(target=self._iterate, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.source.close()
        self._free.release()
        self._thread.join(SOON)
        assert not self._thread.is_alive()

    def next(self, seconds=SOON):
        return self._yielded.get(timeout=seconds)

    def drained(self, queue):
        """Whether nothing else is on its way: a photo that is announced now is the next one yielded."""
        body = direct(record("in/last.jpg"))
        body["Records"][0]["s3"]["bucket"]["name"] = self.bucket
        queue.send(body)
        event = self.next()
        self.ack(event)
        return event.path == "last.jpg"

    def ack(self, event):
        self.source.ack(event)
        self._free.release()

    def retry(self, event, delay=0.0):
        self.source.retry(event, "the worker died", delay)
        self._free.release()

    def give_up(self, event):
        self.source.give_up(event)
        self._free.release()

    def counted(self, name, number=1):
        return self.counts.reach(name, number, SOON)

    def _iterate(self):
        events = iter(self.source)
        while self._free.acquire() and (event := next(events, None)):
            self._yielded.put(event)
        self._yielded.put(None)
