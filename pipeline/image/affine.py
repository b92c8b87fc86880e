"""Affine transforms between pixel centres, and resampling a picture through one without aliasing."""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Matrix, Pixels, Points

Level = TypeVar("Level", np.uint8, np.float32)
Raster = NDArray[Level]
"""H x W x 3 or H x W."""

_PIXELS_PER_OUTPUT = 1.0
"""A picture is first reduced (area average) to this many pixels per output pixel, then turned and moved once."""


def similarity(source: Points, scale: float, radians: float, target: Points) -> Matrix:
    """A similarity transform.

    Args:
        source: The point that comes to `target`, x and y.
        scale: Output pixels per source pixel.
        radians: Clockwise on the screen is positive.
        target: x and y.
    """
    cos, sin = scale * np.cos(radians), scale * np.sin(radians)
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, np.asarray(target) - turn @ np.asarray(source)])


def apply(matrix: Matrix, points: Points) -> Points:
    """N x 2 points through a 2 x 3 transform."""
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def inverse(matrix: Matrix) -> Matrix:
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])


def chain(outer: Matrix, inner: Matrix) -> Matrix:
    """The transform that applies `inner` first and `outer` second."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def scale_of(matrix: Matrix) -> float:
    """Output pixels per source pixel."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def corners(width: float, height: float) -> Points:
    """The corners of a picture as pixel-centre coordinates of its outer edges."""
    return np.array([(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5)])


def sample(pixels: Raster[Level], matrix: Matrix, width: int, height: int) -> Raster[Level]:
    """Resamples a picture: area average to the output's scale, then one bicubic warp.

    Only the visible part is touched, so that the cost depends on the output.

    Args:
        pixels: H x W x 3 or H x W.
        matrix: From the picture to the output.
        width: The output's.
        height: The output's.

    Returns:
        height x width (x 3); beyond the picture's edges the edge pixels are repeated.
    """
    left, top, right, bottom = _visible_part(pixels, matrix, width, height)
    part = pixels[top:bottom, left:right]
    matrix = chain(matrix, _translation(left, top))
    ratio = scale_of(matrix) / _PIXELS_PER_OUTPUT
    if ratio < 1:
        part, reduction = _downscale(part, ratio)
        matrix = chain(matrix, inverse(reduction))
    return cv2.warpAffine(  # type: ignore[return-value]  # OpenCV's stubs widen the element type
        part, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def coverage(shape: tuple[int, ...], matrix: Matrix, width: int, height: int) -> Pixels:
    """Where the output shows the photo (255) and where it lies beyond its edges (0): H x W, antialiased.

    Args:
        shape: The photo's.
        matrix: From the photo to the output.
        width: The output's.
        height: The output's.
    """
    shift = 8  # fractional bits of OpenCV's drawing
    fixed = np.round(apply(matrix, corners(shape[1], shape[0])) * (1 << shift)).astype(np.int32)
    area = np.zeros((height, width), np.uint8)
    return cv2.fillConvexPoly(area, fixed, 255, cv2.LINE_AA, shift)  # type: ignore[return-value]


def _visible_part(pixels: Raster[Level], matrix: Matrix, width: int, height: int) -> tuple[int, int, int, int]:
    area = apply(inverse(matrix), corners(width, height))
    room = 4 + 2 / scale_of(matrix)  # the cubic kernel's reach
    high, wide = pixels.shape[:2]
    left, top = np.floor(area.min(axis=0) - room).astype(int)
    right, bottom = np.ceil(area.max(axis=0) + room).astype(int)
    left, top = min(max(left, 0), wide - 1), min(max(top, 0), high - 1)
    return left, top, max(min(right, wide), left + 1), max(min(bottom, high), top + 1)


def _translation(x: float, y: float) -> Matrix:
    return np.array([[1.0, 0, x], [0, 1.0, y]])


def _downscale(part: Raster[Level], ratio: float) -> tuple[Raster[Level], Matrix]:
    """The part at about `ratio` of its size, and the exact transform that this was."""
    high, wide = part.shape[:2]
    size = max(1, round(wide * ratio)), max(1, round(high * ratio))
    sx, sy = size[0] / wide, size[1] / high
    reduced = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return reduced, np.array([[sx, 0, sx / 2 - 0.5], [0, sy, sy / 2 - 0.5]])  # type: ignore[return-value]
