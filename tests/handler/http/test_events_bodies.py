"""Every body that there is, really posted to /events: the right photo, or nothing, and never an answer but 200."""

import http.client
import queue
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.http.events import EventsRoute
from handler.http.server import ServerThread, make_app
from sources.bucket.inbox import BucketInbox
from sources.bucket.webhook import Webhook
from tests.handler.http.test_server import Service
from tests.sources.notifications.bodies import CREATED, IGNORED, NAMED, SEVERAL, WRONG, sendable

TOLD = {
    **{name: (body, [photo]) for name, (body, photo) in CREATED.items()},
    **{name: (body, photos) for name, (body, photos, _) in SEVERAL.items()},
}


class Desk:
    """The webhook of the inbox `s3://photos/in` on a port of its own, and a connection to it."""

    def __init__(self):
        self.counts, self._told = Counter(), queue.SimpleQueue()
        webhook = Webhook(BucketInbox("photos", "in"), self._announce, self._count)
        self._server = ServerThread(make_app(Service(), EventsRoute(webhook.accept, list)), "127.0.0.1", 0)
        self._server.start()
        self._connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)

    def close(self):
        self._connection.close()
        self._server.stop()

    def post(self, body):
        """The answer's status, and what was announced: paths and versions."""
        self._connection.request("POST", "/events", body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        answer.read()
        return answer.status, [self._told.get() for _ in range(self._told.qsize())]

    def _announce(self, path, version):
        self._told.put((path, version))
        return True

    def _count(self, name, more):
        self.counts[name] += more


@pytest.fixture(scope="module")
def desk():
    desk = Desk()
    yield desk
    desk.close()


def as_photos(told):
    """Those below `in/`, with their versions; folders are none."""
    kept = [each for each in told if each.key.startswith("in/") and not each.key.endswith("/")]
    return [(each.key.removeprefix("in/"), each.etag or each.version_id or "") for each in kept]


@pytest.mark.parametrize(("body", "told"), TOLD.values(), ids=TOLD)
def test_post_notification_announces_its_photos(desk, body, told):
    assert desk.post(sendable(body)) == (200, as_photos(told))


@pytest.mark.parametrize(("body", "name"), NAMED.values(), ids=NAMED)
def test_post_odd_key_is_announced_unchanged(desk, body, name):
    status, told = desk.post(sendable(body))
    assert (status, [path for path, _ in told]) == (200, [name])


@pytest.mark.parametrize("body", [body for body, _ in IGNORED.values()], ids=IGNORED)
def test_post_notification_without_new_photo_announces_nothing(desk, body):
    assert desk.post(sendable(body)) == (200, [])


@pytest.mark.parametrize("body", [body for body, _ in WRONG.values()], ids=WRONG)
def test_post_unparsable_body_is_counted_and_answers_200(desk, body):
    before = desk.counts["ignored"]
    assert desk.post(sendable(body)) == (200, [])
    assert desk.counts["ignored"] == before + 1


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=1000) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
def test_post_random_body_answers_200(desk, body):
    assert desk.post(body) == (200, [])
