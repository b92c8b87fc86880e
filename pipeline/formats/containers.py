"""What a file says about itself outside its pixels: read here before a decoder believes it."""

import re
from dataclasses import dataclass
from typing import Final

from pipeline.formats.tiff import tiff_ends_early

MAX_SEGMENTS: Final = 10_000
"""Segments of a JPEG: real ones have some hundreds at most, with a profile and an edit history in pieces of 64 KB."""

MAX_SCANS: Final = 100
"""Scans of a JPEG: real progressive ones have about ten, and each is a pass over the picture. libtiff's limit too."""

_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_START_OF_FRAME: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SEQUENTIAL: Final = frozenset({0xC0, 0xC1})
_WITHOUT_LENGTH: Final = frozenset({0x01, 0xD8})
_START_OF_SCAN, _RESTARTS, _END = 0xDA, 0xDD, 0xD9


@dataclass(frozen=True, slots=True)
class JpegLayout:
    """Of the first picture in a JPEG: its markers' codes, bits per sample, and whether its end mark is there."""

    markers: bytes
    bits: int
    ended: bool

    @property
    def excessive(self) -> bool:
        """True where there are more scans or segments than any real picture has."""
        return self.markers.count(_START_OF_SCAN) > MAX_SCANS or len(self.markers) > MAX_SEGMENTS

    @property
    def simple(self) -> bool:
        """True for one sequential scan without restart marks, and nothing behind it."""
        frames = _START_OF_FRAME & set(self.markers)
        return (
            self.markers.find(_START_OF_SCAN) == len(self.markers) - 1
            and frames <= _SEQUENTIAL
            and _RESTARTS not in self.markers
        )


def jpeg_layout(data: bytes) -> JpegLayout:
    """Follows the markers as libjpeg does: skips segments by their length, entropy-coded data by its stuffing.

    Stops once there are too many.
    """
    markers, bits, at = bytearray(), 8, 2
    while len(markers) <= MAX_SEGMENTS and (found := _MARKER.search(data, at)):
        marker, at = data[found.end() - 1], found.end()
        if marker == _END:
            return JpegLayout(bytes(markers), bits, ended=True)
        markers.append(marker)
        if marker in _WITHOUT_LENGTH:
            continue
        if marker in _START_OF_FRAME and at + 2 < len(data):
            bits = data[at + 2]
        at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return JpegLayout(bytes(markers), bits, ended=False)


def has_end_mark(data: bytes) -> bool:
    """True where the first picture in a JPEG ends as it should."""
    return data.endswith(b"\xff\xd9") or jpeg_layout(data).ended


def ends_early(data: bytes, kind: str) -> bool:
    """True where the format's own end mark or lengths show that bytes are missing at the end.

    Asked only after a decoder has failed: many a sound file has a wrong length.
    """
    return _ENDS_EARLY[kind](data)


def _box_ends_early(data: bytes) -> bool:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # 0: up to the end of the file; less than a header: damaged
            return at + 8 > len(data)
        at += size
    return at > len(data)


_ENDS_EARLY: Final = {
    "JPEG": lambda data: not has_end_mark(data),
    "PNG": lambda data: b"IEND" not in data,
    "GIF": lambda data: not data.rstrip(b"\0").endswith(b";"),
    "BMP": lambda data: int.from_bytes(data[2:6], "little") > len(data),
    "WEBP": lambda data: 8 + int.from_bytes(data[4:8], "little") > len(data),
    "AVIF": _box_ends_early,
    "HEIF": _box_ends_early,
    "TIFF": tiff_ends_early,
}
