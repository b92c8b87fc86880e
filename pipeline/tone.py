"""Light and colour of a portrait: little, towards a range and never to a point, from the person's pixels only."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.portrait import Pixels, Points

Floats = NDArray[np.float32]

_LIGHTNESS: Final = (48.0, 72.0)
"""CIELAB lightness of well-lit skin; nothing is done inside this range."""

_HUE: Final = (38.0, 66.0)
"""CIELAB hue in degrees of skin under neutral light, of every tone."""

_BRIGHT: Final = 225.0
"""A photo whose brightest parts reach this level is not dark, however dark its skin."""

_NOISE: Final = 3.0
"""Standard deviation in levels from which noise is taken out."""


def skin_of(landmarks: Points, shape: tuple[int, ...], alpha: Pixels) -> NDArray[np.bool_]:
    """Cheeks and nose: the landmarks' hull without its rim, where the person is solid. `landmarks` in output pixels."""
    hull = cv2.convexHull(np.round(landmarks).astype(np.int32))
    area = cv2.fillConvexPoly(np.zeros(shape[:2], np.uint8), hull, 255)
    return (np.asarray(area) > 0) & (alpha > 240)


def improve(pixels: Pixels, alpha: Pixels, skin: NDArray[np.bool_], *, grey: bool) -> Pixels:
    """The picture in better light. Good light stays; grey stays grey; sharpening is for the output's size."""
    if skin.sum() < 64:
        return pixels
    person = alpha > 240
    if not grey:
        pixels = _balanced(pixels, skin)
    pixels = _exposed(pixels, person, skin)
    return _sharpened(_denoised(pixels, skin), alpha)


def _lab(pixels: Pixels, where: NDArray[np.bool_]) -> Floats:
    """N x 3: L 0..100, a, b of the pixels `where`."""
    chosen = pixels[where].reshape(-1, 1, 3).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(chosen, cv2.COLOR_RGB2LAB), np.float32).reshape(-1, 3)


def _skin_colour(pixels: Pixels, skin: NDArray[np.bool_]) -> Floats:
    """Median Lab of the skin without its darkest and brightest fifth (eyes, brows, glare)."""
    lab = _lab(pixels, skin)
    low, high = np.percentile(lab[:, 0], (20, 80))
    middle = lab[(lab[:, 0] >= low) & (lab[:, 0] <= high)]
    return np.asarray(np.median(middle, axis=0), np.float32)


def _balanced(pixels: Pixels, skin: NDArray[np.bool_]) -> Pixels:
    """Red and blue gains, a step at a time, until the skin's hue is inside its range."""
    balanced = pixels
    for step in range(1, 13):
        _, a, b = _skin_colour(balanced, skin)
        hue = float(np.degrees(np.arctan2(b, a)))
        if np.hypot(a, b) < 4 or _HUE[0] <= hue <= _HUE[1]:
            return balanced
        warmer = 0.015 * step * (1 if hue < _HUE[0] else -1)
        balanced = _gained(pixels, np.array([1.0, 1.0 + warmer / 2, 1.0 - warmer]))
    return balanced


def _exposed(pixels: Pixels, person: NDArray[np.bool_], skin: NDArray[np.bool_]) -> Pixels:
    """One gamma for all channels that brings the skin's lightness to the near end of its range, by half the way."""
    lightness = float(_skin_colour(pixels, skin)[0])
    brightest = float(np.percentile(pixels[person].max(axis=1), 98))
    if lightness < _LIGHTNESS[0] and brightest < _BRIGHT:
        return _gamma(pixels, lightness, _LIGHTNESS[0])
    if lightness > _LIGHTNESS[1]:
        return _gamma(pixels, lightness, _LIGHTNESS[1])
    return pixels


def _gamma(pixels: Pixels, lightness: float, target: float) -> Pixels:
    exponent = np.clip(np.log(target / 100) / np.log(max(lightness, 5.0) / 100), 0.5, 1.4)
    table = np.round(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return np.asarray(cv2.LUT(pixels, table), np.uint8)


def _gained(pixels: Pixels, gains: NDArray[np.float64]) -> Pixels:
    """Gains in linear light, scaled so that nothing is blown out."""
    linear = (np.arange(256) / 255) ** 2.2
    tables = np.clip(linear[:, None] * (gains / gains.max()), 0, 1) ** (1 / 2.2)
    return np.asarray(cv2.LUT(pixels, np.round(255 * tables).astype(np.uint8).reshape(1, 256, 3)), np.uint8)


def _denoised(pixels: Pixels, skin: NDArray[np.bool_]) -> Pixels:
    sigma = _noise(pixels, skin)
    if sigma < _NOISE:
        return pixels
    strength = float(min(sigma, 10.0))
    return np.asarray(cv2.fastNlMeansDenoisingColored(pixels, None, strength * 0.6, strength * 0.9, 5, 11), np.uint8)


def _noise(pixels: Pixels, where: NDArray[np.bool_]) -> float:
    """Standard deviation of the noise (Immerkaer 1996: the Laplacian of a Laplacian sees noise and hardly edges)."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey, -1, kernel))[where]
    return float(np.median(response) / (6 * 0.6745)) if response.size else 0.0


def _sharpened(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Unsharp mask on lightness only, held inside the local range, so that no edge gets a rim."""
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    light = lab[:, :, 0].astype(np.float32)
    sharp = light + 0.5 * (light - cv2.GaussianBlur(light, (0, 0), 1.0))
    kernel = np.ones((3, 3), np.uint8)
    sharp = np.clip(sharp, cv2.erode(light, kernel) - 2, cv2.dilate(light, kernel) + 2)
    inside = cv2.erode(alpha, kernel, iterations=2).astype(np.float32) / 255
    lab[:, :, 0] = np.clip(np.round(light + (sharp - light) * inside), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)
