"""Where the face stands in the finished picture: one transform from the upright photo to the output."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.face import geometry
from pipeline.image.affine import apply, corners, inverse, similarity
from pipeline.types import Matrix, Points

OVAL: Final = 0.48
"""Radii of the oval as a share of the output's width and height."""

_WIDENED: Final = 1.3
"""What must be widened is so by at least this: most heads then come out equally large, as in one series."""

MOST_WIDENED: Final = 1.6

_RIM: Final = 0.966
"""Where the oval's soft rim begins, as a share of its radius."""

SIDE: Final = 640
"""Longest side in pixels of the picture that the cut-out looks at; its network sees 320."""

_ROOM: Final = 1.5
"""Reach of that picture from the face's centre in face sizes: the face and once its size on each side."""

Size = tuple[int, int]
"""Width and height in pixels."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The output's size and the margin around the face (a share of the face box; 1.5 times that above it)."""

    width: int
    height: int
    margin: float

    def to_output(self, landmarks: Points, widened: float = 1.0) -> Matrix:
        """Upright photo to output: eyes level, the margin box as large as the output's shape allows, in its middle."""
        face = geometry.side(landmarks)
        box = face * (1 + 2 * self.margin), face * (1 + 2.5 * self.margin)
        scale = min(self.width / box[0], self.height / box[1]) / widened
        below = 0.25 * self.margin * face * scale  # the face's centre lies below the margin box's: more room above
        target = np.array([(self.width - 1) / 2, (self.height - 1) / 2 + below])
        return similarity(geometry.centre(landmarks), scale, -geometry.roll(landmarks), target)

    def widening(self, head: Points) -> float:
        """How much wider the frame must be for the oval to hold `head` (N x 2, output pixels) whole; 1 if it does."""
        if not len(head):
            return 1.0
        middle = np.array([(self.width - 1) / 2, (self.height - 1) / 2])
        reach = np.hypot(*((head - middle) / (OVAL * np.array([self.width, self.height]))).T)
        needed = float(reach.max()) / _RIM
        return 1.0 if needed < 1.001 else float(np.clip(needed, _WIDENED, MOST_WIDENED))


def outside(landmarks: Points, shape: tuple[int, ...]) -> bool:
    """Whether the face's box reaches over the photo's edge."""
    x, y, width, height = geometry.box(landmarks)
    return x < -0.5 or y < -0.5 or x + width > shape[1] - 0.5 or y + height > shape[0] - 0.5


def room(landmarks: Points, to_output: Matrix, output: Size, shape: tuple[int, ...]) -> tuple[Matrix, Size]:
    """The levelled part of the photo that the cut-out looks at, as a transform from the photo and a size.

    The face and once its size on each side, all of the frame, nothing beyond the photo; `SIDE` pixels at the longest.
    """
    roll, face = geometry.roll(landmarks), geometry.side(landmarks)
    level = similarity(geometry.centre(landmarks), 1.0, -roll, np.zeros(2))
    frame = apply(level, apply(inverse(to_output), corners(*output)))
    photo = apply(level, corners(shape[1], shape[0]))
    low = np.maximum(np.minimum(frame.min(axis=0), -_ROOM * face), photo.min(axis=0))
    high = np.minimum(np.maximum(frame.max(axis=0), _ROOM * face), photo.max(axis=0))
    extent = high - low
    scale = SIDE / extent.max()
    size = max(8, round(extent[0] * scale)), max(8, round(extent[1] * scale))
    return similarity(geometry.centre(landmarks), scale, -roll, -low * scale - 0.5), size
