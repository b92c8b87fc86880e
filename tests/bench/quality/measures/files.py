"""Measures of the files as they are written. Pure: bytes in."""

import io

import numpy as np
from PIL import Image, ImageCms

LIMIT = 99 * 1024


def in_order(data: bytes) -> bool:
    """Whether the file says 300 dpi and sRGB, has no EXIF and, if a JPEG, at most 99 KB (1 KB is 1,024 bytes)."""
    image = Image.open(io.BytesIO(data))
    image.load()
    small = image.format != "JPEG" or len(data) <= LIMIT
    resolution = all(abs(float(value) - 300) < 0.5 for value in image.info.get("dpi", (0, 0)))
    return bool(small and resolution and _srgb(image) and not image.getexif() and "exif" not in image.info)


def _srgb(image: Image.Image) -> bool:
    profile = image.info.get("icc_profile")
    if profile is None:
        return "srgb" in image.info
    return "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of two pictures in 8-bit levels."""
    return float(np.abs(one.astype(np.int16) - other).mean())
