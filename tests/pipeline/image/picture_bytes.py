"""Encoded pictures for the tests of probe, decode and colour."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

from pipeline.errors import PhotoRejected
from pipeline.image.decode import decode
from pipeline.types import Limits, Photo

pillow_heif.register_heif_opener(thumbnails=False)

TESTS = Path(__file__).parents[2]
PORTRAITS = TESTS / "portraits"
BAD_INPUTS = TESTS / "bad-inputs"
CASES = TESTS / "cases"
LIMITS = Limits()
LOSSLESS = [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_deflate"}), ("WEBP", {"lossless": True})]


def encoded(image, kind, **options):
    """The picture in Pillow's format `kind`."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(orientation):
    """An EXIF block that says only which way up."""
    block = Image.Exif()
    block[274] = orientation
    return block.tobytes()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, colour_type, rows, *chunks):
    """A PNG from packed rows, for what Pillow does not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + body + chunk(b"IEND", b"")


def tiff(entries, tail=b""):
    """A little-endian TIFF of one directory; `entries` are (tag, type, count, value)."""
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8) + directory + tail


def gradient(width=48, height=32):
    """A small coloured picture in which no two corners are alike."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(np.stack([x * 5, y * 7, (x + y) * 3], axis=-1).astype(np.uint8))


def photo(data, **options):
    return decode(data, LIMITS, **options)


def outcome(data) -> Photo | PhotoRejected:
    """What decoding gives: either of the two things that it may give."""
    try:
        return photo(data)
    except PhotoRejected as rejected:
        return rejected
