"""An environment of Lambda: what it needs to begin, and that nothing of a call is left for the next one."""

import base64
import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from handler.config.settings import LambdaSettings
from handler.outbox.attempts import SERVICES
from handler.outbox.paths import ATTEMPTS
from handler.serverless.invocation import Invocation
from handler.serverless.runtime import LambdaRuntime
from tests.chaos.light import Light
from tests.conftest import PORTRAITS
from tests.handler.service_runner import environment as variables
from tests.sources.notifications.payloads import direct, record

ROOT = Path(__file__).parents[3]
PHOTO = PORTRAITS / "sally_ride_small.jpg"
REQUEST = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"


def call(event, environment, left=math.inf):
    return environment.answer(event, Invocation(REQUEST, lambda: left))


def inline(photo=PHOTO):
    return {"image": base64.b64encode(photo.read_bytes()).decode()}


def light(**settings):
    return LambdaRuntime(LambdaSettings(**settings), lambda _settings: Light())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "models fetch"),
        ({"INBOX": "/inbox"}, "FACECRAFT_INBOX=s3://photos/in"),
        ({"WIDHT": "800"}, "FACECRAFT_WIDHT is not a setting"),
        ({"INBOX": "s3://photos/in", "OUTBOX": "s3://photos/out"}, "for example AWS_ENDPOINT_URL=http://minio:9000"),
    ],
)
def test_runtime_failed_init_says_what_to_do(tmp_path, settings, words):
    environ = variables(tmp_path / "none", **settings) | {"AWS_ENDPOINT_URL": "minio:9000"}
    ended = subprocess.run(
        [sys.executable, "-c", "import handler.aws"],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert ended.returncode == 1
    assert words in ended.stderr.splitlines()[-1]


def test_runtime_thousand_calls_leave_nothing_behind():
    """The last three quarters of them, in memory; each tenth photo is none."""
    environment, process, checksums = light(), psutil.Process(), set()
    for number in range(1000):
        if number == 250:
            before = process.memory_info().rss
        if number % 10 == 0:
            assert call({"image": "bm8gcGhvdG8="}, environment)["outcome"] == "rejected"
        checksums.add(hashlib.sha256(json.dumps(call(inline(), environment)["outputs"]).encode()).hexdigest())

    assert len(checksums) == 1
    assert process.memory_info().rss - before < 8 * 2**20
    assert set(vars(environment)) == {"_attempts", "_function", "_pool"}


@pytest.fixture
def cloud(s3):
    inbox, outbox = s3("in"), s3("out")
    inbox.write("anna.jpg", PHOTO.read_bytes())
    event = direct(record(f"{inbox.prefix}anna.jpg"))
    event["Records"][0]["s3"]["bucket"]["name"] = inbox.bucket
    return light(inbox=str(inbox), outbox=str(outbox)), outbox, event


def test_runtime_frozen_or_killed_between_calls_loses_nothing(cloud):
    environment, outbox, event = cloud
    for outcome in ("done", "skipped", "skipped"):
        assert [photo["outcome"] for photo in call(event, environment)["photos"]] == [outcome]
        assert (dict(outbox.stamps(SERVICES)), dict(outbox.stamps(ATTEMPTS))) == ({}, {})


def test_runtime_log_lines_name_request(cloud, stream):
    environment, _, event = cloud
    call(event, environment)

    closing = [line for line in stream.getvalue().splitlines() if '"photo.done"' in line]
    assert [json.loads(line)["request_id"] for line in closing] == [REQUEST]


def test_runtime_two_environments_share_outbox(cloud, s3):
    first, outbox, event = cloud
    second = light(inbox=event_inbox(event), outbox=str(outbox))

    outcomes = [call(event, each)["photos"][0]["outcome"] for each in (first, second)]
    assert outcomes == ["done", "skipped"]


def event_inbox(event):
    told = event["Records"][0]["s3"]
    return f"s3://{told['bucket']['name']}/{told['object']['key'].rpartition('/')[0]}"


HANG = """
import json, sys, threading
from handler.serverless.runtime import LambdaRuntime
from handler.serverless.invocation import FunctionError, Invocation
from handler.config.settings import LambdaSettings

class Hanging:
    device = "cpu"

    def handle(self, job):
        threading.Event().wait()

environment = LambdaRuntime(LambdaSettings(), lambda _settings: Hanging())
for number in (1, 2):
    try:
        environment.answer({"image": "YQ=="}, Invocation(str(number), lambda: 1.2))
    except FunctionError as error:
        print(error.kind, flush=True)
"""


def test_runtime_hanging_models_answer_in_time_and_end_with_next_call():
    ended = subprocess.run([sys.executable, "-c", HANG], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (1, "ProcessingTimedOut\n")
    assert json.loads(ended.stderr.splitlines()[-1])["event"] == "models.hang"
