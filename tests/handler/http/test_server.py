import http.client
import json
import socket
import threading

import pytest

from handler.http.server import ServerError, ServerThread, make_app
from handler.telemetry.metrics import Metrics


class Service:
    """Answers as it is told to."""

    def __init__(self):
        self.well = True
        self.reasons = []
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def health(self):
        return self.well, {"workers": 2}

    def unready(self):
        return self.reasons

    def models_loaded(self):
        return not self.reasons

    def status(self):
        self.asked.set()
        assert self.go_on.wait(10)
        return {"inbox": "/in\udcff", "since": object}

    def metrics(self):
        return Metrics().render()


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def server(service):
    thread = ServerThread(make_app(service), "127.0.0.1", 0)
    thread.start()
    yield thread
    thread.stop()


def ask(server, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def get(server, path):
    status, _, body = ask(server, "GET", path)
    return status, json.loads(body)


def test_health_reports_whether_process_works(server, service):
    assert get(server, "/health") == (200, {"status": "healthy", "workers": 2})
    service.well = False
    assert get(server, "/health") == (503, {"status": "unhealthy", "workers": 2})


def test_ready_unready_lists_reasons(server, service):
    assert get(server, "/ready") == (200, {"ready": True, "models_loaded": True})
    service.reasons = ["the models are still loading"]
    assert get(server, "/ready") == (
        503,
        {"ready": False, "models_loaded": False, "reasons": ["the models are still loading"]},
    )


def test_status_odd_values_are_serialised(server):
    status, content = get(server, "/status")
    assert (status, content["inbox"]) == (200, "/in\udcff")


def test_metrics_have_prometheus_content_type(server):
    status, headers, body = ask(server, "GET", "/metrics")
    assert (status, headers["Content-Type"]) == (200, Metrics().render()[1])
    assert b"facecraft_build_info" in body


@pytest.mark.parametrize("path", ["/health/", "//health//"])
def test_trailing_slash_redirects_to_path_without_it(server, path):
    status, headers, body = ask(server, "GET", path)
    assert (status, headers["Location"], body) == (307, "/health", b"")


@pytest.mark.parametrize("path", ["//example.com/", "/nothing/", "//example.com/%2e%2e/"])
def test_trailing_slash_redirects_to_no_other_host(server, path):
    assert ask(server, "GET", path)[0] == 404


@pytest.mark.parametrize("path", ["/health", "/ready", "/status", "/metrics"])
def test_head_answers_like_get_without_body_and_forbids_caching(server, path):
    status, headers, body = ask(server, "HEAD", path)
    assert (status, body, headers["Cache-Control"], headers["Server"]) == (200, b"", "no-store", "facecraft")


def test_server_unknown_path_or_method_is_refused_in_json(server):
    assert get(server, "/etc/passwd")[0] == 404
    status, headers, body = ask(server, "POST", "/health", b"x")
    assert (status, headers["Allow"], headers["Cache-Control"]) == (405, "GET,HEAD", "no-store")
    assert json.loads(body) == {
        "detail": "Method Not Allowed",
        "error": "Method Not Allowed",
        "hint": "GET one of /health, /ready, /status, /metrics",
    }


def test_server_unread_body_is_not_waited_for(server):
    """The client announces 10 GB and sends nothing: the answer comes at once."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 200"


def test_start_taken_port_names_setting(server, service):
    second = ServerThread(make_app(service), "127.0.0.1", server.port)
    with pytest.raises(ServerError, match=f"FACECRAFT_PORT={server.port}: another program listens there"):
        second.start()
    second.stop()


@pytest.mark.parametrize("host", ["203.0.113.7", "a" * 300])
def test_start_foreign_address_names_setting(service, host):
    with pytest.raises(ServerError, match="FACECRAFT_HOST must be an address of this machine"):
        ServerThread(make_app(service), host, 0).start()


def test_stop_running_request_ends_and_port_closes(server, service):
    service.go_on.clear()
    answers = []
    asker = threading.Thread(target=lambda: answers.append(get(server, "/status")[0]))
    asker.start()
    assert service.asked.wait(10)
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    service.go_on.set()
    stopper.join(10)
    asker.join(10)
    assert answers == [200]
    with pytest.raises(ConnectionRefusedError):
        get(server, "/health")


def test_stop_twice_or_before_start_is_harmless(server, service):
    ServerThread(make_app(service), "127.0.0.1", 0).stop()
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        get(server, "/health")


def test_stop_idle_connection_is_not_waited_for(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/health")
    connection.getresponse().read()
    server.stop()
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        get(server, "/health")
