"""One SQS queue through boto3: plain calls in, plain values out."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from sources.stores.aws import NO_CREDENTIALS, made

MAX_BATCH: Final = 10
"""Messages in one call."""

_MAX_VISIBILITY_SECONDS: Final = 43_200
"""The longest visibility timeout that SQS accepts."""

_TIMEOUT_SECONDS: Final = 10
_ATTRIBUTES: Final = (
    "VisibilityTimeout",
    "RedrivePolicy",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)

Receipt = tuple[str, str]
"""A message's id, and its latest receipt handle."""


class QueueUnavailable(Exception):
    """A call failed; the message is the SDK's."""


def connect(queue_url: str) -> BaseClient:
    """A client configured by boto3's variables and files, in the region that an AWS queue's URL names.

    It does not retry, because `SqsSource` does: a call that hangs must end before a message's visibility timeout.

    Raises:
        AwsSettingsError: No region is known, for example.
    """
    region = re.match(
        r"https://(?:[a-z0-9-]+\.)*sqs(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.com|api\.aws)", queue_url
    )
    config = Config(
        connect_timeout=_TIMEOUT_SECONDS / 2, read_timeout=_TIMEOUT_SECONDS, retries={"total_max_attempts": 1}
    )
    return made("sqs", config, region and region[1])


@dataclass(frozen=True, slots=True)
class QueueAttributes:
    """The queue's own attributes.

    Attributes:
        visibility_seconds: Its default visibility timeout.
        max_receives: The limit of its redrive policy, None without one.
        visible: How many messages wait, about.
        in_flight: How many were received and not deleted, about.
        delayed: How many are delayed, about.
    """

    visibility_seconds: int
    max_receives: int | None
    visible: int
    in_flight: int
    delayed: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `receives` counts its deliveries, including this one."""

    id: str
    receipt: str
    body: str
    receives: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry of a batch that failed; `final`: a retry cannot help."""

    id: str
    why: str
    final: bool


class Queue:
    """One queue. Every call may raise QueueUnavailable."""

    def __init__(self, client: BaseClient, url: str) -> None:
        self.url = url
        self._client = client

    def attributes(self) -> QueueAttributes:
        """Ask the queue for its attributes."""
        with _queue_errors():
            found = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(_ATTRIBUTES))
            timeout, redrive, *numbers = (found["Attributes"].get(name, 0) for name in _ATTRIBUTES)
            return QueueAttributes(int(timeout), _max_receives(redrive), *(int(number) for number in numbers))

    def receive(self, max_messages: int, *, visibility_seconds: int, wait_seconds: int) -> list[Message]:
        """Receive up to `max_messages` (1 to 10); waits up to `wait_seconds` for the first one."""
        with _queue_errors():
            found = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=max_messages,
                VisibilityTimeout=visibility_seconds,
                WaitTimeSeconds=wait_seconds,
                AttributeNames=["ApproximateReceiveCount"],
            )
            return [_message(each) for each in found.get("Messages", ())]

    def delete(self, messages: Sequence[Receipt]) -> list[Refusal]:
        """Delete up to 10 messages."""
        with _queue_errors():
            found = self._client.delete_message_batch(QueueUrl=self.url, Entries=_entries(messages))
            return _refusals(messages, found)

    def hide(self, messages: Sequence[Receipt], seconds: int) -> list[Refusal]:
        """Change the visibility timeout of up to 10 messages: nobody receives them for so many seconds from now."""
        more = {"VisibilityTimeout": min(seconds, _MAX_VISIBILITY_SECONDS)}
        with _queue_errors():
            found = self._client.change_message_visibility_batch(
                QueueUrl=self.url, Entries=[each | more for each in _entries(messages)]
            )
            return _refusals(messages, found)


@contextmanager
def _queue_errors() -> Iterator[None]:
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise QueueUnavailable(f"{error}: {NO_CREDENTIALS}") from error
    except (BotoCoreError, ClientError) as error:
        raise QueueUnavailable(str(error)) from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise QueueUnavailable(f"an answer that SQS does not give ({error!r}): is this the URL of a queue?") from error


def _entries(messages: Sequence[Receipt]) -> list[dict[str, Any]]:
    return [{"Id": str(number), "ReceiptHandle": receipt} for number, (_, receipt) in enumerate(messages)]


def _refusals(messages: Sequence[Receipt], found: Mapping[str, Any]) -> list[Refusal]:
    return [
        Refusal(messages[int(each["Id"])][0], f"{each.get('Code')}: {each.get('Message')}", _is_final(each))
        for each in found.get("Failed", ())
    ]


def _is_final(failed: Mapping[str, Any]) -> bool:
    return bool(failed.get("SenderFault")) and "Throttl" not in str(failed.get("Code"))


def _message(found: Mapping[str, Any]) -> Message:
    received = found.get("Attributes", {}).get("ApproximateReceiveCount", 1)
    return Message(found["MessageId"], found["ReceiptHandle"], found.get("Body", ""), int(received))


def _max_receives(redrive: object) -> int | None:
    policy = json.loads(redrive) if isinstance(redrive, str) and redrive else {}
    return int(policy["maxReceiveCount"]) if "maxReceiveCount" in policy else None
