"""JPEG: its markers, and what they say before a decoder reads it (ITU-T T.81, annex B)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.formats.reading import Read, reader

EOI: Final = 0xD9
"""Code of the marker "end of image"."""

END_MARK: Final = b"\xff\xd9"

MAX_SEGMENTS: Final = 10_000
"""Segments of a JPEG: real ones have some hundreds at most, with a profile and an edit history in pieces of 64 KB."""

MAX_SCANS: Final = 100
"""Scans of a JPEG: real progressive ones have about ten, and each is a pass over the picture. libtiff's limit too."""

_MARKER: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # no restart marks, no stuffed or fill bytes
_SOF: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SOF_SEQUENTIAL: Final = frozenset({0xC0, 0xC1})
_WITHOUT_LENGTH: Final = frozenset({0x01, 0xD8})
_SOS, _DRI = 0xDA, 0xDD
_METADATA: Final = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})  # APP0 and APP14 say how colours are coded
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class JpegLayout:
    """Of the first picture in a JPEG: its markers' codes, bits per sample, and whether its end mark is there."""

    markers: bytes
    bits: int
    ended: bool

    @property
    def excessive(self) -> bool:
        """True if there are more scans or segments than any real picture has."""
        return self.markers.count(_SOS) > MAX_SCANS or len(self.markers) > MAX_SEGMENTS

    @property
    def simple(self) -> bool:
        """True for one sequential scan without restart marks, and nothing behind it."""
        frames = _SOF & set(self.markers)
        return (
            self.markers.find(_SOS) == len(self.markers) - 1 and frames <= _SOF_SEQUENTIAL and _DRI not in self.markers
        )


def jpeg_markers(size: int, read: Read) -> Iterator[tuple[int, int]]:
    """The markers of the first picture, each as its code and the offset behind it, up to and with EOI.

    Follows them as libjpeg does: skips segments by their length, and entropy-coded data by its byte stuffing. Without
    an EOI it ends with the last marker that there is. There may be millions: the caller sets a limit.
    """
    offset = 2
    while (found := _next_marker(offset, size, read)) is not None:
        code, offset = found
        yield code, offset
        if code == EOI:
            return
        if code not in _WITHOUT_LENGTH:
            offset += max(2, int.from_bytes(read(offset, 2), "big"))


def _next_marker(offset: int, size: int, read: Read) -> tuple[int, int] | None:
    length = 64  # segments follow each other closely; only entropy-coded data is long
    while offset + 1 < size:
        chunk = read(offset, length)
        if found := _MARKER.search(chunk):
            return chunk[found.end() - 1], offset + found.end()
        if len(chunk) < 2:
            break
        offset += len(chunk) - 1  # the last byte may be the first half of a marker
        length = min(length * 8, _CHUNK)
    return None


def jpeg_layout(data: bytes) -> JpegLayout:
    """The layout of the first picture; stops once there are more than MAX_SEGMENTS markers."""
    markers, bits = bytearray(), 8
    for code, offset in jpeg_markers(len(data), reader(data)):
        if code == EOI:
            return JpegLayout(bytes(markers), bits, ended=True)
        markers.append(code)
        if code in _SOF and offset + 2 < len(data):
            bits = data[offset + 2]
        if len(markers) > MAX_SEGMENTS:
            break
    return JpegLayout(bytes(markers), bits, ended=False)


def only_picture(data: bytes) -> bytes:
    """The first picture with nothing but what decoding needs: no metadata, no bytes between segments, no padding."""
    parts = [data[:2]]
    markers = list(jpeg_markers(len(data), reader(data)))
    for (code, offset), (_, following) in zip(markers, [*markers[1:], (EOI, len(data) + 2)], strict=True):
        if code in _METADATA or code in _WITHOUT_LENGTH:
            continue
        end = offset if code == EOI else offset + max(2, int.from_bytes(data[offset : offset + 2], "big"))
        parts += [b"\xff", bytes((code,)), data[offset:end]]
        if code == _SOS:
            parts.append(_without_padding(data[end : following - 2]))
    return b"".join(parts)


def _without_padding(scan: bytes) -> bytes:
    kept = scan.rstrip(b"\0\xff")
    return kept + b"\xff\0" if scan.startswith(b"\xff\0", len(kept)) else kept


def has_end_mark(data: bytes) -> bool:
    """True if the first picture in a JPEG ends as it should."""
    return data.endswith(END_MARK) or jpeg_layout(data).ended
