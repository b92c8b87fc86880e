"""The directories of a TIFF (TIFF 6.0, BigTIFF): one for each picture.

They are checked before Pillow reads them, because Pillow makes an object of each strip that a file claims to have.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import COMPRESSION_INFO

from pipeline.errors import PhotoRejected

_TYPES: Final = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _COMPRESSION, _SAMPLES = 254, 255, 256, 257, 259, 277
_PHOTOMETRIC, _BITS, _PLANAR, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 262, 258, 284, 338, 339
_STRIPS, _STRIP_BYTES, _STRIP_ROWS = 273, 279, 278
_TILES, _TILE_BYTES, _TILE_WIDTH, _TILE_HEIGHT = 324, 325, 322, 323
_SUB_DIRECTORIES, _DNG_VERSION = 330, 50706
_LAYOUT: Final = frozenset({_WIDTH, _HEIGHT, _SAMPLES, _STRIPS, _STRIP_ROWS, _TILES, _TILE_WIDTH, _TILE_HEIGHT})

_MAX_DIRECTORIES: Final = 100  # looked through for the first full picture; scans have some tens of pages
_REDUCED: Final = 1  # bit of NewSubfileType; SubfileType says 2
_RAW_COMPRESSIONS: Final = frozenset({32767, 32769, 32770, 34713, 65000, 65535})
"""Of Sony, Epson, Samsung, Nikon, Kodak and Pentax."""
_RAW_PHOTOMETRICS: Final = frozenset({32803, 34892})  # colour filter array, linear raw
_SEPARATE, _SIGNED, _FLOAT, _PREMULTIPLIED = 2, 2, 3, 1

Values = NDArray[np.unsignedinteger]


@dataclass(frozen=True, slots=True)
class Directory:
    """Whole-number values by tag, and the layout tags that occur more than once."""

    values: dict[int, Values] = field(default_factory=dict)
    repeated: frozenset[int] = frozenset()
    following: int = 0
    """Offset of the next directory; 0 after the last one."""

    @property
    def reduced(self) -> bool:
        """True for the thumbnail of another picture in the file."""
        return bool(self.first(_SUBFILE, 0) & _REDUCED) or self.first(_OLD_SUBFILE, 0) == 2

    def first(self, tag: int, default: int) -> int:
        """The tag's first value."""
        values = self.values.get(tag)
        return default if values is None or not len(values) else int(values[0])


@dataclass(frozen=True, slots=True)
class Page:
    """The picture to use: its number from 0, its directory, and whether a further full picture follows."""

    index: int
    directory: Directory
    more: bool


def read_directories(data: bytes) -> Iterator[Directory]:
    """Reads the directories in their order, without values that lie beyond the file's end.

    Ends before a directory that was read already, or beyond the end of the file.

    Raises:
        struct.error: The first directory lies beyond the end.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    if at >= len(data):
        raise struct.error("the directory lies beyond the end")
    seen: set[int] = set()
    while 0 < at < len(data) and at not in seen and len(seen) < _MAX_DIRECTORIES:
        seen.add(at)
        directory = _read_directory(data, order, big, at)
        yield directory
        at = directory.following


def _read_directory(data: bytes, order: str, big: bool, at: int) -> Directory:
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    start, step = (at + 8, 20) if big else (at + 2, 12)
    values: dict[int, Values] = {}
    repeated = set()
    for entry in range(start, min(start + count * step, len(data) - step + 1), step):
        tag, found = _entry(data, order, big, entry)
        repeated |= {tag} & _LAYOUT & values.keys()
        if found is not None:
            values[tag] = found
    end, size = start + count * step, 8 if big else 4
    following = struct.unpack_from(order + ("Q" if big else "I"), data, end)[0] if end + size <= len(data) else 0
    return Directory(values, frozenset(repeated), following)


def find_page(data: bytes) -> Page:
    """The first picture that is no thumbnail; the first of all if there is none.

    Raises:
        struct.error: The first directory lies beyond the end.
    """
    directories = list(_readable(read_directories(data)))
    full = [index for index, directory in enumerate(directories) if not directory.reduced]
    index = full[0] if full else 0
    return Page(index, directories[index], len(full or directories) > 1)


def _readable(directories: Iterator[Directory]) -> Iterator[Directory]:
    """Those before the first one that is cut; the first of all has to be there."""
    yield next(directories)
    with suppress(struct.error):
        yield from directories


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


def check_tiff(data: bytes, max_pixels: int) -> Page:
    """Checks a TIFF before it is decoded, and finds the picture to decode.

    Raises:
        PhotoRejected: It is a camera's RAW, its compression or samples are not read, or its strips or tiles cannot be
            true.
    """
    try:
        first = next(read_directories(data))
        page = find_page(data)
    except struct.error as error:
        raise PhotoRejected("truncated", f"TIFF: {error}") from error
    if _is_raw(data):
        raise PhotoRejected("unsupported_format", "a camera's RAW; send a JPEG that was made from it")
    for directory in (first, page.directory):  # Pillow reads the first one in any case
        if directory.repeated:
            raise PhotoRejected("damaged", f"TIFF: tag {min(directory.repeated)} stands there twice")
        _refuse_layout(directory, max_pixels)
    _refuse_coding(page.directory)
    return page


def _is_raw(data: bytes) -> bool:
    """True for a camera's RAW with a TIFF's structure: CR2, DNG, NEF, ARW, PEF and their like.

    The first directory often holds a preview, and the photo lies behind or below it.
    """
    if data[8:10] == b"CR":  # Canon's CR2; TIFF has nothing at this place that would be needed
        return True
    directories = list(_readable(read_directories(data)))
    first = directories[0]
    return (
        _DNG_VERSION in first.values
        or (bool(first.first(_SUBFILE, 0) & _REDUCED) and _SUB_DIRECTORIES in first.values)
        or any(
            each.first(_COMPRESSION, 1) in _RAW_COMPRESSIONS or each.first(_PHOTOMETRIC, 0) in _RAW_PHOTOMETRICS
            for each in directories
        )
    )


def _refuse_coding(directory: Directory) -> None:
    """Refuses what Pillow does not read, or reads wrongly."""
    compression = directory.first(_COMPRESSION, 1)
    if compression not in COMPRESSION_INFO:
        raise PhotoRejected("unsupported_format", f"TIFF with compression {compression}")
    bits, samples = {int(each) for each in directory.values.get(_BITS, ())} or {1}, directory.first(_SAMPLES, 1)
    kind = directory.first(_SAMPLE_FORMAT, 1)
    separate = directory.first(_PLANAR, 1) == _SEPARATE and samples > 1
    if kind == _FLOAT:
        wrong = None if (bits, samples) == ({32}, 1) else f"floating-point samples of {max(bits)} bits"
    elif len(bits) > 1 or max(bits) > (32 if samples == 1 else 16):
        wrong = f"samples of {' and '.join(map(str, sorted(bits)))} bits"
    elif kind == _SIGNED and (samples > 1 or bits == {8}):
        wrong = "signed samples"
    elif separate and (bits == {16} and compression == 1):
        wrong = "separate planes of 16 bits, uncompressed"
    elif separate and directory.first(_EXTRA_SAMPLES, 0) == _PREMULTIPLIED:
        wrong = "separate planes and premultiplied alpha"
    else:
        return
    if wrong is not None:
        raise PhotoRejected(
            "unsupported_format", f"TIFF with {wrong}; save it with 8 or 16 bits and interleaved colours"
        )


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
        values = find_page(data).directory.values
    except struct.error:
        return True
    for offsets, sizes in ((_STRIPS, _STRIP_BYTES), (_TILES, _TILE_BYTES)):
        if offsets in values and sizes in values:
            count = min(len(values[offsets]), len(values[sizes]))
            ends = values[offsets][:count].astype(np.float64) + values[sizes][:count]
            if count and ends.max() > len(data):
                return True
    return False
