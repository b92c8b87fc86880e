"""An inbox and an outbox, each a folder or a bucket, and services between them."""

import json

from handler.outbox.attempts import Attempts
from handler.outbox.paths import report_path
from handler.outbox.reports import ReportStore
from sources.events import Event
from tests.handler.fakes import process_between


class AnyDesk:
    """An inbox, an outbox, each of its kind, and services between them."""

    def __init__(self, inbox, outbox):
        self.inbox, self.outbox, self.begun = inbox, outbox, []

    def service(self, *answers, after="keep"):
        attempts = Attempts(self.outbox)
        attempts.suspects(self.inbox.exists)
        self.begun.append(attempts)
        return process_between(self.inbox, self.outbox, attempts, *answers, after=after)

    def photo(self, path, data=b"a photo", metadata=None):
        replaces = self.inbox.read(path).version if self.inbox.exists(path) else None
        version = self.inbox.write(path, data, replaces=replaces, metadata=metadata)
        return Event(self.inbox.uri(path), path, version)

    def report(self, path):
        return json.loads(self.outbox.read(report_path(path)).data)

    def settled(self, path):
        folder, _, name = path.rpartition("/")
        return ReportStore(self.outbox).done_in(folder)(name, self.inbox.read(path).changed_ns)
