"""The state of a file at one moment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileSnapshot:
    """A file's state, to be compared with a later one. `changed_ns`: the newest ctime of photo and sidecar."""

    mtime_ns: int
    size: int
    inode: int
    changed_ns: int

    @property
    def version(self) -> str:
        """Mtime in ns and size in bytes."""
        return f"{self.mtime_ns}-{self.size}"
