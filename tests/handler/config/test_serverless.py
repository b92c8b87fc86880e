"""What may be set in Lambda: buckets or nothing, and no settings of servers."""

import pytest

from handler.config.load import SettingsError, in_lambda, load_lambda
from sources.stores.s3 import S3Store

BUCKETS = {"FACECRAFT_INBOX": "s3://photos/in", "FACECRAFT_OUTBOX": "s3://photos/out"}


def test_nothing_needs_to_be_set():
    settings = load_lambda({})
    assert (settings.inbox, settings.outbox, settings.warnings) == (None, None, ())


def test_inbox_and_outbox_are_buckets():
    settings = load_lambda(BUCKETS | {"FACECRAFT_AFTER": "tag", "FACECRAFT_DEFAULT_WIDTH": "800"})
    assert (settings.inbox, settings.outbox) == (S3Store("photos", "in"), S3Store("photos", "out"))
    assert (settings.after, settings.recipe().recipe.width) == ("tag", 800)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"FACECRAFT_INBOX": "/inbox"}, r"'/inbox' is a folder, .* for example FACECRAFT_INBOX=s3://photos/in"),
        ({"FACECRAFT_OUTBOX": "/tmp"}, r"'/tmp' is a folder, .* for example FACECRAFT_OUTBOX=s3://photos/out"),  # noqa: S108
        ({"FACECRAFT_INBOX": "gs://photos"}, "is neither a folder nor a bucket"),
        ({"FACECRAFT_OUTBOX": ""}, "belong together: set both"),
        ({"FACECRAFT_INBOX": ""}, "belong together: set both"),
        ({"FACECRAFT_OUTBOX": "s3://photos/in/out"}, "two prefixes side by side"),
        ({"FACECRAFT_OUTBOKS": "s3://photos/out"}, "FACECRAFT_OUTBOX"),
        ({"FACECRAFT_WORKERS": "many"}, "FACECRAFT_WORKERS"),
    ],
)
def test_what_cannot_be_is_told_with_the_fix(changes, words):
    with pytest.raises(SettingsError, match=words):
        load_lambda(BUCKETS | changes)


def test_what_belongs_to_a_server_is_told_to_have_no_effect():
    settings = load_lambda({"FACECRAFT_WORKERS": "4", "FACECRAFT_CLEANUP_AGE_HOURS": "24", "FACECRAFT_JOB_HOURS": "1"})

    assert settings.workers == 1
    told = [line.split(" has no effect")[0] for line in settings.warnings]
    assert told == ["FACECRAFT_CLEANUP_AGE_HOURS", "FACECRAFT_WORKERS", "FACECRAFT_JOB_HOURS"]


@pytest.mark.parametrize(("environ", "there"), [({}, False), ({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9001"}, True)])
def test_the_runtime_api_says_that_this_is_lambda(environ, there):
    assert in_lambda(environ) == there
