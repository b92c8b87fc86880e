"""A face's eyes, mouth, tilt, size and centre from dlib's landmarks, 68 or 5. Pure geometry, in pixels."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Points

Vector = NDArray[np.float64]
"""x and y of one point."""

_SIDE_OF_EYES: Final = 2.41
_SIDE_OF_HEIGHT: Final = 2.24
"""dlib's HOG box is this many eye distances and eyes-to-mouth distances wide (means over 79 portraits)."""

_EYES_SHARE: Final = 0.85
"""How much the eye distance says of the size: mouths move, so it repeats best from photo to photo. In profile it
shrinks and the height does not: the face is never taken for smaller than this share of what its height says."""

_NOSE_OF_MOUTH: Final = 0.69
"""The nose's base lies this far from the eyes to the mouth (mean over portraits); the 5 points have no mouth."""


def eyes(landmarks: Points) -> tuple[Vector, Vector]:
    """Centres of the eye on the picture's left and of the one on its right."""
    if len(landmarks) == 5:  # dlib's 5: the corners of the picture's right eye, of its left one, the nose's base
        return landmarks[2:4].mean(axis=0), landmarks[0:2].mean(axis=0)
    return _mean(landmarks[36:42]), _mean(landmarks[42:48])


def eye_middle(landmarks: Points) -> Vector:
    left, right = eyes(landmarks)
    return np.asarray((left + right) / 2)


def mouth(landmarks: Points) -> Vector:
    """The mouth's midpoint; with 5 points, where the nose's base says that it is."""
    if len(landmarks) == 5:
        middle = eye_middle(landmarks)
        return np.asarray(middle + (landmarks[4] - middle) / _NOSE_OF_MOUTH)
    return _mean(landmarks[48:68])


def roll(landmarks: Points) -> float:
    """How far the line through the eyes is turned from level, in radians; clockwise on the screen is positive."""
    left, right = eyes(landmarks)
    dx, dy = right - left
    return float(np.arctan2(dy, dx))


def eye_distance(landmarks: Points) -> float:
    """Pixels between the eyes' centres."""
    left, right = eyes(landmarks)
    return float(np.linalg.norm(right - left))


def centre(landmarks: Points) -> Vector:
    """The middle between the eyes' midpoint and the mouth's."""
    return np.asarray((eye_middle(landmarks) + mouth(landmarks)) / 2)


def side(landmarks: Points) -> float:
    """Side in pixels of the square around the face, as large on average as the detector's box."""
    by_eyes = _SIDE_OF_EYES * eye_distance(landmarks)
    by_height = _SIDE_OF_HEIGHT * float(np.linalg.norm(mouth(landmarks) - eye_middle(landmarks)))
    return max(_EYES_SHARE * by_eyes + (1 - _EYES_SHARE) * by_height, _EYES_SHARE * by_height)


def box(landmarks: Points) -> tuple[float, float, float, float]:
    """The face's square: x, y of its corner, width, height, in pixels."""
    x, y = centre(landmarks)
    size = side(landmarks)
    return float(x - size / 2), float(y - size / 2), size, size


def _mean(points: Points) -> Vector:
    return np.asarray(points.mean(axis=0))
