"""Alpha matting: brings a coarse mask to the edges that the picture shows. Hair stays soft; the background stays out.

The terms are those of matting: known pixels are surely person or surely background, unknown ones lie in between, as in
a trimap. The alpha is refined with a colour guided filter (He, Sun, Tang 2010, "Guided Image Filtering").
"""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Pixels

FloatImage = NDArray[np.float32]
"""H x W or H x W x channels; alphas and colours run from 0 to 1."""

_GUIDE_SIDE: Final = 324
_COLOUR_SIDE: Final = 162
"""Shorter sides in pixels of the copies on which edges are found, and on which colours decide about unknown pixels."""

_EDGE_RADIUS: Final = 5 / _GUIDE_SIDE
"""Radius of the guided filter as a share of the shorter side: about what the network cannot resolve."""

_COLOUR_RADIUS: Final = 16 / _COLOUR_SIDE
"""Radius, as a share of the shorter side, in which the colours of known pixels decide about the unknown ones."""

_EPSILON: Final = 5e-5
"""The guided filter's epsilon: variance of colour (0..1) from which a change in the picture counts as an edge."""

_KNOWN_FROM: Final = 0.96
"""An alpha of at least this is known to be person, of at most 1 minus this known to be background."""

_UNKNOWN_WEIGHT: Final = 0.1
"""Weight of a pixel that is unknown, or within a pixel of one, when the colours of person and background are fitted."""

_TRUST_EXPONENT: Final = 3.0
"""How strongly an alpha near 0 or 1 resists colours that explain little; one of a half does not resist."""

_SMEAR_WIDTH: Final = 11 / _COLOUR_SIDE
"""What is half-transparent over more than this share of the shorter side is the network's doubt and not hair."""

_SMEAR_GAIN: Final = 8.0
"""By how much more than itself the distance of a smear's alpha from one half grows."""

_STRETCH: Final = 0.03
"""The filter leaves a haze beyond the edge: an alpha this near to 0 or 1 becomes 0 or 1."""


def refine_alpha(pixels: Pixels, alpha: Pixels) -> Pixels:
    """The alpha with its edges where the picture has them.

    Args:
        pixels: H x W x 3, RGB.
        alpha: H x W, 0..255: the coarse mask.

    Returns:
        H x W, 0..255.
    """
    guide, coarse = (_downscale(_to_float(each), _GUIDE_SIDE) for each in (pixels, alpha))
    small = _downscale(coarse, _COLOUR_SIDE)
    change = harden_smears(estimate_unknown(_downscale(guide, _COLOUR_SIDE), small), small) - small
    moved = np.asarray(np.clip(coarse + _resize_like(change, coarse), 0, 1), np.float32)
    model, _ = fit_local_linear(guide, moved, np.ones_like(moved), _to_pixels(_EDGE_RADIUS, moved))
    stretched = (_apply_linear(_resize_like(model, alpha), _to_float(pixels)) - _STRETCH) / (1 - 2 * _STRETCH)
    return np.asarray(np.round(255 * np.clip(stretched, 0, 1)), np.uint8)


def estimate_unknown(guide: FloatImage, alpha: FloatImage) -> FloatImage:
    """Estimates the alpha of unknown pixels by the colours around them, as far as these explain the known pixels.

    The network sees 320 pixels and may be off by more than the guided filter's radius. The colours of what it knows on
    both sides tell better, unless person and background look alike.

    Args:
        guide: H x W x 3, 0..1.
        alpha: H x W, 0..1.

    Returns:
        H x W, 0..1; known pixels keep their alpha.
    """
    near = np.ones((3, 3), np.uint8)
    known = cv2.dilate((np.abs(alpha - 0.5) < _KNOWN_FROM - 0.5).astype(np.uint8), near) == 0
    weight = np.where(known, 1, _UNKNOWN_WEIGHT).astype(np.float32)
    model, explained = fit_local_linear(guide, alpha, weight, _to_pixels(_COLOUR_RADIUS, alpha))
    trust = np.clip(explained, 1e-3, 1) ** (_TRUST_EXPONENT * np.abs(2 * alpha - 1))
    moved = alpha + trust * (np.clip(_apply_linear(model, guide), 0, 1) - alpha)
    return np.asarray(np.where(known, alpha, moved), np.float32)


def harden_smears(alpha: FloatImage, coarse: FloatImage) -> FloatImage:
    """Sends each smear to the end, 0 or 1, that it is nearer to.

    Args:
        alpha: H x W, 0..1.
        coarse: H x W, 0..1: where this is half-transparent over a wide area, there is a smear.

    Returns:
        H x W, 0..1.
    """
    doubt = np.asarray(1 - np.abs(2 * coarse - 1), np.float32)
    side = _to_pixels(_SMEAR_WIDTH, alpha)
    wide = cv2.morphologyEx(doubt, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.asarray(np.clip(0.5 + (alpha - 0.5) * (1 + _SMEAR_GAIN * wide), 0, 1), np.float32)


def extrapolate_colours(pixels: Pixels, alpha: Pixels) -> Pixels:
    """The picture with the colours of its opaque part continued, ever softer, into its transparent part.

    Args:
        pixels: H x W x 3, RGB.
        alpha: H x W, 0..255.

    Returns:
        H x W x 3; the opaque part is unchanged.
    """
    opaque = (alpha > 250).astype(np.float32)[:, :, None]
    filled = pixels.astype(np.float32)
    colours, weight = filled * opaque, opaque
    for sigma in (4.0, 16.0, 64.0, 256.0):
        near = cv2.GaussianBlur(weight, (0, 0), sigma)[:, :, None]
        smeared = cv2.GaussianBlur(colours, (0, 0), sigma) / np.maximum(near, 1e-6)
        new = np.where(near > 0.02, 1 - weight, 0).astype(np.float32)
        filled = np.where(new > 0, smeared, filled)
        colours, weight = filled * np.maximum(weight, new), np.maximum(weight, new)
    return np.asarray(np.round(np.clip(filled, 0, 255)), np.uint8)


def fit_local_linear(
    guide: FloatImage, alpha: FloatImage, weight: FloatImage, radius: int
) -> tuple[FloatImage, FloatImage]:
    """Fits the alpha around each pixel as a linear function of the guide's channels: the guided filter's local model.

    Args:
        guide: H x W x 3, 0..1.
        alpha: H x W, 0..1.
        weight: H x W: how much each pixel counts.
        radius: Of the square window, in pixels.

    Returns:
        H x W x 4, three slopes and the offset, averaged over the windows that hold the pixel; and H x W, the share of
        the alpha's variance that they explain.
    """
    guides = [np.ascontiguousarray(guide[:, :, channel]) for channel in range(3)]
    mean = _weighted_mean(weight, 2 * radius + 1)
    means, middle = [mean(each) for each in guides], mean(alpha)
    with_alpha = np.stack([mean(each * alpha) - own * middle for each, own in zip(guides, means, strict=True)], axis=-1)
    slopes = _solve_symmetric_3x3(_covariance(guides, means, mean), with_alpha)
    offset = middle - sum(slopes[..., number] * own for number, own in enumerate(means))
    explained = (slopes * with_alpha).sum(axis=-1) / (mean(alpha * alpha) - middle * middle + 1e-3)
    result = _box_filter(np.dstack([slopes, offset, explained]), 2 * radius + 1)
    return result[:, :, :4], result[:, :, 4]


def _apply_linear(model: FloatImage, guide: FloatImage) -> FloatImage:
    return np.asarray(np.einsum("ijk,ijk->ij", model[:, :, :3], guide) + model[:, :, 3], np.float32)


def _to_float(pixels: Pixels) -> FloatImage:
    return np.asarray(pixels.astype(np.float32) * np.float32(1 / 255), np.float32)


def _downscale(image: FloatImage, side: int) -> FloatImage:
    """The image with a shorter side of at most `side`."""
    scale = min(1.0, side / min(image.shape[:2]))
    size = [max(1, round(scale * each)) for each in image.shape[1::-1]]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _resize_like(image: FloatImage, like: NDArray[np.generic]) -> FloatImage:
    return np.asarray(cv2.resize(image, like.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _to_pixels(share: float, image: FloatImage) -> int:
    return int(max(1, round(share * min(image.shape[:2]))))


def _box_filter(image: FloatImage, side: int) -> FloatImage:
    return np.asarray(cv2.blur(image, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _weighted_mean(weight: FloatImage, side: int) -> Callable[[FloatImage], FloatImage]:
    total = _box_filter(weight, side)
    return lambda image: np.asarray(_box_filter(image * weight, side) / total, np.float32)


def _covariance(
    guides: list[FloatImage], means: list[FloatImage], mean: Callable[[FloatImage], FloatImage]
) -> dict[tuple[int, int], FloatImage]:
    """The upper half of the guides' covariance around each pixel, with epsilon on its diagonal."""
    return {
        (row, column): np.asarray(
            mean(guides[row] * guides[column]) - means[row] * means[column] + _EPSILON * (row == column), np.float32
        )
        for row in range(3)
        for column in range(row, 3)
    }


def _solve_symmetric_3x3(matrix: dict[tuple[int, int], FloatImage], right: NDArray[np.float32]) -> NDArray[np.float32]:
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
