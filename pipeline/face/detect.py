"""Finding faces: dlib's HOG detector on a reduced copy, with further looks only where nothing sure was found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import dlib
import numpy as np

from pipeline.face import geometry
from pipeline.face.landmarks import Box, Landmarker, plausible
from pipeline.types import Face, Pixels, Points

_LONG_SIDE: Final = 1000
"""A reduced copy finds more faces than the full photo, not only faster (99 of 100 upright photos)."""

_LEAST: Final = 16
"""No face with 5 px between its eyes fits into fewer pixels, and dlib raises an error on pictures of one or two."""

_MMOD_SIDE: Final = 640
_MMOD_CONFIDENCE: Final = 0.7
_MMOD_LEAST: Final = 80
"""The network sees no smaller face, and dlib raises an error on pictures much smaller."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One run of HOG: doublings of the copy, the score from which a box counts, how far its points may spread."""

    upsample: int
    threshold: float
    spread: float


_FIRST: Final = (_Look(0, 0.0, 0.04), _Look(1, 0.0, 0.04))
_FAINT: Final = _Look(1, -0.2, 0.046)
_TURNED: Final = (_Look(0, 0.3, 0.025), _Look(1, 0.3, 0.025))
_DOUBT: Final = 0.3
"""HOG's score below which a face may be a pattern, or a face seen upside down."""

_UPRIGHT_BONUS: Final = 0.3
"""HOG's score by which a face in a turned copy must be surer than a faint upright one: photos are mostly upright."""


class FaceFinder:
    """Finds all faces of a photo. `mmod` is the path of dlib's network, a last look where HOG found nothing."""

    def __init__(self, landmarker: Landmarker, mmod: Path | None = None) -> None:
        self._landmarker = landmarker
        self._hog = dlib.get_frontal_face_detector()
        self._mmod = dlib.cnn_face_detection_model_v1(str(mmod)) if mmod else None

    def __call__(self, pixels: Pixels) -> tuple[Face, ...]:
        """Faces in pixels of the photo, surest first; where it was taken on its side the points lie so, too."""
        small = _reduced(pixels, _LONG_SIDE)
        if min(small.shape[:2]) < _LEAST:
            return ()
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        found = self._sure(grey) or self._doubtful(grey, small)
        return tuple(Face(_enlarged(face.landmarks, grey, pixels), face.score) for face in _distinct(found))

    def _sure(self, grey: Pixels) -> list[Face]:
        """What HOG finds upright, if one of the faces is beyond doubt."""
        looks = (self._look(grey, look) for look in _FIRST)
        return next((faces for faces in looks if _surest(faces) >= _DOUBT), [])

    def _doubtful(self, grey: Pixels, small: Pixels) -> list[Face]:
        """Faint faces, or surer ones in another direction; where HOG cannot tell, the network decides."""
        faint = self._look(grey, _FAINT)
        turned = self._turned(grey)
        if _surest(turned) > _surest(faint) + _UPRIGHT_BONUS:
            return turned
        by_network = self._by_network(grey, small)
        # HOG's box fits the predictor better, so where both mean the same face its points are the ones to trust
        agreed = any(_same(one, other) for one in faint for other in by_network)
        return faint if agreed else by_network or faint

    def _turned(self, grey: Pixels) -> list[Face]:
        """The direction with the surest face, of the three others in which a camera may have lain."""
        for look in _TURNED:
            best = max((self._look_turned(grey, look, quarters) for quarters in (1, 2, 3)), key=_surest)
            if best:
                return best
        return []

    def _look_turned(self, grey: Pixels, look: _Look, quarters: int) -> list[Face]:
        turned = np.ascontiguousarray(np.rot90(grey, quarters))
        return [Face(_turned_back(face.landmarks, quarters, grey), face.score) for face in self._look(turned, look)]

    def _look(self, grey: Pixels, look: _Look) -> list[Face]:
        boxes, scores, _ = self._hog.run(grey, look.upsample, look.threshold)
        faces = (self._face(grey, _box(box), score, look.spread) for box, score in zip(boxes, scores, strict=True))
        return [face for face in faces if face]

    def _by_network(self, grey: Pixels, small: Pixels) -> list[Face]:
        """What the network finds upright, else in the direction in which it is surest."""
        reduced = _reduced(small, _MMOD_SIDE)
        if self._mmod is None or min(reduced.shape[:2]) < _MMOD_LEAST:
            return []
        upright = self._network_turned(grey, reduced, 0)
        return upright or max((self._network_turned(grey, reduced, quarters) for quarters in (1, 2, 3)), key=_surest)

    def _network_turned(self, grey: Pixels, reduced: Pixels, quarters: int) -> list[Face]:
        scale = grey.shape[1] / reduced.shape[1]
        hits = self._mmod(np.ascontiguousarray(np.rot90(reduced, quarters)), 0) if self._mmod else ()
        turned = np.ascontiguousarray(np.rot90(grey, quarters))
        faces = [
            self._face(turned, _scaled(_box(hit.rect), scale), hit.confidence, _FIRST[0].spread)
            for hit in hits
            if hit.confidence >= _MMOD_CONFIDENCE
        ]
        return [Face(_turned_back(face.landmarks, quarters, grey), face.score) for face in faces if face]

    def _face(self, grey: Pixels, box: Box, score: float, spread: float) -> Face | None:
        """The face in a detector's box, or None where the landmarks say that there is none.

        On a face the predictor gives the same points from any near box; elsewhere each box has its own. The surer
        the detector, the more spread is allowed: hands and hats cover real faces too.
        """
        points, measured = self._landmarker.locate(grey, box)
        allowed = spread + 0.03 * max(score, 0.0)
        return Face(points, score) if measured <= allowed and plausible(points, box) else None


def _surest(faces: list[Face]) -> float:
    return max((face.score for face in faces), default=-1.0)


def _box(rectangle: dlib.rectangle) -> Box:
    return rectangle.left(), rectangle.top(), rectangle.width(), rectangle.height()


def _scaled(box: Box, scale: float) -> Box:
    x, y, width, height = box
    return x * scale, y * scale, width * scale, height * scale


def _reduced(pixels: Pixels, long_side: int) -> Pixels:
    high, wide = pixels.shape[:2]
    scale = long_side / max(high, wide)
    if scale >= 1:
        return pixels
    size = max(1, round(wide * scale)), max(1, round(high * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _enlarged(points: Points, small: Pixels, large: Pixels) -> Points:
    scale = np.array([large.shape[1] / small.shape[1], large.shape[0] / small.shape[0]])
    return np.asarray((points + 0.5) * scale - 0.5)


def _turned_back(points: Points, quarters: int, grey: Pixels) -> Points:
    """Points of np.rot90(grey, quarters) as points of grey."""
    high, wide = grey.shape
    x, y = points[:, 0], points[:, 1]
    back = {0: (x, y), 1: (wide - 1 - y, x), 2: (wide - 1 - x, high - 1 - y), 3: (y, high - 1 - x)}
    return np.stack(back[quarters], axis=1)


def _distinct(faces: list[Face]) -> list[Face]:
    """Two looks at one person are one face: of faces whose centres nearly meet the surest stays."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_same(face, other) for other in kept):
            kept.append(face)
    return kept


def _same(one: Face, other: Face) -> bool:
    apart = np.linalg.norm(geometry.centre(one.landmarks) - geometry.centre(other.landmarks))
    return bool(apart < 0.35 * max(geometry.side(one.landmarks), geometry.side(other.landmarks)))


def left_to_right(faces: tuple[Face, ...]) -> tuple[Face, ...]:
    return tuple(sorted(faces, key=lambda face: geometry.centre(face.landmarks)[0]))


def largest(faces: tuple[Face, ...]) -> Face:
    return max(faces, key=lambda face: geometry.side(face.landmarks))


def central(faces: tuple[Face, ...], pixels: Pixels) -> Face:
    middle = np.array([pixels.shape[1] / 2, pixels.shape[0] / 2])
    return min(faces, key=lambda face: float(np.linalg.norm(geometry.centre(face.landmarks) - middle)))
