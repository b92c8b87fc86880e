"""What a portrait says of its light: how dark, how warm, how flat. Pure measures; the corrections are in tone.py.

The constants were fitted on 132 portraits in ordinary good light: for each cue its value there, and the weights of the
linear estimate that such portraits disturb least. What the estimate may be off by on a good portrait is its threshold:
less than that is left alone, and of more only the rest is taken back. So good light stays as it is.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.portrait import Pixels

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LUMINANCE: Final = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB (IEC 61966-2-1)

_DARK_CUES: Final = np.array([-1.35, -0.47, -0.37])
_DARK_WEIGHTS: Final = np.array([0.07, 0.43, 0.50])
_DARK_FROM: Final = 0.5
_DARK_SHARE: Final = 0.9
"""Log luminance of the skin's middle, of the face's brightest parts (eyes, teeth), of the person's brightest parts."""

_BLUE_OF_SKIN: Final = -0.33
_BLUE_OF_LIGHTS: Final = -0.034
_WARM_WEIGHTS: Final = np.array([0.14, 0.97])
_WARM_FROM: Final = 0.05
"""Log of blue to green, of the skin and of the person's brighter parts (Minkowski norm 6, "shades of grey")."""


_SAMPLED: Final = 4
"""Every fourth pixel says as much of the person's brightest parts, in a quarter of the time."""


@dataclass(frozen=True, slots=True)
class Light:
    """Estimates, already less their thresholds; 0 is good light.

    `dark`: natural log of the exposure that is missing. `warm`: shift along the daylight line, +-0.25 is a room lit by
    bulbs or a cloudy sky. `skin`: median CIELAB of the skin.
    """

    dark: float
    warm: float
    skin: tuple[float, float, float]


def measure(pixels: Pixels, person: Mask, skin: Mask) -> Light:
    """From the pixels that are surely the person's, and those of the skin (at least 64)."""
    face, whole = linear(pixels[skin]), linear(pixels[person][::_SAMPLED])
    return Light(_dark(face, whole), _warm(pixels[skin], whole), skin_colour(pixels[skin]))


def linear(pixels: NDArray[np.generic]) -> Floats:
    """sRGB 0..255 to linear light 0..1."""
    encoded = pixels.astype(np.float32) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4).astype(np.float32)


def encoded(light: NDArray[np.floating]) -> Pixels:
    """Linear light 0..1 to sRGB 0..255, rounded."""
    light = np.clip(light, 0, 1)
    srgb = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(srgb * 255), np.uint8)


def skin_colour(skin: Pixels) -> tuple[float, float, float]:
    """Median CIELAB of N x 3 pixels without their darkest and brightest fifth (brows, eyes, glare)."""
    lab = np.median(_middle(skin), axis=0)
    return float(lab[0]), float(lab[1]), float(lab[2])


def _middle(skin: Pixels) -> Floats:
    lab = cv2.cvtColor(skin.reshape(-1, 1, 3).astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    low, high = np.percentile(lab[:, 0], (20, 80))
    return np.asarray(lab[(lab[:, 0] >= low) & (lab[:, 0] <= high)], np.float32)


def _dark(face: Floats, whole: Floats) -> float:
    on_face, on_person = face @ _LUMINANCE, whole @ _LUMINANCE
    seen = np.array([np.median(on_face), np.percentile(on_face, 98), np.percentile(on_person, 98)])
    missing = float(_DARK_WEIGHTS @ (_DARK_CUES - np.log(np.maximum(seen, 1e-3))))
    return _DARK_SHARE * max(missing - _DARK_FROM, 0.0)


def _warm(skin: Pixels, whole: Floats) -> float:
    """Positive where blue is missing."""
    of_skin = linear(np.median(skin, axis=0))
    of_lights = (whole.astype(np.float64) ** 6).mean(axis=0) ** (1 / 6)
    blue = np.array([_blue(of_skin) - _BLUE_OF_SKIN, _blue(of_lights) - _BLUE_OF_LIGHTS])
    shift = -float(_WARM_WEIGHTS @ blue)
    return float(np.sign(shift)) * max(abs(shift) - _WARM_FROM, 0.0)


def _blue(colour: NDArray[np.floating]) -> float:
    return float(np.log(max(colour[2], 1e-4) / max(colour[1], 1e-4)))
