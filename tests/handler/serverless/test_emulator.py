"""AWS' own runtime interface emulator and our endpoint: the same bodies for the same events."""

import os
import sys

import pytest

from tests.handler.service_runner import Watch
from tests.support.lambda_function import BUCKET, REGION, Bucket, environment, event, key_of, message
from tests.support.rie import Emulator

RUNTIME = (sys.executable, "-m", "awslambdaric", "handler.aws.lambda_handler")
OWN = ("stages_ms", "requestId", "stackTrace")
"""What differs from call to call, and where each runs."""


@pytest.fixture(scope="module")
def bucket():
    one = Bucket()
    yield one
    one.close()


@pytest.fixture(autouse=True)
def emptied(request):
    yield
    if "bucket" in request.fixturenames:
        for prefix in ("in/", "out/"):
            request.getfixturevalue("bucket").empty(prefix)


@pytest.fixture(scope="module")
def emulator(models_dir, bucket):
    with emulated(models_dir, bucket) as one:
        yield one


@pytest.fixture(scope="module")
def service(tmp_path_factory, models_dir, bucket):
    places = {"INBOX": f"s3://{BUCKET}/in", "OUTBOX": f"s3://{BUCKET}/out", "SOURCES": "poll", "RESCAN_SECONDS": 3600}
    access = {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": REGION}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**access, "ENDPOINT_URL": f"http://{bucket.endpoint}"}.items():
            patch.setenv(f"AWS_{name}", value)
        with Watch(tmp_path_factory.mktemp("service"), models_dir, **places) as watch:
            yield watch.ready()


def emulated(models, bucket, seconds=300, **settings):
    """Without HOME, and with what Lambda sets. The root and /tmp are this machine's: see test_lambda.py for theirs."""
    environ = environment(models, bucket.endpoint, **settings)
    environ |= {"PATH": os.environ["PATH"], "AWS_LAMBDA_FUNCTION_TIMEOUT": str(seconds)}
    return Emulator(environ, *RUNTIME)


def without_own(body):
    return {name: value for name, value in body.items() if name not in OWN}


ALIKE = (
    "s3-put", "s3-test", "s3-delete", "s3-elsewhere", "sns-s3", "eventbridge", "minio-put", "sqs-s3", "sqs-sns-s3",
    "sqs-several", "sqs-not-understood", "direct-s3", "direct-s3-outside", "direct-base64", "direct-base64-no-face",
)  # fmt: skip
WRONG = ({}, {"image": 7}, {"image": "no base64"}, {"image": "aGVsbG8=", "options": {"width": 1}}, [1], "text")


@pytest.mark.parametrize("told", [*ALIKE, *WRONG], ids=str)
def test_emulator_and_endpoint_answer_alike(emulator, service, bucket, told):
    sent = event(told) if told in ALIKE else told
    if told in ALIKE:
        bucket.put(key_of(told))
    status, body = emulator.invoke(sent)
    bucket.empty("out/")
    ours = service.invoke(sent)
    assert (status, without_own(body)) == (ours[0], without_own(ours[2]))
    assert ("errorMessage" in body) == ("X-Amz-Function-Error" in ours[1])


def test_emulator_batch_over_deadline_returns_unfinished_messages(models_dir, bucket):
    """The emulator counts the loading of the models too, so that first calls have little time for photos."""
    keys = {f"message-{number}": bucket.put(f"in/batch/{number}.jpg") for number in range(10)}
    batch = {"Records": [message(key, number) for number, key in enumerate(keys.values())]}
    with emulated(models_dir, bucket, seconds=3, DEFAULT_WIDTH=300, DEFAULT_HEIGHT=300) as one:
        for _ in range(8):
            _, body = one.invoke(batch)
            told = body.get("batchItemFailures") if isinstance(body, dict) else None
            left = [each["itemIdentifier"] for each in told] if told is not None else [*keys]
            # failed: where the machine is so slow that a photo needs more than such a call has
            assert {bucket.report(keys[name])["outcome"] for name in keys.keys() - left} <= {"done", "failed"}


def test_emulator_without_models_says_what_to_do(bucket):
    with emulated("/opt/none", bucket) as one:
        status, body = one.invoke(event("direct-base64"))
    assert (status, body["errorType"]) == (502, "ModelError")
    assert "facecraft models fetch" in body["errorMessage"]
