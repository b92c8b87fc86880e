"""Jobs in a bucket: the same answers, found again by another service, swept."""

import time

import pytest

from handler.api.models import Job
from handler.api.store import JobStore
from sources.stores.base import Conflict


@pytest.fixture
def store(s3):
    return JobStore(s3("out"))


def job(**more):
    item = {"number": 1, "filename": "a\udcff.jpg", "stem": "a"}
    return Job(id="0123abcd", kind="process", created=time.time(), nonce="x", owner="y", items=[item], **more)


def test_a_record_is_created_once_and_replaced_by_who_has_seen_it(store):
    version = store.create(job())
    with pytest.raises(Conflict):
        store.create(job())
    newer = store.replace(job(status="done"), version)
    with pytest.raises(Conflict):
        store.replace(job(status="failed"), version)
    found, seen = store.read("0123abcd")
    assert (found.status, seen, found.items[0].filename) == ("done", newer, "a\udcff.jpg")


def test_files_are_written_over_and_deleted_with_their_job(store):
    store.create(job())
    for data in (b"1", b"2"):
        store.put("0123abcd", "1.png", data)
    store.outbox.write("jobs/0123abcd/mine.txt", b"x")
    assert store.get("0123abcd", "1.png")[0] == b"2"
    assert [job_id for job_id, _ in store.records()] == ["0123abcd"]
    store.delete("0123abcd")
    assert (store.read("0123abcd"), list(store.outbox.list("jobs"))) == (None, ["jobs/0123abcd/mine.txt"])


def test_all_services_on_an_outbox_have_one_secret(store, s3):
    assert store.token(job()) == JobStore(store.outbox).token(job())
    assert len(store.token(job())) == 32
    assert store.id_for("k", 0) == JobStore(store.outbox).id_for("k", 0) != store.id_for("k", 1)


@pytest.mark.parametrize("data", [b"", b"a photo", bytes(9 * 2**20)])
def test_uploads_are_written_from_the_disk(store, tmp_path, data):
    (tmp_path / "upload").write_bytes(data)
    for _ in range(2):  # the second time over what a dead service left
        store.put_file("0123abcd", "upload-1", tmp_path / "upload")
    assert store.get("0123abcd", "upload-1")[0] == data
