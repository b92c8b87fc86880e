"""Framing: the transform from the upright photo to the portrait, and the part of the photo that is segmented."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.face import geometry
from pipeline.image.affine import apply, corners, inverse, similarity
from pipeline.types import Matrix, Points

OVAL: Final = 0.48
"""Radii of the oval as a share of the output's width and height."""

_MIN_WIDENING: Final = 1.3
"""The least widening, if any: so most heads of a series come out equally large."""

MAX_WIDENING: Final = 1.6

_RIM_START: Final = 0.966
"""Where the oval's soft rim begins, as a share of its radius."""

SIDE: Final = 640
"""Longest side in pixels of the crop that is segmented; the network itself sees 320."""

_CROP_REACH: Final = 1.5
"""How far the crop reaches from the face's centre, in face sizes: the face and once its size on each side."""

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The output's size in pixels, and the margin around the face as a share of the face box (1.5 times that above)."""

    width: int
    height: int
    margin: float

    def to_output(self, landmarks: Points, widened: float = 1.0) -> Matrix:
        """The transform from the upright photo to the output.

        The eyes become level; face and margin become as large as the output's shape allows, in its middle. `widened`
        makes them smaller by that factor.
        """
        face = geometry.side(landmarks)
        box = face * (1 + 2 * self.margin), face * (1 + 2.5 * self.margin)
        scale = min(self.width / box[0], self.height / box[1]) / widened
        below = 0.25 * self.margin * face * scale  # the face's centre lies below the margin box's: more room above
        target = np.array([(self.width - 1) / 2, (self.height - 1) / 2 + below])
        return similarity(geometry.centre(landmarks), scale, -geometry.roll(landmarks), target)

    def widening(self, head: Points) -> float:
        """The factor, 1 to MAX_WIDENING, by which the frame must widen for the oval to hold the whole head.

        Args:
            head: N x 2, the head's outline in output pixels.
        """
        if not len(head):
            return 1.0
        middle = np.array([(self.width - 1) / 2, (self.height - 1) / 2])
        reach = np.hypot(*((head - middle) / (OVAL * np.array([self.width, self.height]))).T)
        needed = float(reach.max()) / _RIM_START
        return 1.0 if needed < 1.001 else float(np.clip(needed, _MIN_WIDENING, MAX_WIDENING))


def reaches_over_edge(landmarks: Points, shape: tuple[int, ...]) -> bool:
    """Whether the face's box reaches over the photo's edge."""
    x, y, width, height = geometry.box(landmarks)
    return x < -0.5 or y < -0.5 or x + width > shape[1] - 0.5 or y + height > shape[0] - 0.5


def cutout_crop(landmarks: Points, to_output: Matrix, output: Size, shape: tuple[int, ...]) -> tuple[Matrix, Size]:
    """The levelled crop of the photo that is segmented.

    It holds the face and once its size on each side and all of the frame, but nothing beyond the photo; its longest
    side has SIDE pixels.

    Args:
        landmarks: The face, in pixels of the upright photo.
        to_output: The frame: upright photo to output.
        output: The output's width and height.
        shape: The upright photo's shape.

    Returns:
        The transform from the upright photo to the crop, and the crop's width and height.
    """
    roll, face = geometry.roll(landmarks), geometry.side(landmarks)
    level = similarity(geometry.centre(landmarks), 1.0, -roll, np.zeros(2))
    frame = apply(level, apply(inverse(to_output), corners(*output)))
    photo = apply(level, corners(shape[1], shape[0]))
    low = np.maximum(np.minimum(frame.min(axis=0), -_CROP_REACH * face), photo.min(axis=0))
    high = np.minimum(np.maximum(frame.max(axis=0), _CROP_REACH * face), photo.max(axis=0))
    extent = high - low
    scale = SIDE / extent.max()
    size = max(8, round(extent[0] * scale)), max(8, round(extent[1] * scale))
    return similarity(geometry.centre(landmarks), scale, -roll, -low * scale - 0.5), size
