"""MinIO itself: what it sends for odd keys, and what comes of it when we are away for a while."""

import pytest

from tests.sources.bucket.webhook_endpoint import SOON, TOKEN, Hook
from tests.support.minio import Minio
from tests.support.ports import free_port

ODD = [
    "a+b c/é%25.jpg", "plus+.jpg", "per%20cent.jpg", "per%2Bcent.jpg", "100%.jpg", "%", "space at the end ",
    "q?x=1&y=2#z.jpg", 'quote"\'.jpg', "semi;colon,comma.jpg", "<tag>&amp;.jpg", "~tilde~.jpg", "back\\slash.jpg",
    "tab\tnew\nline.jpg", "日本語/写真.jpg", "emoji 🙂.jpg", "e\u0301 decomposed.jpg", "é composed.jpg", "dots...jpg",
    "deep/er/and/deeper/x.jpg", "no ending", "UPPER.JPG", "null", "[1]{2}.jpg", "$1 ^ |.jpg", "=cmd.jpg", "n" * 200,
]  # fmt: skip
"""Names that MinIO takes as they are."""


@pytest.fixture(scope="module")
def hook():
    return Hook(free_port())


@pytest.fixture(scope="module")
def minio(hook, tmp_path_factory):
    url = f"http://127.0.0.1:{hook.port}/events"
    with Minio(tmp_path_factory.mktemp("minio"), url, TOKEN) as server:
        server.client().create_bucket(Bucket="photos")
        server.notify("photos", prefix="")
        yield server


def put(minio, *keys, body=b"x", **more):
    return [minio.client().put_object(Bucket="photos", Key=key, Body=body, **more)["ETag"].strip('"') for key in keys]


def test_odd_keys_arrive_as_the_right_paths(minio, hook):
    with hook:
        put(minio, *(f"in/{name}" for name in ODD))
        assert hook.until(*ODD).keys() == set(ODD)


def test_the_version_that_is_told_is_the_etag(minio, hook):
    with hook:
        (etag,) = put(minio, "in/etag.jpg", body=b"content")
        seen = dict([hook.told.get(timeout=SOON)])
        assert seen == {"etag.jpg": etag}


def test_what_is_no_new_photo_is_answered_well_and_passed_over(minio, hook):
    """Everything comes in turn, so what comes before the last photo was answered with 2xx."""
    client = minio.client()
    with hook:
        put(minio, "elsewhere/a.jpg", "in/.hidden/a.jpg", "in/folder/", body=b"")
        put(minio, "in/tagged.jpg")
        tags = {"TagSet": [{"Key": "facecraft", "Value": "done"}]}
        client.put_object_tagging(Bucket="photos", Key="in/tagged.jpg", Tagging=tags)
        client.delete_object(Bucket="photos", Key="in/tagged.jpg")
        put(minio, "in/last.jpg")
        assert hook.until("last.jpg").keys() == {"tagged.jpg", "last.jpg"}
    assert hook.counts["ignored"] >= 3


def test_a_sidecar_tells_of_its_photo(minio, hook):
    with hook:
        put(minio, "in/b.jpg.toml", body=b"width = 300")
        assert hook.told.get(timeout=SOON) == ("b.jpg", "")


def test_a_photo_in_parts_is_told_once_it_is_whole(minio, hook):
    part, client = {"Bucket": "photos", "Key": "in/parts.jpg"}, minio.client()
    with hook:
        upload = client.create_multipart_upload(**part)["UploadId"]
        etag = client.upload_part(**part, UploadId=upload, PartNumber=1, Body=b"x" * 1000)["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        whole = client.complete_multipart_upload(**part, UploadId=upload, MultipartUpload=parts)["ETag"].strip('"')
        assert hook.told.get(timeout=SOON) == ("parts.jpg", whole)


def test_what_was_put_while_we_were_away_arrives_when_we_are_back(minio, hook):
    names = [f"away/{number}.jpg" for number in range(30)]
    put(minio, *(f"in/{name}" for name in names))
    assert hook.told.empty()
    with hook:
        assert hook.until(*names).keys() == set(names)


def test_what_was_refused_for_want_of_room_arrives_later_in_turn(minio, hook):
    names = [f"full/{number}.jpg" for number in range(3)]
    hook.room = False
    with hook:
        hook.refused.clear()
        put(minio, *(f"in/{name}" for name in names))
        assert hook.refused.wait(SOON)
        hook.room = True
        assert hook.until(*names).keys() == set(names)


def test_what_waits_in_its_queue_outlives_the_server(minio, hook):
    put(minio, "in/before the end.jpg")
    minio.until_queued()
    minio.kill()
    minio.start()
    with hook:
        assert "before the end.jpg" in hook.until("before the end.jpg")
