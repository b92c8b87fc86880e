"""The first directory of a TIFF (TIFF 6.0, BigTIFF).

It is checked before Pillow reads it, because Pillow makes an object of each strip that a file claims to have.
"""

import struct
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import COMPRESSION_INFO

from pipeline.errors import PhotoRejected

_TYPES: Final = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_SUBFILE, _WIDTH, _HEIGHT, _COMPRESSION, _SAMPLES = 254, 256, 257, 259, 277
_STRIPS, _STRIP_BYTES, _STRIP_ROWS = 273, 279, 278
_TILES, _TILE_BYTES, _TILE_WIDTH, _TILE_HEIGHT = 324, 325, 322, 323
_SUB_DIRECTORIES, _DNG_VERSION = 330, 50706
_LAYOUT: Final = frozenset({_WIDTH, _HEIGHT, _SAMPLES, _STRIPS, _STRIP_ROWS, _TILES, _TILE_WIDTH, _TILE_HEIGHT})

Values = NDArray[np.unsignedinteger]


@dataclass(frozen=True, slots=True)
class Directory:
    """Whole-number values by tag, and the layout tags that occur more than once."""

    values: dict[int, Values] = field(default_factory=dict)
    repeated: frozenset[int] = frozenset()

    def first(self, tag: int, default: int) -> int:
        """The tag's first value."""
        values = self.values.get(tag)
        return default if values is None or not len(values) else int(values[0])


def read_directory(data: bytes) -> Directory:
    """Reads the first directory, without values that lie beyond the file's end.

    Raises:
        struct.error: The directory itself lies beyond the end.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    if at >= len(data):
        raise struct.error("the directory lies beyond the end")
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    start, step = (at + 8, 20) if big else (at + 2, 12)
    values: dict[int, Values] = {}
    repeated = set()
    for entry in range(start, min(start + count * step, len(data) - step + 1), step):
        tag, found = _entry(data, order, big, entry)
        repeated |= {tag} & _LAYOUT & values.keys()
        if found is not None:
            values[tag] = found
    return Directory(values, frozenset(repeated))


def _entry(data: bytes, order: str, big: bool, at: int) -> tuple[int, Values | None]:
    tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, at)
    if kind not in _TYPES:
        return tag, None
    dtype = np.dtype(order + _TYPES[kind])
    inline, place = (8, at + 12) if big else (4, at + 8)
    if count * dtype.itemsize > inline:
        (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
    if place + count * dtype.itemsize > len(data):
        return tag, None
    return tag, np.frombuffer(data, dtype, count, place)


def check_tiff(data: bytes, max_pixels: int) -> None:
    """Checks a TIFF before it is decoded.

    Raises:
        PhotoRejected: It is a camera's RAW, its compression is unknown, or its strips or tiles cannot be true.
    """
    try:
        directory = read_directory(data)
    except struct.error as error:
        raise PhotoRejected("truncated", f"TIFF: {error}") from error
    _refuse_foreign(directory)
    if directory.repeated:
        raise PhotoRejected("damaged", f"TIFF: tag {min(directory.repeated)} stands there twice")
    _refuse_layout(directory, max_pixels)


def _refuse_foreign(directory: Directory) -> None:
    # a RAW's first directory holds a thumbnail or a preview, and the photo lies below it
    preview = directory.first(_SUBFILE, 0) & 1 and _SUB_DIRECTORIES in directory.values
    if preview or _DNG_VERSION in directory.values:
        raise PhotoRejected("unsupported_format", "a camera's RAW")
    compression = directory.first(_COMPRESSION, 1)
    if compression not in COMPRESSION_INFO:
        raise PhotoRejected("unsupported_format", f"TIFF with compression {compression}")


def _refuse_layout(directory: Directory, max_pixels: int) -> None:
    width, height = directory.first(_WIDTH, 1), directory.first(_HEIGHT, 1)
    samples = max(1, directory.first(_SAMPLES, 1))
    if _STRIPS in directory.values:
        across, down = width, min(directory.first(_STRIP_ROWS, height), height)
    else:
        across, down = directory.first(_TILE_WIDTH, width), directory.first(_TILE_HEIGHT, height)
    if across * down > max(4 * width * height, max_pixels):
        raise PhotoRejected("damaged", f"TIFF: tiles of {across} x {down} in a picture of {width} x {height}")
    expected = -(-width // max(across, 1)) * -(-height // max(down, 1)) * samples
    pieces = max(len(directory.values.get(tag, ())) for tag in (_STRIPS, _TILES))
    if pieces > min(expected, _MAX_PIECES):
        raise PhotoRejected("damaged", f"TIFF: {pieces} strips or tiles in a picture of {width} x {height}")


_MAX_PIECES: Final = 250_000  # 50 megapixels in the smallest tiles there are, 16 x 16


def tiff_ends_early(data: bytes) -> bool:
    """True if the directory, a strip or a tile reaches beyond the end of the file."""
    try:
        values = read_directory(data).values
    except struct.error:
        return True
    for offsets, sizes in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
        if offsets in values and sizes in values:
            count = min(len(values[offsets]), len(values[sizes]))
            ends = values[offsets][:count].astype(np.float64) + values[sizes][:count]
            if count and ends.max() > len(data):
                return True
    return False
