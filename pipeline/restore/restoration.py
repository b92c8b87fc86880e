"""Face restoration around the network: which faces need it, their alignment, the identity check and the blending.

The portrait gets the change that the network made to the face, and not the face itself: what the network leaves alone
stays as it was, and nothing is reduced to the photo's resolution. The network itself: `inference.py`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import blur_effect

from pipeline.face import geometry
from pipeline.face.identity import Identity
from pipeline.image.affine import apply, chain, inverse, sample
from pipeline.types import Matrix, Pixels, Points

RestoreAligned = Callable[[Pixels, float], Pixels]
"""(aligned face, fidelity) -> restored face; 512 x 512 x 3. Fidelity 0 looks best, 1 stays closest to the photo."""

SIDE: Final = 512
"""Width and height in pixels of the picture that the network restores."""

MAX_FACES: Final = 4
"""Faces of one photo that are restored."""

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

_ENOUGH_EYE_DISTANCE: Final = 126.0
"""Pixels between the eyes in the network's 512 x 512. Restoring a face with more would cost resolution."""

_SOFT_FROM: Final = 0.7
"""Blur (Crete 2007, 0 sharp to 1) from which a face is soft: 55 sharp portraits had 0.32 to 0.68, and nearly all more
than 0.70 when blurred by 2 px of the 512."""

_FEATURES: Final = np.s_[150:430, 120:392]
"""Rows and columns of the 512 that hold eyes, nose and mouth."""

_FEATHER: Final = 32.0
"""Pixels of the 512 x 512 over which a change fades in from the edge of the face."""

_FOREHEAD: Final = 1.2
"""The landmarks end at the brows; the face goes on by this many times their distance from the eyes."""


@dataclass(frozen=True, slots=True, eq=False)
class RestoredFace:
    """The result for one face.

    `outcome` is applied, not_needed or dropped. `change` is 512 x 512 x 3, in levels, faded out to 0 towards the edge;
    None if nothing is to change.
    """

    outcome: str
    why: str
    landmarks: Points
    to_template: Matrix
    change: NDArray[np.float32] | None = None
    identity_distance: float | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """The face's entry in the report."""
        distance = {} if self.identity_distance is None else {"identity_distance": round(self.identity_distance, 3)}
        box = [round(value, 1) for value in geometry.box(self.landmarks)]
        return {"box": box, "outcome": self.outcome, "why": self.why, **distance}


class FaceRestoration:
    """Restores faces with a network. With an identity model it drops a face that became another person's.

    Args:
        restore_aligned: The network.
        identity: The identity model, or None for no check.
        limit: The largest identity distance at which a restored face is kept.
    """

    def __init__(self, restore_aligned: RestoreAligned, identity: Identity | None, limit: float) -> None:
        self._restore_aligned = restore_aligned
        self._identity = identity
        self._limit = limit

    def restore_face(self, pixels: Pixels, landmarks: Points, fidelity: float, *, always: bool) -> RestoredFace:
        """Restores a face if it is small or soft.

        Args:
            pixels: The upright photo, H x W x 3.
            landmarks: The face's 68 landmarks in it.
            fidelity: 0 looks best, 1 stays closest to the photo.
            always: Restore also a face that is large and sharp.
        """
        to_template = align_to_template(landmarks)
        seen = sample(pixels, to_template, SIDE, SIDE)
        apart = geometry.eye_distance(landmarks)
        need = "asked for" if always else _reason_to_restore(seen, apart)
        if need is None:
            return RestoredFace("not_needed", f"{apart:.0f} px between the eyes, and sharp", landmarks, to_template)
        points = apply(to_template, landmarks)
        change = _change_by_network(seen, self._restore_aligned(seen, fidelity), face_mask(points))
        return self._check_identity(RestoredFace("applied", need, landmarks, to_template, change), seen, points)

    def _check_identity(self, restored: RestoredFace, seen: Pixels, points: Points) -> RestoredFace:
        if self._identity is None or restored.change is None:
            return restored
        distance = self._identity.distance(seen, add_change(seen, restored.change), points)
        if distance <= self._limit:
            return replace(restored, identity_distance=distance)
        why = f"the restored face is another person's by {distance:.2f}; FACECRAFT_IDENTITY_LIMIT is {self._limit:g}"
        return replace(restored, outcome="dropped", why=why, change=None, identity_distance=distance)


def align_to_template(landmarks: Points) -> Matrix:
    """The least-squares similarity transform from a photo's 68 landmarks to the network's 512 x 512 (Umeyama 1991)."""
    source, target = _five_points(landmarks) @ _AS_COMPLEX, _TEMPLATE @ _AS_COMPLEX
    centred = source - source.mean()
    turn = np.vdot(centred, target - target.mean()) / np.vdot(centred, centred).real
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def face_mask(points: Points) -> NDArray[np.float32]:
    """The face and the lower part of its forehead, feathered: 512 x 512, 0..1. `points`: its 68 landmarks there."""
    brows = points[17:27]
    raised = brows + _FOREHEAD * (brows.mean(axis=0) - geometry.eye_middle(points))
    hull = cv2.convexHull(np.round(np.concatenate([points, raised])).astype(np.int32))
    area = cv2.fillConvexPoly(np.zeros((SIDE, SIDE), np.uint8), hull, 1)
    area[[0, -1]] = area[:, [0, -1]] = 0  # a face that reaches over the edge fades out before it
    ramp = np.clip(cv2.distanceTransform(area, cv2.DIST_L2, 5) / _FEATHER, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def blend_restored(pixels: Pixels, to_output: Matrix, faces: Iterable[RestoredFace], *, grey: bool) -> Pixels:
    """The portrait with the changes of these faces; a grey one stays grey.

    Args:
        pixels: The portrait, H x W x 3.
        to_output: The transform from the upright photo to it.
        faces: Restored faces of the photo.
        grey: Whether the photo has no colour.
    """
    height, width = pixels.shape[:2]
    for face in faces:
        if face.change is None:
            continue
        change = sample(face.change, chain(to_output, inverse(face.to_template)), width, height)
        pixels = add_change(pixels, change.mean(axis=2, keepdims=True) if grey else change)
    return pixels


def add_change(pixels: Pixels, change: NDArray[np.float32]) -> Pixels:
    """Pixels (H x W x 3) plus a change in levels (H x W x 3 or H x W x 1), rounded."""
    return np.asarray(np.round(np.clip(pixels + change, 0, 255)), np.uint8)


def _five_points(points: Points) -> Points:
    """Eyes, nose and corners of the mouth, as CodeFormer's authors took them from dlib's 68 points."""
    return np.array([*geometry.eyes(points), points[[30, 32, 33, 34]].mean(axis=0), points[48], points[54]])


def _change_by_network(seen: Pixels, restored: Pixels, where: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the network changed, without its shift of the whole face's colour: the network does not set the tone."""
    change = restored.astype(np.float32) - seen
    shift = np.average(change.reshape(-1, 3), axis=0, weights=where.reshape(-1))
    return np.asarray((change - shift) * where[:, :, None], np.float32)


def _reason_to_restore(seen: Pixels, eyes_apart: float) -> str | None:
    """Why the aligned face needs restoration, None if it does not. `eyes_apart` is measured in the photo."""
    if eyes_apart < _ENOUGH_EYE_DISTANCE:
        return f"{eyes_apart:.0f} px between the eyes, fewer than {_ENOUGH_EYE_DISTANCE:.0f}"
    blur = _measure_blur(seen)
    return f"soft: blur {blur:.2f}, sharp is below {_SOFT_FROM:g}" if blur >= _SOFT_FROM else None


def _measure_blur(seen: Pixels) -> float:
    """Blur of eyes, nose and mouth, 0 (sharp) to 1 (Crete et al. 2007); smoothed first: noise passes for sharpness."""
    grey = cv2.cvtColor(seen[_FEATURES], cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return float(blur_effect(cv2.GaussianBlur(grey, (0, 0), 1.0), h_size=11))  # type: ignore[no-untyped-call]  # untyped library
