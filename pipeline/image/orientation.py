"""The EXIF orientation: which way up a picture is meant to be.

Read here and not by `ImageOps.exif_transpose`: Pillow falls back to XMP, which no viewer does, and gives up on
EXIF with defects in tags that nobody asked for.
"""

import struct
from typing import Final

from PIL import Image

_TAG: Final = 274
_TYPES: Final = {1: "B", 3: "H", 4: "I"}
_TRANSPOSITIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def apply_orientation(image: Image.Image, kind: str) -> Image.Image:
    """Turns a loaded picture as its EXIF orientation says.

    Args:
        image: The picture, its pixels decoded.
        kind: Pillow's name of its format.

    Returns:
        The turned picture; `image` itself if there is nothing to turn.
    """
    turn = _TRANSPOSITIONS.get(_orientation_in(image, kind))
    return image if turn is None else image.transpose(turn)


def orientation(exif: bytes) -> int:
    """Tag 274, 1..8, of an EXIF block; 1 if it is absent, damaged or out of range."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        value = _orientation_tag(tiff, order)
    except struct.error:
        return 1
    return value if 1 <= value <= 8 else 1


def _orientation_tag(tiff: bytes, order: str) -> int:
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, _ = struct.unpack_from(f"{order}HHI", tiff, at)
        if tag == _TAG and kind in _TYPES:
            return int(struct.unpack_from(order + _TYPES[kind], tiff, at + 8)[0])
    return 1


def _orientation_in(image: Image.Image, kind: str) -> int:
    # Pillow's TIFF reader and libheif have already turned the pixels; Pillow's AVIF reader has not: it puts
    # the container's irot and imir in place of the tag.
    if kind in ("TIFF", "HEIF"):
        return 1
    exif = image.info.get("exif")
    return orientation(exif if isinstance(exif, bytes) else _imagemagick_exif(image))


def _imagemagick_exif(image: Image.Image) -> bytes:
    """ImageMagick's way of writing EXIF into a PNG: hexadecimal text after three lines of header."""
    text = image.info.get("Raw profile type exif") or image.info.get("Raw profile type APP1")
    if not isinstance(text, str):
        return b""
    try:
        return bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError:
        return b""
