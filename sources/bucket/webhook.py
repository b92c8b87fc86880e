"""Photos that servers announce over HTTP: takes the body of a POST, and queues its photos without reading them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from sources.bucket.inbox import BucketInbox
from sources.notifications.fields import short_repr
from sources.scanning.source import Count, count_nothing

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Webhook:
    """Queues the photos of the inbox that a notification names.

    `announce(path, version)` says whether there was room; see `sources.bucket.source.BucketSource`.
    """

    inbox: BucketInbox
    announce: Callable[[str, str], bool]
    on_count: Count = count_nothing
    _logged: set[str] = field(default_factory=set)

    def accept(self, body: bytes) -> bool:
        """Queue the photos of a notification.

        Returns:
            True if all are queued; False if there was no room for some, and the sender should send it again later.
            What is not understood or no photo of the inbox counts as done: sent again it would be no better, and MinIO
            would hold back everything that comes after it.
        """
        notification = self.inbox.parse(body)
        self.on_count("ignored", len(notification.outside) + notification.not_photos + (notification.error is not None))
        if notification.error is not None:
            self._log_once("body", f"A POST to /events is not understood, and skipped: {notification.error}")
        if notification.outside:
            first, inbox = notification.outside[0], f"s3://{self.inbox.bucket}/{self.inbox.prefix}"
            what = f"{short_repr(first.key)} in {short_repr(first.bucket)} is not below {inbox}"
            self._log_once(
                "outside",
                f"{what}: narrow the notification. Such events are ignored, and only the first one is logged.",
            )
        return all([self.announce(photo.path, photo.version) for photo in notification.photos])

    def _log_once(self, kind: str, text: str) -> None:
        """A notification that is too wide would log a line for every object of the bucket."""
        if kind not in self._logged:
            self._logged.add(kind)
            _log.warning("%s", text)
