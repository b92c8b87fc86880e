"""A short run of what `python -m tests.chaos 2 --bucket minio` does at length; and the harness itself."""

import random

import pytest

from sources.stores.s3 import S3Store
from tests.chaos.__main__ import PORTRAIT
from tests.chaos.bucket_feed import BUCKET, BucketFeeder
from tests.chaos.bucket_run import TOKEN, BucketRun, audited
from tests.support.minio import Minio
from tests.support.ports import free_port


@pytest.mark.timeout(600)
def test_photos_that_come_into_a_bucket_while_the_service_is_killed_end_as_one_report_each(tmp_path):
    seed = random.SystemRandom().randrange(10**6)

    audit, _ = BucketRun(tmp_path, seed, tmp_path / "no models", PORTRAIT.read_bytes(), number=25).run(2)

    assert audit.well(), f"seed {seed}: {audit.faults()}"


def test_the_audit_of_a_bucket_tells_what_is_lost_left_over_and_touched(tmp_path):
    hook = f"http://127.0.0.1:{free_port()}/events"
    with Minio(tmp_path, hook, TOKEN) as server, server.reached():
        client = server.client()
        client.create_bucket(Bucket=BUCKET)
        server.notify(BUCKET)
        with BucketFeeder(client, PORTRAIT.read_bytes(), 1, number=5, pause=0) as feeder:
            pass
        client.delete_object(Bucket=BUCKET, Key="in/oom-photo.jpg")
        client.put_object(Bucket=BUCKET, Key="out/anna.png", Body=b"x")

        audit = audited(feeder, S3Store(BUCKET, "out"), server, [], light=True)

    assert {"oom-photo.jpg", "segv-photo.jpg"} <= set(audit.lost)
    assert audit.touched == ["oom-photo.jpg"]
    assert "anna.png" in audit.left_over
    assert any("in MinIO's queue" in name for name in audit.left_over)
