"""Tone correction: exposure, white balance, contrast, chroma, noise and sharpness.

It corrects little, towards a range and never to a point, and measures the person's pixels only.
"""

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
"""Alpha above which a pixel surely belongs to the person."""

_MAX_WARM: Final = 0.5
"""The largest shift along the daylight line that is taken back."""

_GAMMA: Final = (0.45, 1.6)
"""Smallest and largest gamma."""

_BRIGHT_SKIN: Final = 80.0
"""CIELAB lightness above which skin is darkened: it is about to lose its form."""

_CHROMA: Final = (9.0, 46.0)
"""CIELAB chroma of skin; duller or more colourful skin is brought to the nearer end, by a sixth at most."""

_BLACK: Final = 40
"""The level that the person's darkest hundredth may have; if it is brighter, a veil lies over the picture."""

_NOISE: Final = 3.0
"""Standard deviation in levels from which noise is removed."""

_SHARPEN: Final = 0.3
"""Amount of the unsharp mask."""


def skin_mask(landmarks: Points, shape: tuple[int, ...], alpha: Pixels) -> Mask:
    """The face's skin: inside the hull of the landmarks (output pixels), where the person is opaque. H x W of bool."""
    hull = cv2.convexHull(np.round(landmarks).astype(np.int32))
    area = cv2.fillConvexPoly(np.zeros(shape[:2], np.uint8), hull, 255)
    return (np.asarray(area) > 0) & (alpha > _SOLID)


def correct_tone(
    pixels: Pixels, alpha: Pixels, skin: Mask, *, grey: bool, scale: float, reference: Pixels | None = None
) -> Pixels:
    """The portrait with its tone corrected. Good light stays as it is; grey stays grey.

    Args:
        pixels: H x W x 3, RGB.
        alpha: H x W, 0..255.
        skin: H x W of bool. With fewer than 64 pixels nothing is corrected.
        grey: Whether the photo has no colour.
        scale: Output pixels per photo pixel: what was enlarged has little to sharpen.
        reference: The portrait before its faces were restored. All is measured on it, so that a restored face changes
            nothing but itself.

    Returns:
        H x W x 3, RGB.
    """
    if np.count_nonzero(skin) < 64:
        return pixels
    reference = pixels if reference is None else reference
    for step in _steps(alpha, skin, grey=grey, sharpness=_SHARPEN * min(1.0, 1 / scale) ** 2):
        correct = step(reference)
        corrected = correct(pixels)
        reference = corrected if reference is pixels else correct(reference)
        pixels = corrected
    return pixels


def _steps(alpha: Pixels, skin: Mask, *, grey: bool, sharpness: float) -> tuple[Callable[[Pixels], Correction], ...]:
    """Functions that measure the picture as the step before left it, and return the correction that it needs."""
    person = alpha > _SOLID
    chroma = () if grey else (partial(_chroma_correction, skin=skin),)
    return (
        lambda seen: partial(_correct_light, found=measure.measure(seen, person, skin), grey=grey),
        partial(_black_point_correction, person=person),
        *chroma,
        partial(_noise_correction, skin=skin, grey=grey),
        lambda _: partial(sharpen, alpha=alpha, amount=sharpness),
    )


def _unchanged(pixels: Pixels) -> Pixels:
    return pixels


def _lookup(table: Pixels) -> Correction:
    return lambda pixels: np.asarray(cv2.LUT(pixels, table), np.uint8)


def _correct_light(pixels: Pixels, found: Light, *, grey: bool) -> Pixels:
    """White balance by gains in linear light, exposure by one gamma for all channels: no highlight is clipped."""
    if not grey and found.warm:
        pixels = _white_balance(pixels, float(np.clip(found.warm, -_MAX_WARM, _MAX_WARM)))
    gamma = _gamma_for(found)
    if gamma == 1.0:
        return pixels
    table = np.round(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return _lookup(table)(pixels)


def _white_balance(pixels: Pixels, warm: float) -> Pixels:
    levels = measure.linear(np.arange(256))[:, None] * measure.gains(warm)
    return _lookup(measure.encoded(_roll_off(levels)).reshape(1, 256, 3))(pixels)


def _roll_off(levels: NDArray[np.floating]) -> NDArray[np.floating]:
    """Compresses levels above 0.8 softly towards 1, so that a gain clips no highlight."""
    over = np.maximum(levels - 0.8, 0)
    most = np.maximum(over[-1], 1e-6)
    share = np.where(most > 0.2, 0.2 / most, 1.0)
    return np.asarray(np.minimum(levels, 0.8) + over * share)


def _gamma_for(found: Light) -> float:
    """The gamma that brings the skin's lightness into its range, at most as far as that of well-lit skin."""
    now = min(max(found.skin[0] / 100, 0.05), 0.95)
    # CIELAB lightness is about the cube root of light
    brighter = min(now * np.exp(found.dark / 3), max(now, 0.62))
    wanted = brighter if found.dark > 0 else min(now, _BRIGHT_SKIN / 100)
    return float(np.clip(np.log(wanted) / np.log(now), *_GAMMA))


def _black_point_correction(seen: Pixels, person: Mask) -> Correction:
    """Contrast for a picture under a veil: removes half of what its blacks are too bright by."""
    darkest = float(np.percentile(seen[person][::4].max(axis=1), 1))  # every fourth pixel says as much
    if darkest <= _BLACK:
        return _unchanged
    black = (darkest - _BLACK) / 2
    return _lookup(np.round(np.clip((np.arange(256) - black) * 255 / (255 - black), 0, 255)).astype(np.uint8))


def _chroma_correction(seen: Pixels, skin: Mask) -> Correction:
    _, a, b = measure.skin_colour(seen[skin])
    chroma = max(float(np.hypot(a, b)), 1.0)
    factor = float(np.clip(np.clip(chroma, *_CHROMA) / chroma, 5 / 6, 7 / 6))
    return _unchanged if abs(factor - 1) < 0.01 else partial(_scale_chroma, factor=factor)


def _scale_chroma(pixels: Pixels, factor: float) -> Pixels:
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return _lab_to_rgb(np.asarray(lab * np.array([1, factor, factor]), np.float32))


def _lab_to_rgb(lab: Floats) -> Pixels:
    return np.asarray(np.round(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1) * 255), np.uint8)


def _noise_correction(seen: Pixels, skin: Mask, *, grey: bool) -> Correction:
    sigma = _noise_sigma(seen, skin)
    return _unchanged if sigma < _NOISE else partial(_denoise, strength=min(sigma, 10.0), grey=grey)


def _denoise(pixels: Pixels, strength: float, *, grey: bool) -> Pixels:
    if grey:
        smooth = cv2.fastNlMeansDenoising(np.ascontiguousarray(pixels[:, :, 1]), None, 0.6 * strength, 5, 11)
        return np.repeat(np.asarray(smooth, np.uint8)[:, :, None], 3, axis=2)
    return np.asarray(cv2.fastNlMeansDenoisingColored(pixels, None, 0.6 * strength, 0.9 * strength, 5, 11), np.uint8)


def _noise_sigma(pixels: Pixels, where: Mask) -> float:
    """Standard deviation of the noise in levels (Immerkaer 1996: a difference of two Laplacians hardly sees edges)."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey, -1, kernel))[where]
    return float(np.median(response) / (6 * 0.6745)) if response.size else 0.0


def sharpen(pixels: Pixels, alpha: Pixels, amount: float) -> Pixels:
    """Unsharp mask on lightness, limited to the range of the neighbours so that no edge gets a halo."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sharp = grey + amount * (grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
    near = np.ones((3, 3), np.uint8)
    sharp = np.clip(sharp, cv2.erode(grey, near), cv2.dilate(grey, near))
    inside = cv2.erode(alpha, near, iterations=2).astype(np.float32) / 255
    moved = pixels + ((sharp - grey) * inside)[:, :, None]
    return np.asarray(np.clip(np.round(moved), 0, 255), np.uint8)
