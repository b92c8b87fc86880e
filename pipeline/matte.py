"""Bringing a coarse mask to the edges that the picture shows: hair stays soft, and the old background stays out."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.portrait import Pixels

Plane = NDArray[np.float32]
"""H x W."""

_RADIUS: Final = 12 / 648
"""Reach of the filter as a share of the shorter side: about what the network cannot resolve."""

_EPSILON: Final = 1e-4
"""Variance of colour (0..1) from which a change in the picture counts as an edge."""

_STRETCH: Final = 0.03
"""The filter leaves a haze beyond the edge; levels this near to either end go to it."""


def refined(pixels: Pixels, alpha: Pixels) -> Pixels:
    """The alpha with its edges where the picture has them; both H x W, 0..255."""
    radius = max(1, round(_RADIUS * min(alpha.shape)))
    guide = [np.ascontiguousarray(plane) for plane in np.moveaxis(pixels.astype(np.float32) / 255, 2, 0)]
    plane = np.asarray(alpha.astype(np.float32) / 255, np.float32)
    filtered = guided(guide, plane, radius, _EPSILON)
    stretched = (filtered - _STRETCH) / (1 - 2 * _STRETCH)
    return np.asarray(np.round(255 * np.clip(stretched, 0, 1)), np.uint8)


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


def guided(guide: list[Plane], plane: Plane, radius: int, epsilon: float) -> Plane:
    """The guided filter with three guides (He, Sun, Tang 2010): near each pixel the plane as a line of the guides."""
    mean = _mean_over(2 * radius + 1)
    means, middle = [mean(each) for each in guide], mean(plane)
    with_plane = np.stack([mean(each * plane) - own * middle for each, own in zip(guide, means, strict=True)], axis=-1)
    slopes = _solved(_covariance(guide, means, mean, epsilon), with_plane)
    offset = middle - sum(slopes[..., number] * own for number, own in enumerate(means))
    line = sum(mean(np.ascontiguousarray(slopes[..., number])) * each for number, each in enumerate(guide))
    return np.asarray(line + mean(np.asarray(offset, np.float32)), np.float32)


def _mean_over(side: int) -> Callable[[Plane], Plane]:
    def mean(plane: Plane) -> Plane:
        return np.asarray(cv2.boxFilter(plane, -1, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)

    return mean


def _covariance(
    guide: list[Plane], means: list[Plane], mean: Callable[[Plane], Plane], epsilon: float
) -> dict[tuple[int, int], Plane]:
    """The upper half of the guides' covariance around each pixel, with epsilon on its diagonal."""
    return {
        (row, column): np.asarray(
            mean(guide[row] * guide[column]) - means[row] * means[column] + epsilon * (row == column), np.float32
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
