"""Face detection: dlib's HOG detector on a reduced copy, with further passes only if it is not sure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import dlib
import numpy as np

from pipeline.face import geometry
from pipeline.face.landmarks import Box, Landmarker, is_plausible
from pipeline.types import Face, Pixels, Points

_LONG_SIDE: Final = 1000
"""A reduced copy finds more faces than the full photo, not only faster (99 of 100 upright photos)."""

_MIN_SIDE: Final = 16
"""No face with 5 px between its eyes fits into fewer pixels, and dlib raises an error on pictures of one or two."""

_MMOD_SIDE: Final = 640
_MMOD_CONFIDENCE: Final = 0.7
_MMOD_MIN_SIDE: Final = 80
"""The network sees no smaller face, and dlib raises an error on pictures much smaller."""


@dataclass(frozen=True, slots=True)
class _HogPass:
    """One pass of HOG: how often the copy is doubled, the least score, and how far the landmarks may spread."""

    upsample: int
    threshold: float
    spread: float


_UPRIGHT_PASSES: Final = (_HogPass(0, 0.0, 0.04), _HogPass(1, 0.0, 0.04))
_FAINT_PASS: Final = _HogPass(1, -0.2, 0.046)
_TURNED_PASSES: Final = (_HogPass(0, 0.3, 0.025), _HogPass(1, 0.3, 0.025))
_SURE_SCORE: Final = 0.3
"""HOG's score below which a face may be a pattern, or a face seen upside down."""

_UPRIGHT_BONUS: Final = 0.3
"""HOG's score by which a face in a turned copy must be surer than a faint upright one: photos are mostly upright."""


class FaceFinder:
    """Finds all faces of a photo. `mmod` is the path of dlib's network, which decides where HOG cannot."""

    def __init__(self, landmarker: Landmarker, mmod: Path | None = None) -> None:
        self._landmarker = landmarker
        self._hog = dlib.get_frontal_face_detector()
        self._mmod = dlib.cnn_face_detection_model_v1(str(mmod)) if mmod else None

    def __call__(self, pixels: Pixels) -> tuple[Face, ...]:
        """Finds the faces in H x W x 3 pixels.

        Returns:
            The faces with their landmarks in pixels of the photo, the highest score first. In a photo that lies on its
            side, the landmarks do too.
        """
        small = _downscale(pixels, _LONG_SIDE)
        if min(small.shape[:2]) < _MIN_SIDE:
            return ()
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        found = self._find_upright(grey) or self._find_doubtful(grey, small)
        faces = _drop_duplicates(found)
        return tuple(Face(_rescale_points(face.landmarks, grey, pixels), face.score) for face in faces)

    def _find_upright(self, grey: Pixels) -> list[Face]:
        """What HOG finds upright, if it is sure of one face."""
        passes = (self._run_hog(grey, each) for each in _UPRIGHT_PASSES)
        return next((faces for faces in passes if _best_score(faces) >= _SURE_SCORE), [])

    def _find_doubtful(self, grey: Pixels, small: Pixels) -> list[Face]:
        """Faint faces, or surer ones in another direction; where HOG cannot tell, the network decides."""
        faint = self._run_hog(grey, _FAINT_PASS)
        turned = self._find_turned(grey)
        if _best_score(turned) > _best_score(faint) + _UPRIGHT_BONUS:
            return turned
        by_network = self._find_by_network(grey, small)
        # HOG's box fits the predictor better, so where both mean the same face its points are the ones to trust
        agreed = any(_is_same_face(one, other) for one in faint for other in by_network)
        return faint if agreed else by_network or faint

    def _find_turned(self, grey: Pixels) -> list[Face]:
        """The faces in the other direction (of three) that has the surest face."""
        for each in _TURNED_PASSES:
            best = max((self._run_hog_turned(grey, each, quarters) for quarters in (1, 2, 3)), key=_best_score)
            if best:
                return best
        return []

    def _run_hog_turned(self, grey: Pixels, settings: _HogPass, quarters: int) -> list[Face]:
        turned = np.ascontiguousarray(np.rot90(grey, quarters))
        return [
            Face(_rotate_back(face.landmarks, quarters, grey), face.score) for face in self._run_hog(turned, settings)
        ]

    def _run_hog(self, grey: Pixels, settings: _HogPass) -> list[Face]:
        boxes, scores, _ = self._hog.run(grey, settings.upsample, settings.threshold)
        faces = (
            self._face(grey, _to_box(box), score, settings.spread) for box, score in zip(boxes, scores, strict=True)
        )
        return [face for face in faces if face]

    def _find_by_network(self, grey: Pixels, small: Pixels) -> list[Face]:
        """What the network finds upright, else in the direction in which it is surest."""
        reduced = _downscale(small, _MMOD_SIDE)
        if self._mmod is None or min(reduced.shape[:2]) < _MMOD_MIN_SIDE:
            return []
        upright = self._run_network_turned(grey, reduced, 0)
        turned = (self._run_network_turned(grey, reduced, quarters) for quarters in (1, 2, 3))
        return upright or max(turned, key=_best_score)

    def _run_network_turned(self, grey: Pixels, reduced: Pixels, quarters: int) -> list[Face]:
        scale = grey.shape[1] / reduced.shape[1]
        hits = self._mmod(np.ascontiguousarray(np.rot90(reduced, quarters)), 0) if self._mmod else ()
        turned = np.ascontiguousarray(np.rot90(grey, quarters))
        faces = [
            self._face(turned, _scale_box(_to_box(hit.rect), scale), hit.confidence, _UPRIGHT_PASSES[0].spread)
            for hit in hits
            if hit.confidence >= _MMOD_CONFIDENCE
        ]
        return [Face(_rotate_back(face.landmarks, quarters, grey), face.score) for face in faces if face]

    def _face(self, grey: Pixels, box: Box, score: float, spread: float) -> Face | None:
        """The face in a detector's box; None if the landmarks say that there is none.

        On a face the predictor gives the same points from any near box; elsewhere each box has its own. The surer
        the detector, the more spread is allowed: hands and hats cover real faces too.
        """
        points, measured = self._landmarker.locate(grey, box)
        allowed = spread + 0.03 * max(score, 0.0)
        return Face(points, score) if measured <= allowed and is_plausible(points, box) else None


def _best_score(faces: list[Face]) -> float:
    return max((face.score for face in faces), default=-1.0)


def _to_box(rectangle: dlib.rectangle) -> Box:
    return rectangle.left(), rectangle.top(), rectangle.width(), rectangle.height()


def _scale_box(box: Box, scale: float) -> Box:
    x, y, width, height = box
    return x * scale, y * scale, width * scale, height * scale


def _downscale(pixels: Pixels, long_side: int) -> Pixels:
    high, wide = pixels.shape[:2]
    scale = long_side / max(high, wide)
    if scale >= 1:
        return pixels
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _rescale_points(points: Points, small: Pixels, large: Pixels) -> Points:
    scale = np.array([large.shape[1] / small.shape[1], large.shape[0] / small.shape[0]])
    return np.asarray((points + 0.5) * scale - 0.5)


def _rotate_back(points: Points, quarters: int, grey: Pixels) -> Points:
    """Points of np.rot90(grey, quarters) as points of grey."""
    high, wide = grey.shape
    x, y = points[:, 0], points[:, 1]
    back = {0: (x, y), 1: (wide - 1 - y, x), 2: (wide - 1 - x, high - 1 - y), 3: (y, high - 1 - x)}
    return np.stack(back[quarters], axis=1)


def _drop_duplicates(faces: list[Face]) -> list[Face]:
    """Of faces whose centres nearly meet, keeps the one with the highest score."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_is_same_face(face, other) for other in kept):
            kept.append(face)
    return kept


def _is_same_face(one: Face, other: Face) -> bool:
    apart = np.linalg.norm(geometry.centre(one.landmarks) - geometry.centre(other.landmarks))
    return bool(apart < 0.35 * max(geometry.side(one.landmarks), geometry.side(other.landmarks)))


def left_to_right(faces: tuple[Face, ...]) -> tuple[Face, ...]:
    return tuple(sorted(faces, key=lambda face: geometry.centre(face.landmarks)[0]))


def largest(faces: tuple[Face, ...]) -> Face:
    return max(faces, key=lambda face: geometry.side(face.landmarks))


def central(faces: tuple[Face, ...], pixels: Pixels) -> Face:
    middle = np.array([pixels.shape[1] / 2, pixels.shape[0] / 2])
    return min(faces, key=lambda face: float(np.linalg.norm(geometry.centre(face.landmarks) - middle)))
