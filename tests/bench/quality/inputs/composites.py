"""Photos whose alpha and foreground are known: cut-outs pasted over other backgrounds.

Where a cut-out's alpha came from does not matter to the truth: the pasted picture is exact by construction. It comes
from closed-form matting (Levin, Lischinski, Weiss 2008) between a mask shrunk and the same mask grown, which neither
side of the comparison uses.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from pymatting import estimate_alpha_cf, estimate_foreground_ml

from pipeline.cutout import segment
from pipeline.face import geometry
from pipeline.pipeline import PortraitPipeline
from tests.bench.quality.inputs import grounds
from tests.bench.quality.inputs.copies import reduced
from tests.bench.quality.inputs.photos import Shot, made

_CUT_SIDE = 640
_LEAST = 400
"""In smaller photos all edges are blur, and the solver takes the ground for the person."""

_UNKNOWN = 7
"""Pixels to each side of the mask's edge in which the alpha is solved for."""

_HAZE = 0.15
"""What the solver is unsure of by this much, because person and ground are alike, goes to the nearer end."""

_SHAPE = 900, 1000
"""Height and width of a composite."""


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """A person on nothing. `colours` H x W x 3 0..1, `alpha` H x W 0..1, `face` x, y, size in its pixels."""

    name: str
    colours: np.ndarray
    alpha: np.ndarray
    face: tuple[float, float, float]
    skin: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Composite:
    """A made photo with its truth: `alpha` H x W and `colours` H x W x 3 of the person, 0..1."""

    shot: Shot
    alpha: np.ndarray
    colours: np.ndarray


def cut(portrait_pipeline: PortraitPipeline, shot: Shot) -> CutOut | None:
    """The person of a photo with one face, or None where no sure mask of one person is found."""
    if min(shot.pixels.shape[:2]) < _LEAST:
        return None
    pixels = reduced(shot.pixels, _CUT_SIDE)
    faces = portrait_pipeline.find_faces(pixels)
    if len(faces) != 1:
        return None
    person = segment.select_person(portrait_pipeline.segmenter.mask(pixels), faces[0].landmarks)
    rows = 0 if person is None else whole_rows(person)
    x, y, width, height = geometry.box(faces[0].landmarks)
    if person is None or rows < y + 1.4 * height or x < 0 or x + width > pixels.shape[1]:
        return None
    pixels, person = pixels[:rows], person[:rows]
    alpha = estimate_alpha_cf(pixels / 255.0, trimap(person))
    alpha = np.clip((alpha - _HAZE) / (1 - 2 * _HAZE), 0, 1)
    colours = np.clip(estimate_foreground_ml(pixels / 255.0, alpha), 0, 1)
    centre = geometry.centre(faces[0].landmarks)
    face = float(centre[0]), float(centre[1]), geometry.side(faces[0].landmarks)
    return CutOut(shot.name, colours, alpha, face, shot.skin)


def trimap(mask: np.ndarray) -> np.ndarray:
    """1 surely inside, 0 surely outside, 0.5 within `_UNKNOWN` pixels of the mask's soft edge."""
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _UNKNOWN + 1, 2 * _UNKNOWN + 1))
    inside = cv2.erode((mask > 240).astype(np.uint8), near, borderValue=1)
    outside = cv2.dilate((mask > 15).astype(np.uint8), near) == 0
    return np.where(inside > 0, 1.0, np.where(outside, 0.0, 0.5))


def whole_rows(mask: np.ndarray) -> int:
    """How many rows from the top show the person whole. Below, it reaches a side of the photo: elsewhere it would be
    seen to be cut off. 0 where it reaches the top."""
    reaches = (mask[:, :2] > 60).any(axis=1) | (mask[:, -2:] > 60).any(axis=1)
    if (mask[0] > 60).any():
        return 0
    return int(np.argmax(reaches)) if reaches.any() else len(mask)


def pasted(who: CutOut, name: str, behind: np.ndarray, share: float, across: float) -> Composite:
    """The person over `behind`, standing on its lower edge, `share` as high, the face at `across` of the width."""
    high, wide = behind.shape[:2]
    scale = share * high / who.alpha.shape[0]
    size = round(who.alpha.shape[1] * scale), round(who.alpha.shape[0] * scale)
    alpha, weighted = (_resized(each, size) for each in (who.alpha, who.colours * who.alpha[:, :, None]))
    colours = np.clip(weighted / np.maximum(alpha, 1e-3)[:, :, None], 0, 1)
    left = round(across * wide - who.face[0] * scale)
    whole_alpha, whole_colours = np.zeros((high, wide)), np.zeros((high, wide, 3))
    begin, end = max(left, 0), min(left + size[0], wide)
    rows = slice(high - size[1], high)
    whole_alpha[rows, begin:end] = alpha[:, begin - left : end - left]
    whole_colours[rows, begin:end] = colours[:, begin - left : end - left]
    mixed = whole_colours * whole_alpha[:, :, None] + behind / 255.0 * (1 - whole_alpha[:, :, None])
    face = who.face[0] * scale + left, who.face[1] * scale + high - size[1], who.face[2] * scale
    shot = made(f"{who.name} on {name}", np.round(255 * mixed).astype(np.uint8), face=face, faces=1, skin=who.skin)
    return Composite(shot, whole_alpha, whole_colours)


def _resized(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    way = cv2.INTER_AREA if size[1] < plane.shape[0] else cv2.INTER_LINEAR
    return np.clip(cv2.resize(plane, size, interpolation=way), 0, 1)


def large(who: list[CutOut], most: int) -> list[Composite]:
    """Each person over three of the grounds, filling most of the photo; `most` composites at the most."""
    plan = [(each, number + step) for step in (0, 2, 4) for number, each in enumerate(who)]
    return [pasted(each, *_ground(number), 0.85, 0.45) for each, number in plan[:most]]


def small(who: list[CutOut], most: int) -> list[Composite]:
    """Each person over two of the grounds, less than half as high as the photo, beside its middle."""
    plan = [(each, number + step) for step in (1, 3) for number, each in enumerate(who)]
    return [pasted(each, *_ground(number), 0.42, 0.65) for each, number in plan[:most]]


def pairs(who: list[CutOut], most: int) -> list[Shot]:
    """Two people each; the nearer one is the larger, and covers what it covers."""
    shots = []
    for number, (far, near) in enumerate(pairwise(who)):
        one = pasted(far, *_ground(number + 3), _share(far, 0.09), 0.22).shot
        two = pasted(near, one.name, one.pixels, _share(near, 0.16), 0.66).shot
        shots.append(replace(two, faces=2))
    return shots[:most]


def _share(who: CutOut, face: float) -> float:
    """How high the person must be for its face to be `face` of the composite's height."""
    return min(face * who.alpha.shape[0] / who.face[2], 0.98)


def _ground(number: int) -> tuple[str, np.ndarray]:
    name = list(grounds.ALL)[number % len(grounds.ALL)]
    return name, grounds.ALL[name](*_SHAPE)
