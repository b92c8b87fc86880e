"""Whether a file is complete by its own end. Strict: a photo that is still being copied is never taken for complete.

The file is given as its size and a function that reads. False is no verdict on the file; it means: wait until the file
no longer changes.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final

from pipeline.formats.iso_bmff import LEAST_BOX, top_level_boxes
from pipeline.formats.jpeg import END_MARK, EOI, jpeg_markers
from pipeline.formats.reading import Read
from pipeline.formats.signatures import bmp_length, detect_format, is_iso_bmff, webp_length

_PADDING: Final = b"\0\r\n "
_MAX_PADDING: Final = 1 << 16
_MAX_GIF: Final = 1 << 23
"""Bytes. Walking the blocks of a larger GIF costs more than waiting."""
_MAX_MARKERS: Final = 20_000
_MAX_BOXES: Final = 1000


def is_complete(size: int, read: Read) -> bool:
    """Whether the bytes end as their format says that a complete file ends.

    False also for formats without an end mark (TIFF, PSD, text), an empty file, and most pictures that something was
    appended to.

    Args:
        size: The file's size in bytes.
        read: `read(offset, length)`, fewer bytes only at the end of the file. A few small reads are enough, except
            for a GIF.
    """
    head = read(0, 16)
    check = _is_complete_iso_bmff if is_iso_bmff(head) else _CHECKS.get(detect_format(head) or "")
    return check is not None and check(size, read)


def _is_complete_jpeg(size: int, read: Read) -> bool:
    # The tail first: it costs one read, and the walk then tells the picture's end from that of its thumbnail.
    if not _tail(size, read).endswith(END_MARK):
        return False
    return any(code == EOI for code, _ in islice(jpeg_markers(size, read), _MAX_MARKERS))


def _is_complete_png(size: int, read: Read) -> bool:
    return size > 20 and _tail(size, read).endswith(b"\0\0\0\0IEND\xaeB`\x82")


def _is_complete_gif(size: int, read: Read) -> bool:
    if size > _MAX_GIF or not _tail(size, read).endswith(b";"):
        return False
    try:
        return _gif_reaches_trailer(read(0, size))
    except IndexError:
        return False


def _gif_reaches_trailer(data: bytes) -> bool:
    """IndexError if the data ends inside a block."""
    offset = 13 + _gif_palette_length(data[10])
    while data[offset] != 0x3B:
        if data[offset] == 0x2C:
            offset = _after_gif_blocks(data, offset + 11 + _gif_palette_length(data[offset + 9]))
        elif data[offset] == 0x21:
            offset = _after_gif_blocks(data, offset + 2)
        else:
            return False
    return True


def _gif_palette_length(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_gif_blocks(data: bytes, offset: int) -> int:
    while data[offset]:
        offset += 1 + data[offset]
    return offset + 1


def _is_complete_webp(size: int, read: Read) -> bool:
    length = webp_length(read(0, 16))
    return 20 < length <= size and _has_data_before(length, read)  # some write the length last


def _is_complete_bmp(size: int, read: Read) -> bool:
    return bmp_length(read(0, 16)) == size and _has_data_before(size, read)


def _is_complete_iso_bmff(size: int, read: Read) -> bool:
    """HEIC and AVIF: the boxes add up, and both the picture's description and its data are among them."""
    kinds: set[bytes] = set()
    end = 0
    for box in islice(top_level_boxes(size, read), _MAX_BOXES):
        end = box.end
        if box.length < LEAST_BOX or end > size:
            return False
        kinds.add(box.kind)
    complete = end == size and b"mdat" in kinds and not kinds.isdisjoint({b"meta", b"moov"})
    return complete and _has_data_before(size, read)


def _tail(size: int, read: Read) -> bytes:
    """The last bytes without padding."""
    tail = read(max(size - 64, 0), 64).rstrip(_PADDING)
    return tail or read(max(size - _MAX_PADDING, 0), _MAX_PADDING).rstrip(_PADDING)


def _has_data_before(end: int, read: Read) -> bool:
    """Whether the last 64 bytes before `end` are not all zero.

    A file whose space was reserved before it was copied has its full length, with zeros where data will be.
    """
    start = max(end - 64, 0)
    return any(read(start, end - start))


_CHECKS: Final[dict[str, Callable[[int, Read], bool]]] = {
    "JPEG": _is_complete_jpeg,
    "PNG": _is_complete_png,
    "GIF": _is_complete_gif,
    "WEBP": _is_complete_webp,
    "BMP": _is_complete_bmp,
}
