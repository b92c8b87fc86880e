"""A store in memory, for photos that came with a call."""

import errno
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from sources.filters import SIDECAR
from sources.stores.base import Blob, Conflict, TooLarge


@dataclass(frozen=True, slots=True)
class MemoryStore:
    """Implements `sources.stores.base.Store`. Its URIs begin with `scheme`, versions are checksums, dates are 0."""

    scheme: str = "memory"
    held: dict[str, bytes] = field(default_factory=dict)

    has_etags: ClassVar[bool] = False

    def uri(self, path: str) -> str:
        return f"{self.scheme}:{path}"

    def read(self, path: str, limit: int | None = None) -> Blob:
        """See Store."""
        if path not in self.held:
            raise FileNotFoundError(errno.ENOENT, "is not there", path)
        data = self.held[path]
        if limit is not None and len(data) > limit:
            raise TooLarge(len(data), 0)
        return Blob(data, _version(data), 0)

    def exists(self, path: str) -> bool:
        return path in self.held

    def version(self, path: str) -> str | None:
        return _version(self.held[path]) if path in self.held else None

    def sidecar(self, photo: str) -> str:
        """See Store."""
        return photo + SIDECAR

    def changed(self, path: str) -> int:  # noqa: ARG002 - its signature
        return 0

    def write(self, path: str, data: bytes, *, replaces: str | None = None) -> str:
        """See Store."""
        self._check(path, replaces)
        self.held[path] = data
        return _version(data)

    def delete(self, path: str, version: str | None = None) -> None:
        """See Store."""
        if version is not None:
            self._check(path, version)
        self.held.pop(path, None)

    def list(self, prefix: str = "") -> Iterator[str]:
        below = f"{prefix}/" if prefix else ""
        return (path for path in [*self.held] if path.startswith(below))

    def _check(self, path: str, version: str | None) -> None:
        if self.version(path) != version:
            raise Conflict(f"{self.uri(path)} was changed by someone else first")


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
