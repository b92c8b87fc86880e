"""Callbacks: signed, tried three times at most, to listed hosts alone."""

import hmac
import json
import queue
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from handler.api.callbacks import Callbacks
from handler.api.errors import ApiError
from tests.handler.api.desk import Desk, jpeg

KEY = "9Kc4tZ"


@pytest.fixture
def receiver():
    """A server that keeps what is posted, and answers with the next of `statuses`, then 200."""
    received, statuses = queue.Queue(), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.put((self.path, dict(self.headers), body))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.received, server.statuses = received, statuses
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["process?async=true", "process"])
def test_the_answer_is_posted_signed(tmp_path, receiver, path):
    with Desk(tmp_path, API_KEY=KEY, CALLBACK_HOSTS="127.0.0.1") as desk:
        url = f"http://127.0.0.1:{receiver.server_port}/done?x=1"
        job = desk.post(path, jpeg(), headers={"X-API-Key": KEY}, callback_url=url).json
        path, headers, body = receiver.received.get(timeout=20)
        assert (path, json.loads(body)["job_id"]) == ("/done?x=1", job["job_id"])
        assert json.loads(body)["success"]
        expected = hmac.new(KEY.encode(), body, sha256).hexdigest()
        assert headers["X-Facecraft-Signature"] == f"sha256={expected}"


def test_it_is_tried_again_and_redirects_are_not_followed(tmp_path, receiver):
    receiver.statuses += [307]
    with Desk(tmp_path, CALLBACK_HOSTS="127.0.0.1") as desk:
        desk.process(callback_url=f"http://127.0.0.1:{receiver.server_port}/a")
        assert [receiver.received.get(timeout=20)[0] for _ in range(2)] == ["/a", "/a"]
    assert receiver.received.empty()


@pytest.fixture
def callbacks():
    callbacks = Callbacks(("hooks.example.com", "10.0.0.5:8080", "[::1]"), None, lambda job: {})
    yield callbacks
    callbacks.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com",
        "http://HOOKS.example.com:9000/a?b=c",
        "http://10.0.0.5:8080/",
        "http://[::1]/x",
        None,
    ],
)
def test_listed_hosts_are_taken(callbacks, url):
    callbacks.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://10.0.0.5/", "http://10.0.0.5:80/", "https://hooks.example.com.evil.com/",
        "http://user@hooks.example.com/", "http://evil.com\\@hooks.example.com/", "http://hooks.example.com\\.evil.com/",
        "ftp://hooks.example.com/", "file:///etc/passwd", "//hooks.example.com/", "hooks.example.com", "http://",
        "http://hooks.example.com:99999/", "http://[::1", "http://hooks.example.com/\r\nX: y", "http://169.254.169.254/",
        "http://hooks.example.com /", "http://hooks.exämple.com/",
    ],
)  # fmt: skip
def test_everything_else_is_refused(callbacks, url):
    with pytest.raises(ApiError) as caught:
        callbacks.check(url)
    assert (caught.value.status, caught.value.detail[0]["loc"]) == (422, ["body", "callback_url"])


def test_a_form_that_names_another_host_begins_no_job(desk):
    assert desk.process(callback_url="http://127.0.0.1:1/").status == 422
    assert desk.stored() == []
