"""The finished files: PNG with straight alpha, JPEG under its size limit; sRGB, DPI and our mark, nothing else."""

import io
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from pipeline.image.provenance import PNG_KEY
from pipeline.types import Picture, Pixels

_MAX_QUALITY, _MIN_QUALITY = 95, 30
_PNG_LEVEL: Final = 4
_SHRINK: Final = 0.9
_MIN_SIDE: Final = 48


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """An sRGB ICC profile, the same bytes every time (its date and time are set to 2000-01-01)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes([0x07, 0xD0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0])
    return bytes(profile)


def png(pixels: Pixels, alpha: Pixels, *, dpi: int, mark: str, fill: tuple[int, int, int]) -> Picture:
    """Encodes a PNG with straight alpha.

    Args:
        pixels: H x W x 3, RGB.
        alpha: H x W, 0..255.
        dpi: The resolution to declare, in dots per inch.
        mark: The provenance mark.
        fill: RGB, the colour of fully transparent pixels: it compresses well, and a viewer that ignores alpha shows no
            dark rim.
    """
    colours = np.where(alpha[:, :, None] == 0, np.array(fill, np.uint8), pixels)
    info = PngImagePlugin.PngInfo()
    info.add_text(PNG_KEY, mark)
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([colours, alpha])).save(
        buffer, "PNG", pnginfo=info, dpi=(dpi, dpi), icc_profile=srgb_profile(), compress_level=_PNG_LEVEL
    )
    return Picture("png", buffer.getvalue(), alpha.shape[1], alpha.shape[0])


def jpeg(pixels: Pixels, *, dpi: int, mark: str, max_bytes: int) -> tuple[Picture, bool]:
    """Encodes a JPEG with the best quality that fits into `max_bytes`, or with fewer pixels if quality 30 does not fit.

    If nothing fits, because the mark alone is too long, the smallest picture is returned.

    Args:
        pixels: H x W x 3, RGB.
        dpi: The resolution to declare, in dots per inch.
        mark: The provenance mark.
        max_bytes: The size limit.

    Returns:
        The picture, and whether it has fewer pixels.
    """
    high, wide = pixels.shape[:2]
    factor = 1.0
    while True:
        size = max(1, round(wide * factor)), max(1, round(high * factor))
        image = pixels if factor == 1 else np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        data = _best_fit(Image.fromarray(image), dpi, mark, max_bytes)
        if data is None and max(size) <= _MIN_SIDE:
            data = _jpeg(Image.fromarray(image), dpi, mark, _MIN_QUALITY)
        if data is not None:
            return Picture("jpg", data, *size), factor < 1
        factor *= _SHRINK


def _best_fit(image: Image.Image, dpi: int, mark: str, max_bytes: int) -> bytes | None:
    best = _jpeg(image, dpi, mark, _MAX_QUALITY)
    if len(best) <= max_bytes:  # as most portraits do: no search then
        return best
    low, high, found = _MIN_QUALITY, _MAX_QUALITY - 1, None
    while low <= high:
        quality = (low + high + 1) // 2
        data = _jpeg(image, dpi, mark, quality)
        if len(data) <= max_bytes:
            found, low = data, quality + 1
        else:
            high = quality - 1
    return found


def _jpeg(image: Image.Image, dpi: int, mark: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(
        buffer,
        "JPEG",
        quality=quality,
        optimize=True,
        dpi=(dpi, dpi),
        icc_profile=srgb_profile(),
        comment=mark.encode(),
    )
    return buffer.getvalue()
