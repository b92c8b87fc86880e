"""Measures how dark and how warm the light of a portrait is. The corrections are in correct.py.

Skin is no measure of light, because skins differ: the light is estimated from what is brightest on the person, and the
skin only limits the correction. The constants were fitted on 132 portraits in ordinary good light. The error of an
estimate on good portraits is its threshold: less than that is left alone, and of more only the excess is corrected. So
good light stays as it is.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Pixels

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LUMINANCE: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB (IEC 61966-2-1)

_DARK_FROM: Final = 0.45
"""How far below white (natural log) the brightest half percent of a well-lit person may be: eyes, teeth, a collar."""

_DAYLIGHT: Final = np.array([0.45, 0.0, -0.9])
"""How red and blue move (natural log) when light turns warmer by 1 along the daylight line."""

_LIGHTS: Final = np.array([0.29, 0.0, -0.035])
"""Log of red and blue to green in the person's brighter parts (Minkowski norm 6: "Shades of Gray", Finlayson and
Trezzi 2004)."""

_WARM_FROM: Final = 0.08

_YELLOW: Final = 18.0, 24.0
"""CIELAB b* of skin, dark or light: yellow may be removed down to the first, and added up to the second."""

_SAMPLED: Final = 4
"""Only every fourth pixel is measured: it says as much about the brightest parts, in a quarter of the time."""


@dataclass(frozen=True, slots=True)
class Light:
    """Estimates, less their thresholds; 0 is good light.

    `dark`: natural log of the exposure that is missing. `warm`: shift along the daylight line, +-0.25 is a room lit by
    bulbs or a cloudy sky. `skin`: median CIELAB of the skin.
    """

    dark: float
    warm: float
    skin: tuple[float, float, float]


def measure(pixels: Pixels, person: Mask, skin: Mask) -> Light:
    """Measures the light.

    Args:
        pixels: H x W x 3, RGB.
        person: H x W of bool: pixels that surely belong to the person.
        skin: H x W of bool, with at least 64 pixels.
    """
    whole, colour = pixels[person][::_SAMPLED], skin_colour(pixels[skin])
    return Light(_underexposure(whole), _limit_by_skin(_warm_shift(linear(whole)), colour), colour)


def gains(warm: float | NDArray[np.floating]) -> NDArray[np.float64]:
    """Gains of linear red, green and blue that undo a shift and keep the luminance: 3, or N x 3 for N shifts."""
    each = np.exp(-np.multiply.outer(warm, _DAYLIGHT))
    return np.asarray(each / (each @ _LUMINANCE)[..., None])


def linear(pixels: NDArray[np.generic]) -> Floats:
    """sRGB 0..255 to linear light 0..1 (IEC 61966-2-1)."""
    encoded = pixels.astype(np.float32) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def encoded(light: NDArray[np.floating]) -> Pixels:
    """Linear light 0..1 to sRGB 0..255, rounded (IEC 61966-2-1)."""
    light = np.clip(light, 0, 1)
    srgb = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(srgb * 255), np.uint8)


def skin_colour(skin: Pixels) -> tuple[float, float, float]:
    """Median CIELAB of N x 3 pixels without their darkest and brightest fifth (brows, eyes, glare)."""
    lab = np.median(_without_extremes(skin), axis=0)
    return float(lab[0]), float(lab[1]), float(lab[2])


def _without_extremes(skin: Pixels) -> Floats:
    lab = cv2.cvtColor(skin.reshape(-1, 1, 3).astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    low, high = np.percentile(lab[:, 0], (20, 80))
    return np.asarray(lab[(lab[:, 0] >= low) & (lab[:, 0] <= high)], np.float32)


def _underexposure(whole: Pixels) -> float:
    brightest = float(linear(np.asarray(np.percentile(whole.max(axis=1), 99.5))))
    return max(-float(np.log(max(brightest, 1e-3))) - _DARK_FROM, 0.0)


def _warm_shift(whole: Floats) -> float:
    """The shift along the daylight line; positive if blue is missing."""
    lights = np.maximum((whole.astype(np.float64) ** 6).mean(axis=0) ** (1 / 6), 1e-4)
    shift = float((np.log(lights / lights[1]) - _LIGHTS) @ _DAYLIGHT / (_DAYLIGHT @ _DAYLIGHT))
    return float(np.sign(shift)) * max(abs(shift) - _WARM_FROM, 0.0)


def _limit_by_skin(warm: float, colour: tuple[float, float, float]) -> float:
    """As much of the shift as the skin's yellow allows; none if it is at its bound or beyond."""
    skin = cv2.cvtColor(np.array([[colour]], np.float32), cv2.COLOR_LAB2LRGB)[0]
    shares = np.linspace(warm, 0, 21)
    balanced = cv2.cvtColor((skin * gains(shares)).astype(np.float32)[None], cv2.COLOR_LRGB2LAB)
    yellow = balanced[0, :, 2]
    fits = yellow >= _YELLOW[0] if warm > 0 else yellow <= _YELLOW[1]
    return float(shares[fits.argmax()]) if fits.any() else 0.0
