"""Our end of a webhook, on a port of its own, for the tests of servers that post to it."""

import queue
import threading
from collections import Counter

from handler.http.events import EventsRoute
from handler.http.server import ServerThread, make_app
from sources.bucket.inbox import BucketInbox
from sources.bucket.webhook import Webhook

SOON = 60.0
TOKEN = "7Hq2vX"  # noqa: S105 - of the tests


class Status:
    """A service that is always well."""

    def health(self):
        return True, {}

    def unready(self):
        return []

    def status(self):
        return {}

    def metrics(self):
        return b"", "text/plain"


class Hook:
    """Our end: starts and stops on the port that the server posts to; answers as it is told to."""

    def __init__(self, port):
        self.port, self.room = port, True
        self.told = queue.Queue()
        self.refused = threading.Event()
        self.counts = Counter()
        self._webhook = Webhook(BucketInbox("photos", "in"), self.announce, self.count)

    def announce(self, path, version):
        self.told.put((path, version))
        return True

    def count(self, name, more):
        self.counts[name] += more

    def accept(self, body):
        if not self.room:
            self.refused.set()
            return False
        return self._webhook.accept(body)

    def __enter__(self):
        events = EventsRoute(self.accept, list, TOKEN)
        self._server = ServerThread(make_app(Status(), events), "127.0.0.1", self.port)
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop()

    def until(self, *wanted):
        """Everything that is told until all of these were."""
        seen = Counter()
        while set(wanted) - set(seen):
            seen[self.told.get(timeout=SOON)[0]] += 1
        return seen
