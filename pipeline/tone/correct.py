"""Mending light and colour: little, towards a range and never to a point, judged by the person's pixels only."""

from collections.abc import Callable
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.tone import measure
from pipeline.tone.measure import Floats, Light, Mask
from pipeline.types import Pixels, Points

Correction = Callable[[Pixels], Pixels]

_SOLID: Final = 240
"""Alpha from which a pixel is surely the person's."""

_MOST_WARM: Final = 0.5
_GAMMA: Final = (0.45, 1.0)

_BRIGHT_SKIN: Final = 80.0
"""CIELAB lightness above which skin is taken back: it is about to lose its form."""

_CHROMA: Final = (9.0, 46.0)
"""CIELAB chroma of skin; duller or gaudier skin is brought to the near end, by a sixth at most."""

_BLACK: Final = 40
"""The person's darkest hundredth may be this bright; above, a veil lies over the picture."""

_NOISE: Final = 3.0
"""Standard deviation in levels from which noise is taken out."""

_SHARPEN: Final = 0.3


def skin_of(landmarks: Points, shape: tuple[int, ...], alpha: Pixels) -> Mask:
    """Where the face is: the hull of the landmarks (output pixels), where the person is solid."""
    hull = cv2.convexHull(np.round(landmarks).astype(np.int32))
    area = cv2.fillConvexPoly(np.zeros(shape[:2], np.uint8), hull, 255)
    return (np.asarray(area) > 0) & (alpha > _SOLID)


def improve(
    pixels: Pixels, alpha: Pixels, skin: Mask, *, grey: bool, scale: float, judged: Pixels | None = None
) -> Pixels:
    """The picture in better light. Good light stays; grey stays grey.

    `scale`: output pixels per photo pixel; what was enlarged has nothing to sharpen. `judged`: the picture before its
    faces were restored, from which all is measured; so a restored face changes nothing but itself.
    """
    if np.count_nonzero(skin) < 64:
        return pixels
    judged = pixels if judged is None else judged
    for step in _steps(alpha, skin, grey=grey, sharpen=_SHARPEN * min(1.0, 1 / scale) ** 2):
        correct = step(judged)
        corrected = correct(pixels)
        judged = corrected if judged is pixels else correct(judged)
        pixels = corrected
    return pixels


def _steps(alpha: Pixels, skin: Mask, *, grey: bool, sharpen: float) -> tuple[Callable[[Pixels], Correction], ...]:
    """What measures a picture as it is after the step before, and gives the correction that it calls for."""
    person = alpha > _SOLID
    colour = () if grey else (partial(_colouring, skin=skin),)
    return (
        lambda seen: partial(_lit, found=measure.measure(seen, person, skin), grey=grey),
        partial(_unveiling, person=person),
        *colour,
        partial(_denoising, skin=skin, grey=grey),
        lambda _: partial(sharpened, alpha=alpha, amount=sharpen),
    )


def _as_it_is(pixels: Pixels) -> Pixels:
    return pixels


def _by_table(table: Pixels) -> Correction:
    return lambda pixels: np.asarray(cv2.LUT(pixels, table), np.uint8)


def _lit(pixels: Pixels, found: Light, *, grey: bool) -> Pixels:
    """White balance by gains in linear light, exposure by one gamma for all channels: nothing is blown out."""
    if not grey and found.warm:
        pixels = _balanced(pixels, float(np.clip(found.warm, -_MOST_WARM, _MOST_WARM)))
    exponent = _exponent(found)
    if exponent == 1.0:
        return pixels
    table = np.round(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return _by_table(table)(pixels)


def _balanced(pixels: Pixels, warm: float) -> Pixels:
    levels = measure.linear(np.arange(256))[:, None] * measure.gains(warm)
    return _by_table(measure.encoded(_rolled_off(levels)).reshape(1, 256, 3))(pixels)


def _rolled_off(levels: NDArray[np.floating]) -> NDArray[np.floating]:
    """Above 0.8 softly towards 1, so that a gain blows nothing out."""
    over = np.maximum(levels - 0.8, 0)
    most = np.maximum(over[-1], 1e-6)
    share = np.where(most > 0.2, 0.2 / most, 1.0)
    return np.asarray(np.minimum(levels, 0.8) + over * share)


def _exponent(found: Light) -> float:
    """The gamma that takes the skin's lightness where it belongs, at most as far as well-lit skin."""
    now = min(max(found.skin[0] / 100, 0.05), 0.95)
    # CIELAB lightness is about the cube root of light
    brighter = min(now * np.exp(found.dark / 3), max(now, 0.62))
    wanted = brighter if found.dark > 0 else min(now, _BRIGHT_SKIN / 100)
    return float(np.clip(np.log(wanted) / np.log(now), _GAMMA[0], 1.6))


def _unveiling(seen: Pixels, person: Mask) -> Correction:
    """Contrast for a picture under a veil: half of what its blacks are too bright is taken off."""
    darkest = float(np.percentile(seen[person][::4].max(axis=1), 1))  # every fourth pixel says as much
    if darkest <= _BLACK:
        return _as_it_is
    black = (darkest - _BLACK) / 2
    return _by_table(np.round(np.clip((np.arange(256) - black) * 255 / (255 - black), 0, 255)).astype(np.uint8))


def _colouring(seen: Pixels, skin: Mask) -> Correction:
    _, a, b = measure.skin_colour(seen[skin])
    chroma = max(float(np.hypot(a, b)), 1.0)
    factor = float(np.clip(np.clip(chroma, *_CHROMA) / chroma, 5 / 6, 7 / 6))
    return _as_it_is if abs(factor - 1) < 0.01 else partial(_coloured, factor=factor)


def _coloured(pixels: Pixels, factor: float) -> Pixels:
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return _from_lab(np.asarray(lab * np.array([1, factor, factor]), np.float32))


def _from_lab(lab: Floats) -> Pixels:
    return np.asarray(np.round(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1) * 255), np.uint8)


def _denoising(seen: Pixels, skin: Mask, *, grey: bool) -> Correction:
    sigma = _noise(seen, skin)
    return _as_it_is if sigma < _NOISE else partial(_denoised, strength=min(sigma, 10.0), grey=grey)


def _denoised(pixels: Pixels, strength: float, *, grey: bool) -> Pixels:
    if grey:
        calm = cv2.fastNlMeansDenoising(np.ascontiguousarray(pixels[:, :, 1]), None, 0.6 * strength, 5, 11)
        return np.repeat(np.asarray(calm, np.uint8)[:, :, None], 3, axis=2)
    return np.asarray(cv2.fastNlMeansDenoisingColored(pixels, None, 0.6 * strength, 0.9 * strength, 5, 11), np.uint8)


def _noise(pixels: Pixels, where: Mask) -> float:
    """Standard deviation of the noise in levels (Immerkaer 1996: a Laplacian of a Laplacian hardly sees edges)."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey, -1, kernel))[where]
    return float(np.median(response) / (6 * 0.6745)) if response.size else 0.0


def sharpened(pixels: Pixels, alpha: Pixels, amount: float) -> Pixels:
    """Unsharp mask on lightness, held inside the range of the neighbours, so that no edge gets a rim."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sharp = grey + amount * (grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
    near = np.ones((3, 3), np.uint8)
    sharp = np.clip(sharp, cv2.erode(grey, near), cv2.dilate(grey, near))
    inside = cv2.erode(alpha, near, iterations=2).astype(np.float32) / 255
    moved = pixels + ((sharp - grey) * inside)[:, :, None]
    return np.asarray(np.clip(np.round(moved), 0, 255), np.uint8)
