"""Limits: sizes, numbers, times, and what a client that misbehaves is answered."""

import socket
import threading
import time

import pytest

from tests.handler.api.desk import Desk, form, jpeg, portrait
from tests.support.waiting import eventually

MB = 1024 * 1024


@pytest.fixture
def small(tmp_path):
    with Desk(tmp_path, MAX_UPLOAD_SIZE_MB=1, BATCH_MAX_FILES=2, MAX_CONCURRENT_JOBS=1) as desk:
        yield desk


@pytest.mark.parametrize("path", ["process", "process/quick"])
def test_a_photo_over_the_limit_is_413(small, path):
    answer = small.post(path, bytes(MB + 1))
    assert (answer.status, small.pool.jobs) == (413, [])
    assert "FACECRAFT_MAX_UPLOAD_SIZE_MB" in answer.detail
    assert small.post(path, bytes(MB)).status != 413


def test_a_body_that_says_that_it_is_too_large_is_not_read(small):
    with socket.create_connection(("127.0.0.1", small.server.port), timeout=10) as client:
        client.sendall(
            b"POST /api/v1/process HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        assert client.recv(12) == b"HTTP/1.1 413"


def test_in_a_batch_a_photo_over_the_limit_is_one_item(small):
    answer = small.post("process/batch", ("files", "a.jpg", bytes(MB + 1)), ("files", "b.jpg", jpeg()))
    assert answer.status == 200
    assert [each["error"] for each in answer.json["results"]] == ["too_large", None]


def test_a_batch_of_too_many_photos_is_413(small):
    answer = small.post("process/batch", *[("files", "a.jpg", jpeg())] * 3)
    assert (answer.status, small.pool.jobs) == (413, [])
    assert "FACECRAFT_BATCH_MAX_FILES" in answer.detail


def test_so_many_jobs_are_taken_and_no_more(small):
    small.pool.go_on.clear()
    first = threading.Thread(target=small.process)
    first.start()
    assert small.pool.begun.acquire(timeout=10)
    for path in ("process", "process/quick"):
        answer = small.post(path, jpeg())
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert small.post("process?async=true", jpeg()).status == 429
    small.pool.go_on.set()
    first.join(20)
    assert small.process().status == 200


def test_a_job_that_was_accepted_holds_its_place_until_it_has_ended(small):
    small.pool.go_on.clear()
    assert small.post("process?async=true", jpeg()).status == 202
    assert small.process().status == 429
    small.pool.go_on.set()
    assert eventually(lambda: small.api.taken == 0)
    assert small.process().status == 200


def test_before_it_is_ready_and_while_it_drains_it_is_503(desk):
    desk.reasons = ["the models are still loading"]
    for path in ("process", "process/quick", "process/batch"):
        answer = desk.post(path, jpeg())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "the models are still loading" in answer.detail


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x\r\n\r\n",
        b"garbage",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
    ],
)
def test_a_form_that_is_cut_off_is_no_fault_of_ours(desk, body):
    answer = desk.ask("POST", "/api/v1/process", body, Content_Type="multipart/form-data; boundary=x")
    assert answer.status in (400, 422)


def test_a_form_with_a_header_that_is_none_is_400(desk):
    assert desk.process(("file", "a\x01.jpg", jpeg())).status == 400


def test_a_form_without_a_boundary_is_400(desk):
    answer = desk.ask("POST", "/api/v1/process", b"x", Content_Type="multipart/form-data")
    assert (answer.status, answer.detail) == (400, "Missing boundary in multipart.")


def test_a_form_with_thousands_of_fields_is_400(desk):
    answer = desk.process(jpeg(), **{f"f{number}": "x" for number in range(1500)})
    assert answer.status == 400


def test_a_form_in_a_form_is_400(desk):
    inner = b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n\r\n--y--\r\n--x--\r\n"
    assert desk.ask("POST", "/api/v1/process", inner, Content_Type="multipart/form-data; boundary=x").status == 400


def test_fields_of_many_bytes_are_400(desk):
    assert desk.process(jpeg(), width="9" * (2 * MB)).status == 400


def test_a_client_that_goes_away_ends_nothing_half(desk):
    desk.pool.go_on.clear()
    body, kind = form([("file", "a.jpg", jpeg())])
    with socket.create_connection(("127.0.0.1", desk.server.port), timeout=10) as client:
        head = f"POST /api/v1/process HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        client.sendall(f"{head}Content-Type: {kind}\r\n\r\n".encode() + body)
        assert desk.pool.begun.acquire(timeout=10)
    desk.pool.go_on.set()
    assert eventually(lambda: desk.api.taken == 0)
    assert len(desk.stored()) == 3


def test_an_upload_that_stops_leaves_no_file_and_takes_no_place(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    head = b"POST /api/v1/process HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
    head += b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: form-data"
    with Desk(tmp_path) as desk:
        with socket.create_connection(("127.0.0.1", desk.server.port), timeout=10) as client:
            client.sendall(head)
            assert desk.process().status == 200
            assert desk.api.taken == 0
        assert eventually(lambda: not list(tmp_path.glob("facecraft-uploads-*/*")))


def test_uploads_of_a_killed_service_are_removed_and_those_of_a_living_one_are_not(desk, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "facecraft-uploads-left"
    left.mkdir()
    with Desk(tmp_path) as first, Desk(tmp_path) as second:
        assert not left.exists()
        assert first.process().status == second.process().status == 200


def test_500_connections_that_send_nothing_leave_the_service_to_others(desk):
    clients = [socket.create_connection(("127.0.0.1", desk.server.port), timeout=10) for _ in range(500)]
    try:
        began = time.monotonic()
        assert desk.process().status == 200
        assert time.monotonic() - began < 10
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize(("debug", "shown"), [("true", True), ("false", False)])
def test_a_fault_of_ours_is_500_and_its_text_is_shown_with_debug(tmp_path, debug, shown):
    def faulty(job):
        raise ZeroDivisionError("what went wrong")

    with Desk(tmp_path, DEBUG=debug) as desk:
        desk.pool.work = faulty
        answer = desk.post("process/quick", jpeg())
        assert (answer.status, "what went wrong" in answer.detail) == (500, shown)
        assert desk.process().json["error"] == "processing_error"
        desk.pool.work = portrait
        assert desk.process().json["success"]


def test_an_outbox_that_is_away_is_503_and_the_next_photo_is_taken(desk):
    folder = desk.settings.outbox
    folder.rename(folder.with_name("away"))
    answer = desk.process()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    folder.with_name("away").rename(folder)
    assert desk.process().json["success"]
