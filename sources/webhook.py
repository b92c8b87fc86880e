"""What servers tell over HTTP: a POST's body in, photos announced. Nothing is read and nothing waited for."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from sources.ignore import photo_of, why_ignored
from sources.scheduled import Count, uncounted

_log = logging.getLogger(__name__)


class Announced(Protocol):
    """One record of a body; see `sources.envelopes`."""

    @property
    def bucket(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def etag(self) -> str | None: ...


@dataclass(slots=True)
class Webhook:
    """Hands on what lies below `prefix` (`in/`, or "" for all) of one bucket, joined by path.

    `understood` gives what a body announces, and what in it is wrong; `announce(path, version)` says whether there was
    room, see `sources.buckets.BucketSource`.
    """

    understood: Callable[[bytes], tuple[Iterable[Announced], str | None]]
    bucket: str
    prefix: str
    announce: Callable[[str, str], bool]
    on_count: Count = uncounted
    _complained: set[str] = field(default_factory=set)

    def accept(self, body: bytes) -> bool:
        """Whether all that it announces is noted; False: there was no room, send it again later.

        What is no photo of ours, or nothing that can be understood, is noted too: sent again it would be no better, and
        MinIO would hold back everything that comes after it.
        """
        created, wrong = self.understood(body)
        if wrong:
            self._passed_over("body", f"A POST to /events is not understood, and passed over: {wrong}")
        return all([self._hand_on(record) for record in created])

    def _hand_on(self, record: Announced) -> bool:
        if record.bucket != self.bucket or not record.key.startswith(self.prefix):
            text = f"{record.bucket}/{record.key} is not below {self.bucket}/{self.prefix}: narrow the notification."
            self._passed_over("elsewhere", text)
            return True
        path = record.key[len(self.prefix) :]
        photo = photo_of(path) or path
        if not path or path.endswith("/") or why_ignored(photo):
            self.on_count("ignored", 1)
            return True
        return self.announce(photo, record.etag or "" if photo == path else "")

    def _passed_over(self, kind: str, text: str) -> None:
        """Counted each time, logged once of each kind: a notification that is too wide tells of every object."""
        self.on_count("ignored", 1)
        if kind not in self._complained:
            self._complained.add(kind)
            _log.warning("%s", text)
