"""Small pictures for people to look at: of a photo, upright, or of its portrait on any colour."""

import io

from PIL import Image

from pipeline.image.decode import Colour, decode
from pipeline.types import Limits

GREY: Colour = (240, 240, 240)
STRONG: Colour = (24, 92, 140)
"""A colour on which the defects of a cut-out are easy to see."""

_QUALITY = 82


def thumbnail(data: bytes, limits: Limits, side: int, background: Colour = GREY) -> Image.Image:
    """The picture in `data`, upright and in sRGB, at most `side` pixels wide and high, never enlarged.

    Transparent parts show `background` (RGB, 0..255).

    Raises:
        PhotoRejected: As `decode`.
    """
    image = Image.fromarray(decode(data, limits, background).pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def jpeg(image: Image.Image) -> bytes:
    """The picture as a JPEG, without chroma subsampling: it would blur the edge between person and background."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    return buffer.getvalue()
