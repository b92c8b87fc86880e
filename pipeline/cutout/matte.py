"""Bringing a coarse mask to the edges that the picture shows: hair stays soft, and the old background stays out."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Pixels

Plane = NDArray[np.float32]
"""H x W, or H x W x channels."""

_FINE: Final = 324
_COARSE: Final = 162
"""Shorter sides in pixels of the copies on which edges are learned, and on which colours are told apart."""

_EDGE: Final = 5 / _FINE
"""Reach of the filter as a share of the shorter side: about what the network cannot resolve."""

_AROUND: Final = 16 / _COARSE
"""Reach in which the colours of what is surely the person, and of what surely is not, tell the rest apart."""

_EPSILON: Final = 5e-5
"""Variance of colour (0..1) from which a change in the picture counts as an edge."""

_SURE: Final = 0.96
_UNSURE_WEIGHT: Final = 0.1
"""What lies within a pixel of a level between 1 - sure and sure says this much of what colours the person has."""

_TRUST: Final = 3.0
"""How far a sure level withstands colours that explain little; half a level is the network's doubt and does not."""

_SMEAR: Final = 11 / _COARSE
"""What is half-transparent over more than this share of the shorter side is doubt, not hair: it goes to an end."""

_DECIDED: Final = 8.0

_STRETCH: Final = 0.03
"""The filter leaves a haze beyond the edge; levels this near to either end go to it."""


def refined(pixels: Pixels, alpha: Pixels) -> Pixels:
    """The alpha with its edges where the picture has them; both H x W, 0..255."""
    guide, plane = (_reduced(_levels(each), _FINE) for each in (pixels, alpha))
    small = _reduced(plane, _COARSE)
    change = decided(told_apart(_reduced(guide, _COARSE), small), small) - small
    plane = np.asarray(np.clip(plane + _enlarged(change, plane), 0, 1), np.float32)
    lines, _ = fitted(guide, plane, np.ones_like(plane), _pixels(_EDGE, plane))
    stretched = (_along(_enlarged(lines, alpha), _levels(pixels)) - _STRETCH) / (1 - 2 * _STRETCH)
    return np.asarray(np.round(255 * np.clip(stretched, 0, 1)), np.uint8)


def told_apart(guide: Plane, plane: Plane) -> Plane:
    """The unsure levels near the edge by the colours around it, as far as these explain the sure levels (0..1).

    The network sees 320 pixels and may be off by more than the filter reaches; what it is sure of on both sides knows
    better, unless person and background look alike.
    """
    near = np.ones((3, 3), np.uint8)
    sure = cv2.dilate((np.abs(plane - 0.5) < _SURE - 0.5).astype(np.uint8), near) == 0
    weight = np.where(sure, 1, _UNSURE_WEIGHT).astype(np.float32)
    lines, explained = fitted(guide, plane, weight, _pixels(_AROUND, plane))
    trust = np.clip(explained, 1e-3, 1) ** (_TRUST * np.abs(2 * plane - 1))
    moved = plane + trust * (np.clip(_along(lines, guide), 0, 1) - plane)
    return np.asarray(np.where(sure, plane, moved), np.float32)


def decided(plane: Plane, before: Plane) -> Plane:
    """The levels with each smear sent to the end that it is nearer to; a smear is what is wide and half-transparent
    in `before`."""
    doubt = np.asarray(1 - np.abs(2 * before - 1), np.float32)
    side = _pixels(_SMEAR, plane)
    wide = cv2.morphologyEx(doubt, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.asarray(np.clip(0.5 + (plane - 0.5) * (1 + _DECIDED * wide), 0, 1), np.float32)


def continued(pixels: Pixels, alpha: Pixels) -> Pixels:
    """The picture with the colours of its opaque part going on, softer and softer, where it is transparent."""
    known = (alpha > 250).astype(np.float32)[:, :, None]
    filled = pixels.astype(np.float32)
    colours, weight = filled * known, known
    for sigma in (4.0, 16.0, 64.0, 256.0):
        near = cv2.GaussianBlur(weight, (0, 0), sigma)[:, :, None]
        smeared = cv2.GaussianBlur(colours, (0, 0), sigma) / np.maximum(near, 1e-6)
        new = np.where(near > 0.02, 1 - weight, 0).astype(np.float32)
        filled = np.where(new > 0, smeared, filled)
        colours, weight = filled * np.maximum(weight, new), np.maximum(weight, new)
    return np.asarray(np.round(np.clip(filled, 0, 255)), np.uint8)


def fitted(guide: Plane, plane: Plane, weight: Plane, radius: int) -> tuple[Plane, Plane]:
    """Around each pixel the plane as a line of the guide's channels, as in the guided filter (He, Sun, Tang 2010).

    Gives H x W x 4 (three slopes and the offset) and the share of the plane's variance that they explain.
    """
    guides = [np.ascontiguousarray(guide[:, :, channel]) for channel in range(3)]
    mean = _mean_of(weight, 2 * radius + 1)
    means, middle = [mean(each) for each in guides], mean(plane)
    with_plane = np.stack([mean(each * plane) - own * middle for each, own in zip(guides, means, strict=True)], axis=-1)
    slopes = _solved(_covariance(guides, means, mean), with_plane)
    offset = middle - sum(slopes[..., number] * own for number, own in enumerate(means))
    explained = (slopes * with_plane).sum(axis=-1) / (mean(plane * plane) - middle * middle + 1e-3)
    result = _blurred(np.dstack([slopes, offset, explained]), 2 * radius + 1)
    return result[:, :, :4], result[:, :, 4]


def _along(lines: Plane, guide: Plane) -> Plane:
    return np.asarray(np.einsum("ijk,ijk->ij", lines[:, :, :3], guide) + lines[:, :, 3], np.float32)


def _levels(pixels: Pixels) -> Plane:
    return np.asarray(pixels.astype(np.float32) * np.float32(1 / 255), np.float32)


def _reduced(picture: Plane, side: int) -> Plane:
    """The picture with a shorter side of at most `side`."""
    scale = min(1.0, side / min(picture.shape[:2]))
    size = [max(1, round(scale * each)) for each in picture.shape[1::-1]]
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _enlarged(plane: Plane, like: NDArray[np.generic]) -> Plane:
    return np.asarray(cv2.resize(plane, like.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _pixels(share: float, plane: Plane) -> int:
    return int(max(1, round(share * min(plane.shape[:2]))))


def _blurred(plane: Plane, side: int) -> Plane:
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _mean_of(weight: Plane, side: int) -> Callable[[Plane], Plane]:
    total = _blurred(weight, side)
    return lambda plane: np.asarray(_blurred(plane * weight, side) / total, np.float32)


def _covariance(
    guides: list[Plane], means: list[Plane], mean: Callable[[Plane], Plane]
) -> dict[tuple[int, int], Plane]:
    """The upper half of the guides' covariance around each pixel, with epsilon on its diagonal."""
    return {
        (row, column): np.asarray(
            mean(guides[row] * guides[column]) - means[row] * means[column] + _EPSILON * (row == column), np.float32
        )
        for row in range(3)
        for column in range(row, 3)
    }


def _solved(matrix: dict[tuple[int, int], Plane], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Symmetric 3 x 3 systems, one a pixel, by the adjugate: far faster than a general solver on small ones."""
    a, b, c = matrix[0, 0], matrix[0, 1], matrix[0, 2]
    d, e, f = matrix[1, 1], matrix[1, 2], matrix[2, 2]
    rows = (
        (d * f - e * e, c * e - b * f, b * e - c * d),
        (c * e - b * f, a * f - c * c, b * c - a * e),
        (b * e - c * d, b * c - a * e, a * d - b * b),
    )
    determinant = a * rows[0][0] + b * rows[0][1] + c * rows[0][2]
    solution = [sum(row[number] * right[..., number] for number in range(3)) / determinant for row in rows]
    return np.stack(solution, axis=-1).astype(np.float32)
