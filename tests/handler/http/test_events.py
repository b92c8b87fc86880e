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


def test_a_body_is_handed_on_as_it_came(server, desk):
    assert post(server, b'{"Records":[]}')[0] == 200
    assert desk.bodies == [b'{"Records":[]}']


@pytest.mark.parametrize("sent", [f"Bearer {TOKEN}", TOKEN])
def test_the_token_is_taken_as_servers_send_it(server, sent):
    assert post(server, authorization=sent)[0] == 200


@pytest.mark.parametrize("desk", ["Basic abc"], indirect=True)
def test_a_token_of_two_words_is_taken_as_it_is(server):
    assert post(server, authorization="Basic abc")[0] == 200
    assert post(server, authorization="Basic abd")[0] == 403


@pytest.mark.parametrize(
    ("sent", "status"),
    [(None, 401), ("", 403), ("Bearer", 403), ("Bearer x", 403), (f"bearer {TOKEN}x", 403), ("Bearer \xff\xfe", 403)],
)
def test_without_the_token_nothing_is_taken(server, desk, sent, status):
    answer, headers, content = post(server, authorization=sent)
    assert (answer, desk.bodies) == (status, [])
    assert TOKEN not in f"{headers} {content} {desk.events}"


@pytest.mark.parametrize("desk", [None], indirect=True)
def test_where_no_token_is_set_everyone_on_this_machine_may(server, desk):
    assert post(server, authorization=None)[0] == 200


@pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS"])
def test_probes_are_answered_whatever_the_state(server, desk, method):
    desk.reasons = ["the models are still loading"]
    assert ask(server, method, "/events")[0] == 200


def test_before_it_is_ready_it_asks_to_be_told_later(server, desk):
    desk.reasons = ["the models are still loading"]
    status, headers, content = post(server)
    assert (status, headers["Retry-After"], desk.bodies) == (503, "5", [])
    assert content["reasons"] == desk.reasons


def test_where_there_is_no_room_it_asks_to_be_told_later(server, desk):
    desk.room = False
    status, headers, _ = post(server)
    assert (status, headers["Retry-After"]) == (503, "30")


def test_chunked_and_compressed_bodies_are_read(server, desk):
    assert post(server, iter([b'{"a":', b"1}"]), **{"Transfer-Encoding": "chunked"})[0] == 200
    assert post(server, gzip.compress(b"{}"), **{"Content-Encoding": "gzip"})[0] == 200
    assert desk.bodies == [b'{"a":1}', b"{}"]


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress], ids=["plain", "compressed"])
def test_a_body_that_is_too_large_is_refused(server, desk, pack):
    body = pack(b"0" * (1024 * 1024 + 1))
    headers = {"Content-Encoding": "gzip"} if pack is gzip.compress else {}
    assert post(server, body, **headers)[0] == 413
    assert desk.bodies == []


def test_whoever_may_not_post_is_refused_before_the_body_is_read(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 401"


def test_a_body_that_does_not_come_is_not_waited_for():
    desk = Desk(None)
    thread = ServerThread(make_app(Service(), replace(desk.events, read_seconds=0.05)), "127.0.0.1", 0)
    thread.start()
    try:
        with socket.create_connection(("127.0.0.1", thread.port), timeout=10) as client:
            client.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
            assert client.recv(12) == b"HTTP/1.1 408"
        assert desk.bodies == []
    finally:
        thread.stop()


def test_other_methods_are_refused(server):
    assert ask(server, "PUT", "/events", b"x")[0] == 405


def test_without_the_source_there_is_no_such_path():
    thread = ServerThread(make_app(Service()), "127.0.0.1", 0)
    thread.start()
    try:
        assert (get(thread, "/events")[0], post(thread)[0]) == (404, 404)
    finally:
        thread.stop()
