"""From a colour space with more range or depth than 8 bits of sRGB (HDR, linear) to sRGB.

PQ: ITU-R BT.2100 table 4. HLG: table 5, shown on a display of 1,000 cd/m2. Reference white, which becomes sRGB's white,
has 203 cd/m2 (ITU-R BT.2408). What is brighter is compressed, its hue kept; what is darker stays as it is.
"""

import io
from typing import Any, Final

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

from pipeline.formats.colour_space import ColourSpace, to_linear_srgb
from pipeline.types import Pixels

_WHITE: Final = 203.0
_HLG_PEAK: Final = 1000.0
_BAND_ROWS: Final = 64
_KNEE: Final = 0.8  # of white; only pictures with something brighter than white are compressed, from here on
_BRIGHTER: Final = 1.05  # of white; less is rounding
_RARE: Final = 1e-4  # so many pixels may be brighter and do not count as the peak
_LEVELS: Final = 4096

Floats = NDArray[np.float32]


def needs_depth(image: Image.Image, kind: str, space: ColourSpace) -> bool:
    """True if 8 bits would not do: HDR, and pictures of 16 bits that are not stored with a curve like sRGB's.

    Asked before the pixels are decoded: afterwards a PNG's depth is forgotten.
    """
    deep_png = kind == "PNG" and any("16B" in str(tile.args) for tile in getattr(image, "tile", ()))
    return space.hdr or (deep_png and space.transfer != "srgb")


def to_srgb_with_depth(data: bytes, image: Image.Image, kind: str, space: ColourSpace) -> Image.Image:
    """The picture in mode RGB or RGBA, in sRGB, from as many bits as the file has.

    Args:
        data: The file.
        image: The opened picture. Its metadata are kept.
        kind: Pillow's name of its format.
        space: What its numbers mean.
    """
    bits = int(image.info.get("bit_depth", 8))
    if kind == "HEIF" and bits > 8:
        deep = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
        values, highest = np.asarray(deep), ((1 << bits) - 1) << (16 - bits)
    else:
        image.load()
        values, highest = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB")), 255
        deeper = _deep_png(data) if kind == "PNG" else None
        if deeper is not None and deeper.dtype == np.uint16:
            values, highest = deeper, 65_535
    values = values[..., None] if values.ndim == 2 else values
    colours = values[..., :3] if values.shape[2] > 2 else np.broadcast_to(values[..., :1], (*values.shape[:2], 3))
    converted = Image.fromarray(to_8_bit_srgb(colours, highest, space))
    if values.shape[2] in (2, 4):
        alpha = values[..., -1] if values.dtype == np.uint8 else (values[..., -1] >> 8).astype(np.uint8)
        converted.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
    converted.info = {name: value for name, value in image.info.items() if name not in ("transparency", "icc_profile")}
    return converted


def _deep_png(data: bytes) -> NDArray[Any] | None:
    """The pixels of a PNG in RGB or grey, with its alpha, in its own depth: Pillow reduces colour to 8 bits."""
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim == 2:
        return values
    return np.asarray(values[..., [2, 1, 0, 3][: values.shape[2]]])


def to_8_bit_srgb(values: NDArray[Any], highest: int, space: ColourSpace) -> Pixels:
    """Converts RGB pixels to sRGB.

    Args:
        values: H x W x 3, unsigned.
        highest: The number that means full scale.
        space: What the numbers mean.
    """
    curve = _linear(np.arange(highest + 1) / highest, space.transfer).astype(np.float32)
    matrix = to_linear_srgb(space).astype(np.float32)
    peak = _peak(values, highest, curve, matrix, space) if space.hdr else 1.0
    out = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _BAND_ROWS):
        band = _band(values[top : top + _BAND_ROWS], highest, curve, matrix, space)
        out[top : top + _BAND_ROWS] = _encode(_compress(band, peak))
    return out


def _band(values: NDArray[Any], highest: int, curve: Floats, matrix: Floats, space: ColourSpace) -> Floats:
    """Linear sRGB in units of reference white."""
    linear = curve[np.minimum(values, highest)]
    if space.transfer == "hlg":  # the display's own exponent, 1.2, on luminance
        luminance = linear @ np.array([0.2627, 0.678, 0.0593], np.float32)
        linear = linear * (np.maximum(luminance, 0) ** 0.2 * (_HLG_PEAK / _WHITE))[..., None]
    return np.asarray(cv2.transform(linear, matrix), np.float32)


def _linear(code: NDArray[np.float64], transfer: float | str) -> NDArray[np.float64]:
    if transfer == "pq":
        power = code ** (32 / 2523)
        light = np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)
        return np.asarray(10_000 / _WHITE * light ** (16384 / 2610))
    if transfer == "hlg":
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    if transfer == "srgb":
        return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return np.asarray(code ** float(transfer))


def _peak(values: NDArray[Any], highest: int, curve: Floats, matrix: Floats, space: ColourSpace) -> float:
    """The brightness of the brightest pixels, in units of reference white, at a quarter of the rows and columns."""
    brightest = [
        _band(values[top : top + _BAND_ROWS : 4, ::4], highest, curve, matrix, space).max(axis=2).ravel()
        for top in range(0, len(values), _BAND_ROWS)
    ]
    return float(np.quantile(np.concatenate(brightest), 1 - _RARE))


def _compress(linear: Floats, peak: float) -> Floats:
    """Maps brightness from the knee to the peak into what is left up to white, each pixel's hue kept."""
    if peak <= _BRIGHTER:
        return linear
    brightness = np.maximum(linear.max(axis=2, keepdims=True), _KNEE)
    room, above = 1 - _KNEE, brightness - _KNEE
    end = peak - _KNEE
    # slope 1 at the knee, white at the peak
    mapped = _KNEE + room * above * (1 + above * (room / end**2)) / (room + above)
    return np.asarray(linear * np.where(brightness > _KNEE, mapped / brightness, 1))


def _encode(linear: Floats) -> Pixels:
    index = np.sqrt(np.clip(linear, 0, 1)) * (_LEVELS * 4 - 1)  # finer in the dark, where sRGB's curve is steep
    return np.asarray(_SRGB_CURVE[(index + 0.5).astype(np.uint16)])


def _srgb_curve() -> Pixels:
    light = np.linspace(0, 1, _LEVELS * 4) ** 2
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (code * 255 + 0.5).astype(np.uint8)


_SRGB_CURVE: Final = _srgb_curve()
