"""The container of HEIF, AVIF and MP4: a row of boxes (ISO base media file format, ISO/IEC 14496-12)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.formats.reading import Read

LEAST_BOX: Final = 8
"""Bytes of a box's header. A shorter length is damaged, or 0: the box goes on to the end of the file."""


@dataclass(frozen=True, slots=True)
class Box:
    """A top-level box: its four-letter type, its offset in the file, and the length in bytes that it states."""

    kind: bytes
    offset: int
    length: int

    @property
    def end(self) -> int:
        return self.offset + self.length


def top_level_boxes(size: int, read: Read) -> Iterator[Box]:
    """The boxes in their order, whether or not the last one ends inside the file.

    One that states less than LEAST_BOX is the last. There may be millions: the caller sets a limit.
    """
    offset = 0
    while offset < size:
        head = read(offset, 16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        yield Box(head[4:8], offset, length)
        if length < LEAST_BOX:
            return
        offset += length
