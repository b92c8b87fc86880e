"""Colour management: from a file's colours to sRGB, and whether a picture is grey."""

import io
import struct
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image, ImageCms

from pipeline.formats.colour_space import ColourSpace, to_xyz
from pipeline.types import Pixels

_MAX_PROFILE_BYTES: Final = 4 * 1024 * 1024  # the largest printing profiles in use have about 3 MB
_SPACES: Final = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
_IDENTITY_TOLERANCE: Final = 2  # levels; profiles that mean sRGB differ from lcms's own by rounding only

_GREY_MEAN_SQUARE: Final = 10.0  # levels squared: what lossy coding of a grey photo leaves stays below, sepia does not
_GREY_SPREAD: Final = 16  # levels; a pixel with more is coloured,
_GREY_COLOURED: Final = 0.001  # and where one in a thousand is, there may be a face in a large white picture
_SAMPLE_ABOVE: Final = 1_000_000  # pixels; above, every 4th in both directions is looked at


class _ProfileError(ValueError):
    """The profile cannot be used for these pixels."""


def to_srgb(image: Image.Image, profile: object) -> tuple[Image.Image, bool]:
    """Converts a picture to sRGB: relative colorimetric, with black point compensation.

    Args:
        image: In mode L, RGB, CMYK or LAB. May be changed in place, unless its profile means sRGB.
        profile: The ICC profile as Pillow read it: bytes, or None if it was damaged.

    Returns:
        The picture in mode RGB or L, and whether its profile had to be ignored.
    """
    if image.mode == "LAB":
        return _apply_transform(image, _lab_transform()), False
    try:
        return _convert_by_profile(image, profile), False
    except (_ProfileError, ImageCms.PyCMSError):
        return to_rgb(image), True


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture in mode RGB or L by Pillow's arithmetic, without a profile."""
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _convert_by_profile(image: Image.Image, profile: object) -> Image.Image:
    if not isinstance(profile, bytes) or not 128 <= len(profile) <= _MAX_PROFILE_BYTES:
        raise _ProfileError
    transform, mode = _srgb_transform(profile)
    if image.mode != mode:
        if (image.mode, mode) != ("L", "RGB"):
            raise _ProfileError
        image = image if transform is None else image.convert("RGB")  # grey in the tone curve of an RGB space
    return image if transform is None else _apply_transform(image, transform)


def _apply_transform(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    if image.mode == "RGB":
        ImageCms.applyTransform(image, transform, inPlace=True)
        return image
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # noqa: S101 - None is for inPlace only
    return converted


@lru_cache(maxsize=4)  # photos come in series from one camera; the key holds the profile, so few
def _srgb_transform(profile: bytes) -> tuple[ImageCms.ImageCmsTransform | None, str]:
    """The transform to sRGB, None if the profile means sRGB, and the mode of the pixels that it is for."""
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        mode = _SPACES[source.profile.xcolor_space.strip()]
    except (OSError, KeyError, ImageCms.PyCMSError) as error:
        raise _ProfileError from error
    transform = _build_transform(source, mode)
    return (None if _is_identity(transform, mode) else transform), mode


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return _build_transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def _build_transform(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _is_identity(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Tested on colours all over the space, because sRGB profiles have countless names and digests."""
    if mode == "CMYK":
        return False
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    if mode == "L":
        colours = np.repeat(levels[None, :, None], 3, axis=2)
        image = Image.fromarray(levels[None])
    else:
        colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
        image = Image.fromarray(colours)
    after = np.asarray(ImageCms.applyTransform(image, transform), dtype=np.int16)
    return int(np.abs(after - colours).max()) <= _IDENTITY_TOLERANCE


@lru_cache(maxsize=4)
def rgb_profile(space: ColourSpace) -> bytes:
    """An ICC profile (version 4, matrix and curves) of a space that a file only names. Not for HDR."""
    if space.transfer == "srgb":
        curve = b"para\0\0\0\0\0\3\0\0" + _s15_fixed16(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    else:
        curve = b"para\0\0\0\0\0\0\0\0" + _s15_fixed16(float(space.transfer))
    red, green, blue = to_xyz(space).T.tolist()
    tags = {
        b"desc": b"mluc" + struct.pack(">4xII4sII", 1, 12, b"enUS", 6, 28) + "RGB".encode("utf-16-be") + b"\0\0",
        b"wtpt": b"XYZ \0\0\0\0" + _s15_fixed16(0.9642, 1.0, 0.8249),
        b"rXYZ": b"XYZ \0\0\0\0" + _s15_fixed16(*red),
        b"gXYZ": b"XYZ \0\0\0\0" + _s15_fixed16(*green),
        b"bXYZ": b"XYZ \0\0\0\0" + _s15_fixed16(*blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(value))
        body += value
    head = struct.pack(">I4xI4s4s4s12x4s28x", start + len(body), 0x04000000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return head + _s15_fixed16(0.9642, 1.0, 0.8249) + bytes(48) + struct.pack(">I", len(tags)) + table + body


def _s15_fixed16(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def is_grey(pixels: Pixels) -> bool:
    """True if the picture (H x W x 3) has no colour.

    The channels differ by over 16 levels in fewer than 1 pixel in 1,000, and elsewhere by at most 10 levels squared on
    average.
    """
    if pixels.shape[0] * pixels.shape[1] > _SAMPLE_ABOVE:
        pixels = pixels[::4, ::4]
    lowest, highest = pixels[..., 0].copy(), pixels[..., 0].copy()
    for channel in (1, 2):
        np.minimum(lowest, pixels[..., channel], out=lowest)
        np.maximum(highest, pixels[..., channel], out=highest)
    calm = highest - lowest <= _GREY_SPREAD
    if float(calm.mean()) <= 1 - _GREY_COLOURED:
        return False
    red, green, blue = pixels[calm].T.astype(np.int16)
    squares = [np.square(difference).mean() for difference in (red - green, green - blue, blue - red)]
    return float(sum(squares)) / 3 <= _GREY_MEAN_SQUARE
