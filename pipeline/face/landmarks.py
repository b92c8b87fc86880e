"""Facial landmarks by dlib's shape predictors, averaged over several boxes and refined on the levelled face."""

import math
from pathlib import Path
from typing import Final

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from pipeline.face import geometry
from pipeline.image.affine import apply, chain, inverse, sample, similarity
from pipeline.types import Pixels, Points

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""

_CHIP: Final = 400
_FACE: Final = 200
"""A levelled face fills the middle 200 of 400 pixels: the predictor's shape then rests on the same grid each time."""

_CHIP_BORDER: Final = 30
"""Pixels around the chip that a tilt may turn into it."""

_MAX_ROUNDS: Final = 4
_STABLE: Final = 0.008
"""Landmarks are stable when a round moves them by less than this share of the face, on average."""

_TILTS: Final = tuple(np.radians((-8.0, -4.0, 0.0, 4.0, 8.0)))
"""Radians. The mean moves a third as far when a JPEG is merely saved again as what one tilt gives."""

_NUDGES: Final = (
    (0.0, 0.0, 1.0),
    (-0.05, 0.0, 1.0),
    (0.05, 0.0, 1.0),
    (0.0, -0.05, 1.0),
    (0.0, 0.05, 1.0),
    (0.0, 0.0, 1.1),
    (0.0, 0.0, 0.9),
)
"""Moves and scales of the box. The mean over them does not jump where the detector's box does; on a face they agree."""


class Landmarker:
    """A shape predictor of 68 or 5 points, loaded from `path`."""

    def __init__(self, path: Path, points: int) -> None:
        self.name = str(points)
        self._predictor = dlib.shape_predictor(str(path))

    def locate(self, grey: Pixels, box: Box) -> tuple[Points, float]:
        """Locates the landmarks of the face in a box.

        Args:
            grey: H x W, 0..255.
            box: The face, as a detector gives it.

        Returns:
            The mean over nudged boxes, and its spread as a share of the box: below 0.02 on clear faces, above 0.04
            where there is none.
        """
        shapes = np.array([self._predict(grey, _nudge(box, *nudge)) for nudge in _NUDGES])
        mean = shapes.mean(axis=0)
        spread = np.linalg.norm(shapes - mean, axis=2).mean() / box[2]
        return mean, float(spread)

    def refine(self, pixels: Pixels, landmarks: Points) -> Points:
        """Locates the landmarks again on the levelled face, cut from the full picture: without the rest of the tilt.

        Repeats that until they are stable, then takes the mean over slightly tilted copies of the face.

        Args:
            pixels: The upright photo, H x W x 3.
            landmarks: N x 2, in its pixels.
        """
        for _ in range(_MAX_ROUNDS):
            before, landmarks = landmarks, self._relocate(pixels, landmarks)
            moved = np.linalg.norm(landmarks - before, axis=1).mean()
            if moved < _STABLE * geometry.side(landmarks):
                break
        return self._tilted_mean(pixels, landmarks)

    def _tilted_mean(self, pixels: Pixels, landmarks: Points) -> Points:
        """Cuts all tilts from one larger chip, so that the full picture is reduced only once."""
        to_wide = chain(np.array([[1.0, 0, _CHIP_BORDER], [0, 1.0, _CHIP_BORDER]]), _to_chip(landmarks, 0.0))
        wide = sample(pixels, to_wide, _CHIP + 2 * _CHIP_BORDER, _CHIP + 2 * _CHIP_BORDER)
        inside = apply(to_wide, landmarks)
        mean = np.mean([self._relocate(wide, inside, tilt) for tilt in _TILTS], axis=0)
        return apply(inverse(to_wide), mean)

    def _relocate(self, pixels: Pixels, landmarks: Points, tilt: float = 0.0) -> Points:
        to_chip = _to_chip(landmarks, tilt)
        chip = cv2.cvtColor(sample(pixels, to_chip, _CHIP, _CHIP), cv2.COLOR_RGB2GRAY)
        corner = (_CHIP - _FACE) / 2
        found, _ = self.locate(np.asarray(chip, np.uint8), (corner, corner, _FACE, _FACE))
        return apply(inverse(to_chip), found)

    def _predict(self, grey: Pixels, box: Box) -> Points:
        x, y, width, height = (round(value) for value in box)
        shape = self._predictor(grey, dlib.rectangle(x, y, x + width - 1, y + height - 1))
        return np.array([(point.x, point.y) for point in shape.parts()], np.float64)


def _nudge(box: Box, dx: float, dy: float, scale: float) -> Box:
    x, y, width, height = box
    grow = (scale - 1) / 2
    return x + (dx - grow) * width, y + (dy - grow) * height, width * scale, height * scale


def _to_chip(landmarks: Points, tilt: float) -> NDArray[np.float64]:
    middle = np.array([_CHIP / 2 - 0.5, _CHIP / 2 - 0.5])
    return similarity(
        geometry.centre(landmarks), _FACE / geometry.side(landmarks), tilt - geometry.roll(landmarks), middle
    )


def is_plausible(landmarks: Points, box: Box) -> bool:
    """Whether the points could be a face in this box: eyes apart, mouth below them, tilt under 45 degrees, centred."""
    size = box[2]
    down = geometry.mouth(landmarks) - geometry.eye_middle(landmarks)
    roll = geometry.roll(landmarks)
    lean = math.atan2(down[0], down[1]) + roll  # 0 where the mouth lies straight below the level eyes
    off = np.abs(geometry.centre(landmarks) - (box[0] + size / 2, box[1] + size / 2)).max()
    apart = geometry.eye_distance(landmarks)
    return bool(
        abs(roll) < math.radians(45)
        and abs(lean) < math.radians(35)
        and 0.15 < apart / size < 0.8
        and 0.2 < np.hypot(*down) / size < 0.8
        and off / size < 0.3
    )
