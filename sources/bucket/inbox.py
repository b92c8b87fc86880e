"""Which objects of a bucket are photos of the inbox, by their keys alone."""

from dataclasses import dataclass

from sources.filters import photo_of, why_ignored
from sources.notifications.announcement import ObjectCreated, is_older


@dataclass(frozen=True, slots=True)
class BucketPhoto:
    """A photo that an event is about. `version` is empty where it is not told, as in the event of a sidecar."""

    uri: str
    path: str
    version: str
    sequencer: str | None = None

    def covers(self, other: "BucketPhoto") -> bool:
        """Whether whoever began to read the photo after this event also has what the other one tells of."""
        same = self.version != "" and self.version == other.version
        return same or is_older(other.sequencer, self.sequencer)


@dataclass(frozen=True, slots=True)
class BucketInbox:
    """Below `prefix` of a bucket; `in` means `in/`, and an empty prefix all of the bucket."""

    bucket: str
    prefix: str

    def holds(self, announced: ObjectCreated) -> bool:
        """Whether the object lies in the inbox, photo or not."""
        return announced.bucket == self.bucket and announced.key.startswith(self._folder)

    def photo(self, announced: ObjectCreated) -> BucketPhoto | None:
        """The photo that is new, or whose sidecar is; None for folders, temporary files and the like."""
        path = announced.key.removeprefix(self._folder)
        if photo := photo_of(path):
            found = self._photo(photo, ObjectCreated(announced.bucket, announced.key))
        else:
            found = self._photo(path, announced)
        return None if found.path.endswith("/") or not found.path or why_ignored(found.path) else found

    def _photo(self, path: str, announced: ObjectCreated) -> BucketPhoto:
        uri = f"s3://{self.bucket}/{self._folder}{path}"
        return BucketPhoto(uri, path, announced.version, announced.sequencer)

    @property
    def _folder(self) -> str:
        return self.prefix and f"{self.prefix.rstrip('/')}/"


def newer(one: BucketPhoto, other: BucketPhoto) -> BucketPhoto:
    """Of two events of one photo, the second of which came later, the one that was told later of its content."""
    if not other.version or is_older(other.sequencer, one.sequencer):
        return one
    return other
