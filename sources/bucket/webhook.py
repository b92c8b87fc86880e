"""What servers tell over HTTP: a POST's body in, photos announced. Nothing is read and nothing waited for."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from sources.bucket.inbox import BucketInbox
from sources.notifications.announcement import NotificationError, ObjectCreated, shown
from sources.notifications.parse import announced
from sources.scanning.source import Count, count_nothing

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Webhook:
    """Hands on what lies in the inbox. `announce(path, version)` says whether there was room; see
    `sources.bucket.source.BucketSource`."""

    inbox: BucketInbox
    announce: Callable[[str, str], bool]
    on_count: Count = count_nothing
    _complained: set[str] = field(default_factory=set)

    def accept(self, body: bytes) -> bool:
        """Whether all that it announces is noted; False: there was no room, send it again later.

        What is no photo of ours, or nothing that can be understood, is noted too: sent again it would be no better, and
        MinIO would hold back everything that comes after it.
        """
        try:
            told = announced(body)
        except NotificationError as error:
            self._passed_over("body", f"A POST to /events is not understood, and passed over: {error}")
            told = error.understood
        return all([self._hand_on(each) for each in told.created])

    def _hand_on(self, told: ObjectCreated) -> bool:
        if not self.inbox.holds(told):
            where = f"s3://{self.inbox.bucket}/{self.inbox.prefix}"
            what = f"{shown(told.key)} in {shown(told.bucket)} is not below {where}: narrow the notification"
            self._passed_over("elsewhere", f"{what}. Such events are passed over, and only the first one is logged.")
            return True
        photo = self.inbox.photo(told)
        if photo is None:
            self.on_count("ignored", 1)
            return True
        return self.announce(photo.path, photo.version)

    def _passed_over(self, kind: str, text: str) -> None:
        """Counted each time, logged once of each kind: a notification that is too wide tells of every object."""
        self.on_count("ignored", 1)
        if kind not in self._complained:
            self._complained.add(kind)
            _log.warning("%s", text)
