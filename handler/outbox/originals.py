"""What becomes of a photo that is done, once its report stands: FACECRAFT_AFTER."""

import errno
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from handler.config.fields import AfterAction
from handler.config.options import SIDECAR_BYTES
from handler.outbox.paths import original_place, other_original
from handler.outbox.photo_version import Checksums
from handler.outbox.reports import Report, reported_sums
from sources.filters import SIDECAR
from sources.stores.base import Blob, Conflict, TooLarge
from sources.stores.local import FileStore
from sources.stores.location import AnyStore
from sources.stores.s3 import S3Store

TAG: Final = ("facecraft", "done")
"""Name and value of the tag of a done photo."""


@dataclass(frozen=True, slots=True)
class AfterPolicy:
    """Takes done photos out of the inbox, or tags them; `keep` leaves them as they are."""

    inbox: AnyStore
    outbox: AnyStore
    what: AfterAction = "keep"

    @property
    def acts(self) -> bool:
        return self.what != "keep"

    @property
    def takes(self) -> bool:
        """Whether nothing is left in the inbox once it has acted."""
        return self.what in ("move", "delete")

    def act(self, path: str, checksums: Checksums) -> None:
        """Tag the photo, or take it and its sidecar out of the inbox; `checksums` tell what was worked on.

        Conflict where they are others by now, or others have their places; OSError where they cannot go.
        """
        photo = self._meant(path, checksums.bytes, checksums.sha256)
        sidecar = self._meant(f"{path}{SIDECAR}", SIDECAR_BYTES, checksums.sidecar_sha256)
        if photo and self.what == "tag":
            self._tag(path, photo)
        elif photo:
            place = self._out(path, photo, original_place(path))
            if sidecar:  # last: if the service dies in between, the photo must not lie there with other options
                self._out(f"{path}{SIDECAR}", sidecar, f"{place}{SIDECAR}")

    def _tag(self, path: str, found: Blob) -> None:
        if isinstance(self.inbox, FileStore):
            raise OSError(errno.ENOTSUP, "files have no tags: set FACECRAFT_AFTER=keep", path)
        self.inbox.tag(path, found.version, *TAG)

    def _meant(self, path: str, limit: int, expected: str | None) -> Blob | None:
        """What lies there, None where nothing is meant to."""
        try:
            found = self.inbox.read(path, limit)
        except FileNotFoundError:
            found = None
        except TooLarge as error:
            raise Conflict(f"{path!r} is another one by now") from error
        if (found and _sum(found)) != expected:
            raise Conflict(f"{path!r} is another one by now")
        return found

    def _out(self, path: str, found: Blob, place: str) -> str:
        """Gives its place; what was moved earlier is never replaced."""
        if self.what == "delete":
            self.inbox.delete(path, found.version)
            return place
        content, standing = _sum(found), _sum_at(self.outbox, place)
        if standing not in (None, content):
            place = other_original(place, content)
            standing = _sum_at(self.outbox, place)
        if standing == content:
            self.inbox.delete(path, found.version)
        else:
            self._move(path, found, place)
        return place

    def _move(self, path: str, found: Blob, place: str) -> None:
        match self.inbox, self.outbox:
            case (FileStore() as inbox, FileStore() as outbox):
                inbox.move(path, found.version, outbox, place)
            case (S3Store() as inbox, S3Store() as outbox):
                inbox.move(path, found.version, outbox, place)
            case _:
                self.outbox.write(place, found.data)
                self.inbox.delete(path, found.version)


def moved_to(outbox: AnyStore, path: str, report: Report | None) -> str | None:
    """Where the photo of this report lies in the outbox, if it was moved there."""
    checksums, place = reported_sums(report), original_place(path)
    places = (other_original(place, checksums.sha256), place) if checksums and checksums.sha256 else ()
    return next((each for each in places if outbox.exists(each)), None)


def _sum(found: Blob) -> str:
    return sha256(found.data).hexdigest()


def _sum_at(outbox: AnyStore, place: str) -> str | None:
    try:
        return _sum(outbox.read(place))
    except FileNotFoundError:
        return None
