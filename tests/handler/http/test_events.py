"""POST /events: who may, when it is taken, and what is answered."""

import gzip
import http.client
import json
import socket
from dataclasses import replace

import pytest

from handler.http.events import EventsRoute
from handler.http.server import ServerThread, make_app
from tests.handler.http.test_server import Service, ask, get

TOKEN = "7Hq2vX"  # noqa: S105 - of the tests


class Desk:
    def __init__(self, token):
        self.bodies, self.reasons, self.room = [], [], True
        self.events = EventsRoute(self.accept, lambda: self.reasons, token)

    def accept(self, body):
        self.bodies.append(body)
        return self.room


@pytest.fixture(params=[TOKEN])
def desk(request):
    return Desk(request.param)


@pytest.fixture
def server(desk):
    thread = ServerThread(make_app(Service(), desk.events), "127.0.0.1", 0)
    thread.start()
    yield thread
    thread.stop()


def post(server, body=b"{}", authorization=f"Bearer {TOKEN}", path="/events", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    sent = {"Authorization": authorization} if authorization is not None else {}
    try:
        chunked = not isinstance(body, bytes)
        connection.request("POST", path, body, sent | headers, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())
    finally:
        connection.close()


def test_post_body_is_passed_on_unchanged(server, desk):
    assert post(server, b'{"Records":[]}')[0] == 200
    assert desk.bodies == [b'{"Records":[]}']


@pytest.mark.parametrize("sent", [f"Bearer {TOKEN}", TOKEN])
def test_post_token_in_each_server_s_form_is_accepted(server, sent):
    assert post(server, authorization=sent)[0] == 200


@pytest.mark.parametrize("desk", ["Basic abc"], indirect=True)
def test_post_token_of_two_words_is_accepted_unchanged(server):
    assert post(server, authorization="Basic abc")[0] == 200
    assert post(server, authorization="Basic abd")[0] == 403


@pytest.mark.parametrize(
    ("sent", "status"),
    [(None, 401), ("", 403), ("Bearer", 403), ("Bearer x", 403), (f"bearer {TOKEN}x", 403), ("Bearer \xff\xfe", 403)],
)
def test_post_without_token_is_refused(server, desk, sent, status):
    answer, headers, content = post(server, authorization=sent)
    assert (answer, desk.bodies) == (status, [])
    assert TOKEN not in f"{headers} {content} {desk.events}"


@pytest.mark.parametrize("desk", [None], indirect=True)
def test_post_without_token_setting_is_accepted(server, desk):
    assert post(server, authorization=None)[0] == 200


@pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS"])
def test_probe_in_any_state_is_answered(server, desk, method):
    desk.reasons = ["the models are still loading"]
    assert ask(server, method, "/events")[0] == 200


def test_post_while_unready_answers_503_with_retry_after(server, desk):
    desk.reasons = ["the models are still loading"]
    status, headers, content = post(server)
    assert (status, headers["Retry-After"], desk.bodies) == (503, "5", [])
    assert content["reasons"] == desk.reasons


def test_post_without_room_answers_503_with_retry_after(server, desk):
    desk.room = False
    status, headers, _ = post(server)
    assert (status, headers["Retry-After"]) == (503, "30")


def test_post_chunked_or_compressed_body_is_read(server, desk):
    assert post(server, iter([b'{"a":', b"1}"]), **{"Transfer-Encoding": "chunked"})[0] == 200
    assert post(server, gzip.compress(b"{}"), **{"Content-Encoding": "gzip"})[0] == 200
    assert desk.bodies == [b'{"a":1}', b"{}"]


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress], ids=["plain", "compressed"])
def test_post_too_large_body_answers_413(server, desk, pack):
    body = pack(b"0" * (1024 * 1024 + 1))
    headers = {"Content-Encoding": "gzip"} if pack is gzip.compress else {}
    assert post(server, body, **headers)[0] == 413
    assert desk.bodies == []


def test_post_unauthorised_is_refused_before_body_is_read(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 401"


def test_post_stalled_body_answers_408():
    desk = Desk(None)
    thread = ServerThread(make_app(Service(), replace(desk.events, read_seconds=0.05)), "127.0.0.1", 0)
    thread.start()
    try:
        with socket.create_connection(("127.0.0.1", thread.port), timeout=10) as client:
            client.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
            assert client.recv(12) == b"HTTP/1.1 408"
        assert desk.bodies == []
    finally:
        thread.stop()


def test_events_other_methods_are_refused(server):
    assert ask(server, "PUT", "/events", b"x")[0] == 405


def test_events_without_source_answers_404():
    thread = ServerThread(make_app(Service()), "127.0.0.1", 0)
    thread.start()
    try:
        assert (get(thread, "/events")[0], post(thread)[0]) == (404, 404)
    finally:
        thread.stop()


@pytest.mark.parametrize("desk", [None], indirect=True)
@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}],
    ids=lambda headers: next(iter(headers)),
)
def test_post_without_a_token_from_a_web_page_is_refused(server, desk, headers):
    status, _, answer = post(server, authorization=None, **headers)
    assert (status, "FACECRAFT_WEBHOOK_TOKEN" in answer["error"]) == (403, True)
    assert desk.bodies == []
    assert post(server, authorization=None)[0] == 200
