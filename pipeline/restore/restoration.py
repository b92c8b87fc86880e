"""Face restoration: which faces it helps, each through the network on its own 512 x 512, and back into the picture.

Not the restored face comes into the picture but the change that the network made to it, at the picture's own scale:
what the network leaves alone stays as it was, and nothing is ever reduced to the photo's resolution.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import blur_effect

from pipeline.face import geometry
from pipeline.face.identity import Identity
from pipeline.image.affine import apply, compose, inverse, sample
from pipeline.types import Matrix, Pixels, Points

SIDE: Final = 512
"""Width and height in pixels of the picture that the network restores."""

MOST_FACES: Final = 4

_TEMPLATE: Final = np.array(
    [
        (193.65928, 242.98541),
        (318.32558, 243.06108),
        (255.67984, 328.82894),
        (198.22603, 372.82502),
        (313.91018, 372.75659),
    ]
)
"""Where the network expects eyes, nose and corners of the mouth: the values for dlib's points that CodeFormer's authors
left beside the ones for their own detector (facelib, FaceRestoreHelper)."""

_AS_COMPLEX: Final = np.array([1, 1j])

_EYES: Final = 126.0
"""Pixels between the eyes that the network works at: of a photo with more it would take resolution away."""

_SOFT: Final = 0.7
"""Blur (Crete 2007, 0 sharp to 1) from which a face is soft: 55 sharp portraits had 0.32 to 0.68, and nearly all more
than 0.70 when blurred by 2 px of the 512."""

_FEATURES: Final = np.s_[150:430, 120:392]
"""Rows and columns of the 512 that hold eyes, nose and mouth."""

_FEATHER: Final = 32.0
"""Pixels of the 512 over which a change fades in from the edge of the face."""

_FOREHEAD: Final = 1.2
"""The landmarks end at the brows; the face goes on by this many times their distance from the eyes."""


class Network(Protocol):
    """What restores one aligned face, 512 x 512 x 3; `fidelity` from 0 (looks best) to 1 (closest to the photo)."""

    def restore(self, face: Pixels, fidelity: float) -> Pixels: ...


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """What became of one face. `change` (512 x 512 x 3 levels, faded out to 0) is None where nothing is to change."""

    outcome: str
    why: str
    landmarks: Points
    to_template: Matrix
    change: NDArray[np.float32] | None = None
    identity_distance: float | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """The report's words: `outcome` is applied, not_needed or dropped."""
        distance = {} if self.identity_distance is None else {"identity_distance": round(self.identity_distance, 3)}
        box = [round(value, 1) for value in geometry.box(self.landmarks)]
        return {"box": box, "outcome": self.outcome, "why": self.why, **distance}


class Restoration:
    """The network and, where its model is there, the guard that the person stays the same person."""

    def __init__(self, network: Network, identity: Identity | None, limit: float) -> None:
        self.network = network
        self._identity = identity
        self._limit = limit

    def face(self, pixels: Pixels, landmarks: Points, fidelity: float, *, always: bool) -> Restored:
        """The face with these 68 landmarks, restored where that helps, or `always`."""
        to_template = to_template_from(landmarks)
        seen = sample(pixels, to_template, SIDE, SIDE)
        apart = geometry.eye_distance(landmarks)
        need = "asked for" if always else _need(seen, apart)
        if need is None:
            return Restored("not_needed", f"{apart:.0f} px between the eyes, and sharp", landmarks, to_template)
        points = apply(to_template, landmarks)
        change = _change(seen, self.network.restore(seen, fidelity), mask(points))
        return self._guarded(Restored("applied", need, landmarks, to_template, change), seen, points)

    def _guarded(self, restored: Restored, seen: Pixels, points: Points) -> Restored:
        if self._identity is None or restored.change is None:
            return restored
        distance = self._identity.distance(seen, added(seen, restored.change), points)
        if distance <= self._limit:
            return replace(restored, identity_distance=distance)
        why = f"the restored face is another person's by {distance:.2f}; FACECRAFT_IDENTITY_LIMIT is {self._limit:g}"
        return replace(restored, outcome="dropped", why=why, change=None, identity_distance=distance)


def to_template_from(landmarks: Points) -> Matrix:
    """The least-squares similarity from a photo's 68 landmarks to the network's 512 x 512 (Umeyama 1991)."""
    source, target = _five(landmarks) @ _AS_COMPLEX, _TEMPLATE @ _AS_COMPLEX
    centred = source - source.mean()
    turn = np.vdot(centred, target - target.mean()) / np.vdot(centred, centred).real
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def mask(points: Points) -> NDArray[np.float32]:
    """512 x 512, 0..1: the inside of 68 landmarks (in the 512) and the lower part of the forehead, feathered."""
    brows = points[17:27]
    raised = brows + _FOREHEAD * (brows.mean(axis=0) - geometry.eye_middle(points))
    hull = cv2.convexHull(np.round(np.concatenate([points, raised])).astype(np.int32))
    area = cv2.fillConvexPoly(np.zeros((SIDE, SIDE), np.uint8), hull, 1)
    area[[0, -1]] = area[:, [0, -1]] = 0  # a face that reaches over the edge fades out before it
    ramp = np.clip(cv2.distanceTransform(area, cv2.DIST_L2, 5) / _FEATHER, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def blended(pixels: Pixels, to_output: Matrix, faces: Iterable[Restored], *, grey: bool) -> Pixels:
    """The picture (seen through `to_output`) with the changes of these faces; a grey one stays grey."""
    height, width = pixels.shape[:2]
    for face in faces:
        if face.change is None:
            continue
        change = sample(face.change, compose(to_output, inverse(face.to_template)), width, height)
        pixels = added(pixels, change.mean(axis=2, keepdims=True) if grey else change)
    return pixels


def added(pixels: Pixels, change: NDArray[np.float32]) -> Pixels:
    """A picture and a change in levels, rounded."""
    return np.asarray(np.round(np.clip(pixels + change, 0, 255)), np.uint8)


def _five(points: Points) -> Points:
    """Eyes, nose and corners of the mouth, as CodeFormer's authors took them from dlib's 68 points."""
    return np.array([*geometry.eyes(points), points[[30, 32, 33, 34]].mean(axis=0), points[48], points[54]])


def _change(seen: Pixels, restored: Pixels, where: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the network changed, without its shift of the whole face's colour: the tone is not the network's to set."""
    change = restored.astype(np.float32) - seen
    shift = np.average(change.reshape(-1, 3), axis=0, weights=where.reshape(-1))
    return np.asarray((change - shift) * where[:, :, None], np.float32)


def _need(seen: Pixels, eyes_apart: float) -> str | None:
    """Why this face (512 x 512; in the photo with so many pixels between its eyes) wants restoration, if it does."""
    if eyes_apart < _EYES:
        return f"{eyes_apart:.0f} px between the eyes, fewer than {_EYES:.0f}"
    blur = _blur(seen)
    return f"soft: blur {blur:.2f}, sharp is below {_SOFT:g}" if blur >= _SOFT else None


def _blur(seen: Pixels) -> float:
    """Blur of eyes, nose and mouth, 0 sharp to 1; noise is smoothed away first, or it would pass for sharpness."""
    grey = cv2.cvtColor(seen[_FEATURES], cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return float(blur_effect(cv2.GaussianBlur(grey, (0, 0), 1.0), h_size=11))  # type: ignore[no-untyped-call]  # untyped library
