"""What happens to a photo once its report is written: FACECRAFT_AFTER."""

import errno
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from handler.config.fields import AfterAction
from handler.config.options import SIDECAR_BYTES
from handler.outbox.paths import original_path, renamed_original
from handler.outbox.photo_version import Checksums
from handler.outbox.reports import Report, reported_checksums
from sources.stores.base import Blob, Conflict, TooLarge
from sources.stores.local import FileStore
from sources.stores.location import AnyStore
from sources.stores.s3 import S3Store

TAG: Final = ("facecraft", "done")
"""Name and value of a done photo's tag."""


@dataclass(frozen=True, slots=True)
class AfterPolicy:
    """Moves done photos to the outbox, deletes or tags them; `keep` leaves them alone."""

    inbox: AnyStore
    outbox: AnyStore
    action: AfterAction = "keep"

    @property
    def acts(self) -> bool:
        return self.action != "keep"

    @property
    def takes(self) -> bool:
        """Whether the photo leaves the inbox."""
        return self.action in ("move", "delete")

    def act(self, path: str, checksums: Checksums) -> None:
        """Tag the photo, or remove it and its sidecar from the inbox.

        Args:
            checksums: The content that was processed.

        Raises:
            Conflict: The content has changed, or the target exists with other content.
            OSError: The photo cannot be tagged or removed.
        """
        photo = self._expected(path, checksums.bytes, checksums.sha256)
        options = self.inbox.sidecar(path)
        sidecar = self._expected(options, SIDECAR_BYTES, checksums.sidecar_sha256)
        if photo and self.action == "tag":
            self._tag(path, photo)
        elif photo:
            place = self._take_out(path, photo, original_path(path))
            if sidecar:  # last: if the service dies in between, the photo must not be there without its options
                self._take_out(options, sidecar, place + options.removeprefix(path))

    def _tag(self, path: str, found: Blob) -> None:
        if isinstance(self.inbox, FileStore):
            raise OSError(errno.ENOTSUP, "files have no tags: set FACECRAFT_AFTER=keep", path)
        self.inbox.tag(path, found.version, *TAG)

    def _expected(self, path: str, limit: int, expected: str | None) -> Blob | None:
        """The file, if it has the expected checksum; None if none is expected. Else Conflict."""
        try:
            found = self.inbox.read(path, limit)
        except FileNotFoundError:
            found = None
        except TooLarge as error:
            raise Conflict(f"{path!r} has changed since it was processed") from error
        if (found and _sum(found)) != expected:
            raise Conflict(f"{path!r} has changed since it was processed")
        return found

    def _take_out(self, path: str, found: Blob, place: str) -> str:
        """Returns where it is moved to; an original that was moved earlier is never replaced."""
        if self.action == "delete":
            self.inbox.delete(path, found.version)
            return place
        content, standing = _sum(found), _sum_at(self.outbox, place)
        if standing not in (None, content):
            place = renamed_original(place, content)
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
    """Where the photo of this report is in the outbox; None if it was not moved there."""
    checksums, place = reported_checksums(report), original_path(path)
    places = (renamed_original(place, checksums.sha256), place) if checksums and checksums.sha256 else ()
    return next((each for each in places if outbox.exists(each)), None)


def _sum(found: Blob) -> str:
    return sha256(found.data).hexdigest()


def _sum_at(outbox: AnyStore, place: str) -> str | None:
    try:
        return _sum(outbox.read(place))
    except FileNotFoundError:
        return None
