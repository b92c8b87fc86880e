"""One queue of SQS through boto3: plain calls in, plain values out."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from sources.stores.aws import NO_CREDENTIALS, made

MOST: Final = 10
"""Messages in one call."""

LONGEST: Final = 43_200
"""The longest that a message can be held or put off, in seconds."""

_TIMEOUT_SECONDS: Final = 10
_ATTRIBUTES: Final = (
    "VisibilityTimeout",
    "RedrivePolicy",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


Receipt = tuple[str, str]
"""A message's id, and the receipt that was given for it last."""


class QueueUnavailable(Exception):
    """A call that did not succeed, with the SDK's reason."""


class SqsClient(Protocol):
    """The calls of boto3's client that are used."""

    def get_queue_attributes(self, **arguments: Any) -> Mapping[str, Any]: ...  # noqa: ANN401 - boto3's own shapes

    def receive_message(self, **arguments: Any) -> Mapping[str, Any]: ...  # noqa: ANN401

    def delete_message_batch(self, **arguments: Any) -> Mapping[str, Any]: ...  # noqa: ANN401

    def change_message_visibility_batch(self, **arguments: Any) -> Mapping[str, Any]: ...  # noqa: ANN401


def connect(queue_url: str) -> SqsClient:
    """A client by boto3's own chain of variables and files, for the region that an AWS queue's URL names.

    Nothing is repeated here, because `SqsSource` repeats everything itself: a call that hangs must be over before a
    message's time is. AwsSettingsError where no region is known, for example.
    """
    region = re.match(
        r"https://(?:[a-z0-9-]+\.)*sqs(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.com|api\.aws)", queue_url
    )
    config = Config(
        connect_timeout=_TIMEOUT_SECONDS / 2, read_timeout=_TIMEOUT_SECONDS, retries={"total_max_attempts": 1}
    )
    return cast("SqsClient", made("sqs", config, region and region[1]))


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What the queue says of itself. `most_receives` is the redrive policy's limit, None without one."""

    visibility_seconds: int
    most_receives: int | None
    visible: int
    in_flight: int
    delayed: int


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `received` says how often it was handed out, this time included."""

    id: str
    receipt: str
    body: str
    received: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry of a batch that was not carried out; `final`: trying again changes nothing."""

    id: str
    why: str
    final: bool


class Queue:
    """Every call may raise QueueUnavailable."""

    def __init__(self, client: SqsClient, url: str) -> None:
        self.url = url
        self._client = client

    def facts(self) -> QueueFacts:
        with _answers():
            found = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(_ATTRIBUTES))
            timeout, redrive, *numbers = (found["Attributes"].get(name, 0) for name in _ATTRIBUTES)
            return QueueFacts(int(timeout), _most_receives(redrive), *(int(number) for number in numbers))

    def receive(self, most: int, *, visibility_seconds: int, wait_seconds: int) -> list[Message]:
        """Not more than `most` messages (1 to 10), and not before one is there or the wait is over."""
        with _answers():
            found = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=most,
                VisibilityTimeout=visibility_seconds,
                WaitTimeSeconds=wait_seconds,
                AttributeNames=["ApproximateReceiveCount"],
            )
            return [_message(each) for each in found.get("Messages", ())]

    def delete(self, messages: Sequence[Receipt]) -> list[Refusal]:
        """Delete up to 10 messages."""
        with _answers():
            found = self._client.delete_message_batch(QueueUrl=self.url, Entries=_entries(messages))
            return _refusals(messages, found)

    def hide(self, messages: Sequence[Receipt], seconds: int) -> list[Refusal]:
        """Up to 10 messages are handed to nobody for so many seconds from now."""
        more = {"VisibilityTimeout": min(seconds, LONGEST)}
        with _answers():
            found = self._client.change_message_visibility_batch(
                QueueUrl=self.url, Entries=[each | more for each in _entries(messages)]
            )
            return _refusals(messages, found)


@contextmanager
def _answers() -> Iterator[None]:
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


def _most_receives(redrive: object) -> int | None:
    policy = json.loads(redrive) if isinstance(redrive, str) and redrive else {}
    return int(policy["maxReceiveCount"]) if "maxReceiveCount" in policy else None
