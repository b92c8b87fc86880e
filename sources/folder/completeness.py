"""Is a file complete by its own trailer? Exact, so that a photo still being copied is never taken for a whole one.

Pure: the file is given as its size and a function that reads. A no is no verdict on the file, it means: wait for quiet.
"""

import re
from collections.abc import Callable
from typing import Final

Read = Callable[[int, int], bytes]
"""`read(offset, length)`: fewer bytes only at the end of the file."""

_CHUNK: Final = 1 << 20
_PADDING: Final = b"\0\r\n "
_PADDING_MOST: Final = 1 << 16
_GIF_MOST: Final = 1 << 23
"""Bytes. Walking the blocks of a larger GIF costs more than waiting for quiet."""
_MARKERS_MOST: Final = 20_000
_BOXES_MOST: Final = 1000

_JPEG_MARKER: Final = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
_JPEG_MARKER_IN_SCAN: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_SOS, _EOI, _BARE = 0xDA, 0xD9, frozenset({0x01, *range(0xD0, 0xD9)})


def is_complete(size: int, read: Read) -> bool:
    """Whether the bytes end as their format says that a whole file ends.

    False also for formats without a trailer (TIFF, PSD, text), an empty file, and most of what is appended to pictures.
    """
    head = read(0, 16)
    for matches, check in _FORMATS:
        if matches(head):
            return check(size, read)
    return False


def _jpeg(size: int, read: Read) -> bool:
    # The tail first: it costs one read, and the walk then tells the picture's end from that of its thumbnail.
    return _tail(size, read).endswith(b"\xff\xd9") and _jpeg_ends(size, read)


def _jpeg_ends(size: int, read: Read) -> bool:
    position, pattern = 2, _JPEG_MARKER
    for _ in range(_MARKERS_MOST):
        position, marker = _search(pattern, position, size, read)
        if marker in (None, _EOI):
            return marker == _EOI
        if marker not in _BARE:
            position += max(int.from_bytes(read(position, 2), "big"), 2)
            pattern = _JPEG_MARKER_IN_SCAN if marker == _SOS else _JPEG_MARKER
    return False


def _search(pattern: re.Pattern[bytes], position: int, size: int, read: Read) -> tuple[int, int | None]:
    """The position behind the next marker, and the marker; None where there is no more."""
    length = 64  # segments follow each other closely; only the picture's own data is long
    while position + 1 < size:
        chunk = read(position, length)
        if found := pattern.search(chunk):
            return position + found.end(), chunk[found.end() - 1]
        if len(chunk) < 2:
            break
        position += len(chunk) - 1  # the last byte may be the first half of a marker
        length = min(length * 8, _CHUNK)
    return size, None


def _png(size: int, read: Read) -> bool:
    return size > 20 and _tail(size, read).endswith(b"\0\0\0\0IEND\xaeB`\x82")


def _gif(size: int, read: Read) -> bool:
    if size > _GIF_MOST or not _tail(size, read).endswith(b";"):
        return False
    try:
        return _gif_ends(read(0, size))
    except IndexError:
        return False


def _gif_ends(data: bytes) -> bool:
    """IndexError where the data ends inside of a block."""
    position = 13 + _gif_palette(data[10])
    while data[position] != 0x3B:
        if data[position] == 0x2C:
            position = _gif_blocks(data, position + 11 + _gif_palette(data[position + 9]))
        elif data[position] == 0x21:
            position = _gif_blocks(data, position + 2)
        else:
            return False
    return True


def _gif_palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _gif_blocks(data: bytes, position: int) -> int:
    while data[position]:
        position += 1 + data[position]
    return position + 1


def _webp(size: int, read: Read) -> bool:
    length = 8 + int.from_bytes(read(4, 4), "little")
    return 20 < length <= size and _written(length, read)  # some write the length last


def _bmp(size: int, read: Read) -> bool:
    return int.from_bytes(read(2, 4), "little") == size and _written(size, read)


def _boxes(size: int, read: Read) -> bool:
    """HEIC and AVIF: the boxes add up, and both the picture's description and its data are among them."""
    position = 0
    kinds: set[bytes] = set()
    for _ in range(_BOXES_MOST):
        if position == size:
            return b"mdat" in kinds and not kinds.isdisjoint({b"meta", b"moov"}) and _written(size, read)
        head = read(position, 16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8 or position + length > size:
            return False
        kinds.add(kind)
        position += length
    return False


def _tail(size: int, read: Read) -> bytes:
    tail = read(max(size - 64, 0), 64).rstrip(_PADDING)
    return tail or read(max(size - _PADDING_MOST, 0), _PADDING_MOST).rstrip(_PADDING)


def _written(end: int, read: Read) -> bool:
    """A file whose space was reserved before it was copied has its full length, with zeros where data will be."""
    start = max(end - 64, 0)
    return any(read(start, end - start))


_FORMATS: Final[tuple[tuple[Callable[[bytes], bool], Callable[[int, Read], bool]], ...]] = (
    (lambda head: head.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (lambda head: head.startswith((b"GIF87a", b"GIF89a")), _gif),
    (lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP", _webp),
    (lambda head: head.startswith(b"BM"), _bmp),
    (lambda head: head[4:8] == b"ftyp", _boxes),
)
