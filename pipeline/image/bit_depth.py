"""Samples with more or fewer than 8 bits, where Pillow's own conversions go wrong."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.types import Pixels

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WHITE_IS_ZERO: Final = 0
_SIGNED: Final = 2


def scale_transparent_colour(image: Image.Image) -> None:
    """A PNG names its transparent colour in its own bit depth; Pillow scales the pixels to 8 bits, but not the colour.

    Called before the pixels are decoded: afterwards the depth is forgotten.
    """
    key = image.info.get("transparency")
    depth = next((tile.args for tile in getattr(image, "tile", ())), None)
    if isinstance(key, int) and depth in ("L;2", "L;4"):
        image.info["transparency"] = key * (85 if depth == "L;2" else 17)
    elif isinstance(key, tuple) and depth == "RGB;16B":
        image.info["transparency"] = tuple(level >> 8 for level in key)


def is_deep(image: Image.Image) -> bool:
    """True for modes I, I;16 and their like, and F: Pillow's own conversion clips them to white."""
    return image.mode == "F" or image.mode.startswith("I")


def to_8_bit(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The picture in mode L, and its alpha if a PNG names one level as transparent (None if no pixel has it)."""
    values = np.asarray(image)
    levels = _floats_to_8_bit(values) if image.mode == "F" else _ints_to_8_bit(values, image)
    if _tag_value(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO:
        levels = 255 - levels
    key = image.info.get("transparency")
    clear = values == key if isinstance(key, int) else np.zeros(1, bool)
    alpha = Image.fromarray(np.where(clear, np.uint8(0), np.uint8(255))) if clear.any() else None
    return Image.fromarray(levels), alpha


def _ints_to_8_bit(values: NDArray[Any], image: Image.Image) -> Pixels:
    """The top 8 bits of as many as the file has: 16, in TIFF also 12 and 32."""
    bits = _tag_value(image, _BITS, 16)
    if _tag_value(image, _SAMPLE_FORMAT, 1) == _SIGNED:
        return _byte(np.maximum(values, 0) >> (bits - 9))
    if values.dtype == np.int32:
        values = values.view(np.uint32)
    return _byte(values >> (bits - 8))


def _floats_to_8_bit(values: NDArray[Any]) -> Pixels:
    """Floats usually run from 0 to 1; if some are higher, from 0 to the highest."""
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    full = max(1.0, float(values.max()))
    return _byte(values.clip(0.0, full) * (255.0 / full) + 0.5)


def _byte(values: NDArray[Any]) -> Pixels:
    return values.astype(np.uint8)


def _tag_value(image: Image.Image, tag: int, default: int) -> int:
    value = getattr(image, "tag_v2", {}).get(tag, default)
    return int(value[0] if isinstance(value, tuple) else value)
