"""Which sources there are for which settings."""

import pytest

from handler.config.fields import parse_source_names
from handler.config.load import load
from handler.config.settings import SourcesError, choose_sources

EVERYONE = "0.0.0.0"  # noqa: S104 - the default


def names(named="", *, bucket=True, queue=False, token=False, host=EVERYONE):
    return ",".join(choose_sources(parse_source_names(named), bucket=bucket, queue=queue, token=token, host=host))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"bucket": False}, "folder"),
        ({"bucket": False, "named": "folder"}, "folder"),
        ({"bucket": False, "token": True}, "folder"),
        ({"queue": True}, "sqs"),
        ({"token": True}, "webhook"),
        ({"queue": True, "token": True}, "sqs,webhook"),
        ({}, "poll"),
        ({"named": "poll", "queue": True, "token": True}, "poll"),
        ({"named": "Webhook, sqs,", "queue": True, "token": True}, "sqs,webhook"),
        ({"named": "webhook", "host": "127.8.0.1"}, "webhook"),
        ({"named": "webhook", "host": "::1"}, "webhook"),
        ({"named": "webhook", "host": "LocalHost"}, "webhook"),
    ],
)
def test_the_inbox_and_what_is_set_beside_it_choose(given, expected):
    assert names(**given) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"bucket": False, "named": "sqs"}, "sqs announces objects of a bucket"),
        ({"bucket": False, "named": "folder,webhook"}, "webhook announces objects of a bucket"),
        ({"bucket": False, "named": "poll"}, "poll announces objects of a bucket"),
        ({"bucket": False, "queue": True}, "FACECRAFT_SQS_QUEUE_URL announces objects of a bucket"),
        ({"named": "folder"}, "folder needs a folder as FACECRAFT_INBOX"),
        ({"named": "sqs"}, "sqs needs FACECRAFT_SQS_QUEUE_URL"),
        ({"named": "webhook"}, "FACECRAFT_WEBHOOK_TOKEN is required"),
        ({"named": "webhook", "host": "facecraft.internal"}, "FACECRAFT_HOST=facecraft.internal can be reached"),
        ({"named": "webhook", "host": "::"}, "FACECRAFT_HOST=127.0.0.1"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_fix(given, words):
    with pytest.raises(SourcesError, match=words):
        names(**given)


def test_other_words_are_refused():
    with pytest.raises(ValueError, match="'nats' is not one of folder, sqs, webhook, poll"):
        parse_source_names("sqs, nats")


def test_settings_that_no_source_uses_are_warned_of():
    environ = {
        "FACECRAFT_INBOX": "s3://photos/in",
        "FACECRAFT_OUTBOX": "s3://photos/out",
        "FACECRAFT_SQS_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/photos",
        "FACECRAFT_WEBHOOK_TOKEN": "7Hq2vX",
    }
    assert load(environ).warnings == ()
    lines = load({**environ, "FACECRAFT_SOURCES": "poll"}).warnings
    assert [line.split()[0] for line in lines] == ["FACECRAFT_SQS_QUEUE_URL", "FACECRAFT_WEBHOOK_TOKEN"]
