"""Which objects of a bucket are photos of the inbox, by their keys alone."""

from dataclasses import dataclass

from sources.filters import photo_of, why_ignored
from sources.notifications.notification import ObjectCreated, is_older
from sources.notifications.parse import parse_notification


@dataclass(frozen=True, slots=True)
class BucketPhoto:
    """A photo that an event is about. `version` is empty where it is unknown, as in the event of a sidecar."""

    uri: str
    path: str
    version: str
    sequencer: str | None = None

    def covers(self, other: "BucketPhoto") -> bool:
        """Whether a read that began after this event also sees what the other event is about."""
        same = self.version != "" and self.version == other.version
        return same or is_older(other.sequencer, self.sequencer)


@dataclass(frozen=True, slots=True)
class InboxNotification:
    """What a notification says about one inbox.

    Attributes:
        photos: Photos that are new, or whose sidecar is.
        outside: Objects that do not lie in the inbox.
        not_photos: How many objects of the inbox are no photos: folders, temporary files and the like.
        other_events: How many events are about something else than new objects.
        error: What could not be understood; None if all could.
    """

    photos: tuple[BucketPhoto, ...]
    outside: tuple[ObjectCreated, ...]
    not_photos: int
    other_events: int
    error: str | None

    @property
    def ignored(self) -> int:
        """How much of the notification is not about photos of the inbox."""
        return len(self.outside) + self.not_photos + self.other_events


@dataclass(frozen=True, slots=True)
class BucketInbox:
    """The objects below `prefix` of a bucket; `in` means `in/`, and an empty prefix the whole bucket."""

    bucket: str
    prefix: str

    def parse(self, body: object) -> InboxNotification:
        """What this notification says about the inbox; see `parse_notification`."""
        notification = parse_notification(body)
        inside = [each for each in notification.created if self.contains(each)]
        photos = [photo for each in inside if (photo := self.photo(each))]
        return InboxNotification(
            photos=tuple(photos),
            outside=tuple(each for each in notification.created if not self.contains(each)),
            not_photos=len(inside) - len(photos),
            other_events=len(notification.ignored),
            error=notification.error,
        )

    def contains(self, created: ObjectCreated) -> bool:
        """Whether the object lies in the inbox, photo or not."""
        return created.bucket == self.bucket and created.key.startswith(self._folder)

    def photo(self, created: ObjectCreated) -> BucketPhoto | None:
        """The photo that is new, or whose sidecar is; None for folders, temporary files and the like."""
        path = created.key.removeprefix(self._folder)
        photo = photo_of(path)
        if photo is None:
            photo, version, sequencer = path, created.version, created.sequencer
        else:
            version, sequencer = "", None  # those of the event are the sidecar's
        if photo.endswith("/") or not photo or why_ignored(photo):
            return None
        return BucketPhoto(f"s3://{self.bucket}/{self._folder}{photo}", photo, version, sequencer)

    @property
    def _folder(self) -> str:
        return self.prefix and f"{self.prefix.rstrip('/')}/"


def newer(one: BucketPhoto, other: BucketPhoto) -> BucketPhoto:
    """Of two events of one photo, the one about the newer content; `other` arrived later."""
    if not other.version or is_older(other.sequencer, one.sequencer):
        return one
    return other
