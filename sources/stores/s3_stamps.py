"""The stamps of a folder of objects. They are in the metadata, which listings leave out, so they are cached."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

STAMP: Final = "source-stamp"
_MOST: Final = 1_000_000

_remembered: dict[bytes, tuple[bytes, int]] = {}


class ObjectStamps(Mapping[str, int]):
    """Stamps in ns by name; 0 for an object without one. `names` maps each name to its state in the listing."""

    def __init__(self, uri: str, names: Mapping[str, str], metadata: Callable[[str], Mapping[str, str]]) -> None:
        self._uri, self._names, self._metadata = uri, names, metadata

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> int:
        """OSError if the bucket cannot be reached."""
        place, state = _digest(f"{self._uri}/{name}"), _digest(self._names[name])
        known = _remembered.get(place)
        if known is None or known[0] != state:
            known = (state, self._asked(name))
            if len(_remembered) >= _MOST:
                _remembered.clear()
            _remembered[place] = known
        return known[1]

    def _asked(self, name: str) -> int:
        try:
            return stamp_in(self._metadata(name))
        except FileNotFoundError:  # gone since it was listed
            return 0

    @staticmethod
    def forget(uri: str) -> None:
        """Drop what is cached: the object is about to be written, perhaps within the same second."""
        _remembered.pop(_digest(uri), None)


def stamp_in(metadata: Mapping[str, str]) -> int:
    """The stamp in an object's metadata; 0 if there is none."""
    value = metadata.get(STAMP, "")
    return int(value) if value.isascii() and value.isdigit() else 0


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()[:8]
