"""A second opinion on a finished picture: dlib's detector, landmarks and face network on its pixels alone."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import dlib
import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A face in a picture. Angles in degrees, clockwise positive; the rest as shares of the picture's sides."""

    points: np.ndarray
    level: float
    off_centre: float
    eye_line: float
    eye_distance: float


def described(points: np.ndarray, wide: int, high: int) -> Found:
    """What 68 landmarks say. The face's centre is the middle of the eyes' and the mouth's midpoints."""
    left, right, mouth = points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[48:68].mean(axis=0)
    eyes = (left + right) / 2
    dx, dy = right - left
    off = abs((eyes[0] + mouth[0]) / 2 - (wide - 1) / 2) / wide
    return Found(points, float(np.degrees(np.arctan2(dy, dx))), off, eyes[1] / high, float(np.hypot(dx, dy)) / wide)


class Reader:
    """HOG and the 68 landmarks; the face network where its file is there."""

    def __init__(self, models: Path) -> None:
        self._hog = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(str(models / "shape_predictor_68_face_landmarks.dat"))
        self._network = models / "dlib_face_recognition_resnet_model_v1.dat"

    @property
    def knows_identity(self) -> bool:
        return self._network.exists()

    @cached_property
    def _net(self) -> dlib.face_recognition_model_v1:
        return dlib.face_recognition_model_v1(str(self._network))

    def face(self, rgb: np.ndarray, near: tuple[float, float] | None = None) -> Found | None:
        """The face nearest to `near` (x, y; the picture's middle if None), upright; None where there is none."""
        rgb = np.ascontiguousarray(rgb)
        high, wide = rgb.shape[:2]
        boxes = self._hog(rgb, 0) or self._hog(rgb, 1 if max(high, wide) < 1200 else 0)
        if not boxes:
            return None
        aim = near or (wide / 2, high / 2)
        box = min(boxes, key=lambda box: np.hypot(box.center().x - aim[0], box.center().y - aim[1]))
        shapes = [self._predictor(rgb, each).parts() for each in _around(box)]
        points = np.mean([[(point.x, point.y) for point in shape] for shape in shapes], axis=0)
        return described(points, wide, high)

    def identity(self, rgb: np.ndarray, points: np.ndarray) -> np.ndarray:
        """128 numbers; two pictures of one person are less than 0.6 apart."""
        parts = dlib.points(dlib.point(round(x), round(y)) for x, y in points)
        hull = dlib.rectangle(*(int(value) for value in (*points.min(axis=0), *points.max(axis=0))))
        shape = dlib.full_object_detection(hull, parts)
        return np.array(self._net.compute_face_descriptor(np.ascontiguousarray(rgb), shape))


def _around(box: dlib.rectangle) -> list[dlib.rectangle]:
    """The box and four that differ a little: the mean of their landmarks is calmer than one."""
    step = box.width() // 20
    moves = ((0, 0), (-step, 0), (step, 0), (0, -step), (0, step))
    return [dlib.translate_rect(box, dlib.point(x, y)) for x, y in moves]
