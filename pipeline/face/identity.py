"""Face recognition: whether two pictures show the same person, by dlib's network."""

from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Pixels, Points


class Identity:
    """Distances between faces: below 0.6 dlib takes two for one person; a photo saved again is some 0.05 away."""

    def __init__(self, path: Path) -> None:
        self._network = dlib.face_recognition_model_v1(str(path))

    def distance(self, one: Pixels, other: Pixels, landmarks: Points) -> float:
        """The distance between two pictures, H x W x 3 both, with the same 68 landmarks."""
        return float(np.linalg.norm(self._descriptor(one, landmarks) - self._descriptor(other, landmarks)))

    def _descriptor(self, pixels: Pixels, landmarks: Points) -> NDArray[np.float64]:
        left, top = np.floor(landmarks.min(axis=0)).astype(int)
        right, bottom = np.ceil(landmarks.max(axis=0)).astype(int)
        points = [dlib.point(round(x), round(y)) for x, y in landmarks]
        shape = dlib.full_object_detection(dlib.rectangle(left, top, right, bottom), points)
        return np.asarray(self._network.compute_face_descriptor(pixels, shape))
