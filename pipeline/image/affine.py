"""Affine geometry between pixel centres, and sampling a picture through it without aliasing."""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Matrix, Pixels, Points

Level = TypeVar("Level", np.uint8, np.float32)
Raster = NDArray[Level]
"""H x W x 3 or H x W."""

_FINEST = 1.0
"""A picture is first reduced (area average) to this many pixels per output pixel, then turned and moved once."""


def similarity(source: Points, scale: float, radians: float, target: Points) -> Matrix:
    """Turns by `radians` (clockwise on the screen is positive), scales, and takes the point `source` to `target`."""
    cos, sin = scale * np.cos(radians), scale * np.sin(radians)
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.column_stack([turn, np.asarray(target) - turn @ np.asarray(source)])


def apply(matrix: Matrix, points: Points) -> Points:
    """N x 2 points through a 2 x 3 transform."""
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def inverse(matrix: Matrix) -> Matrix:
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """First `inner`, then `outer`."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])


def scale_of(matrix: Matrix) -> float:
    """Output pixels per source pixel."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def corners(width: float, height: float) -> Points:
    """The corners of a picture as pixel-centre coordinates of its outer edges."""
    return np.array([(-0.5, -0.5), (width - 0.5, -0.5), (width - 0.5, height - 0.5), (-0.5, height - 0.5)])


def sample(pixels: Raster[Level], matrix: Matrix, width: int, height: int) -> Raster[Level]:
    """The picture seen through `matrix`, `width` x `height`; beyond its edges the edge pixels go on.

    Works for H x W x 3 and H x W. Only the part that is seen is touched, so the cost depends on the output.
    """
    left, top, right, bottom = _seen(pixels, matrix, width, height)
    part = pixels[top:bottom, left:right]
    matrix = compose(matrix, _shift(left, top))
    ratio = scale_of(matrix) / _FINEST
    if ratio < 1:
        part, reduction = _reduce(part, ratio)
        matrix = compose(matrix, inverse(reduction))
    return cv2.warpAffine(  # type: ignore[return-value]  # OpenCV's stubs widen the element type
        part, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def coverage(shape: tuple[int, ...], matrix: Matrix, width: int, height: int) -> Pixels:
    """Where the output shows the photo (255) and where it lies beyond its edges (0), with smooth edges."""
    shift = 8  # fractional bits of OpenCV's drawing
    fixed = np.round(apply(matrix, corners(shape[1], shape[0])) * (1 << shift)).astype(np.int32)
    area = np.zeros((height, width), np.uint8)
    return cv2.fillConvexPoly(area, fixed, 255, cv2.LINE_AA, shift)  # type: ignore[return-value]


def _seen(pixels: Raster[Level], matrix: Matrix, width: int, height: int) -> tuple[int, int, int, int]:
    area = apply(inverse(matrix), corners(width, height))
    room = 4 + 2 / scale_of(matrix)  # the cubic kernel's reach
    high, wide = pixels.shape[:2]
    left, top = np.floor(area.min(axis=0) - room).astype(int)
    right, bottom = np.ceil(area.max(axis=0) + room).astype(int)
    left, top = min(max(left, 0), wide - 1), min(max(top, 0), high - 1)
    return left, top, max(min(right, wide), left + 1), max(min(bottom, high), top + 1)


def _shift(x: float, y: float) -> Matrix:
    return np.array([[1.0, 0, x], [0, 1.0, y]])


def _reduce(part: Raster[Level], ratio: float) -> tuple[Raster[Level], Matrix]:
    """The part at about `ratio` of its size, and the exact transform that this was."""
    high, wide = part.shape[:2]
    size = max(1, round(wide * ratio)), max(1, round(high * ratio))
    sx, sy = size[0] / wide, size[1] / high
    reduced = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return reduced, np.array([[sx, 0, sx / 2 - 0.5], [0, sy, sy / 2 - 0.5]])  # type: ignore[return-value]
