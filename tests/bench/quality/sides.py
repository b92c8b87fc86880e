"""Both sides of the comparison behind one shape: what a photo became."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from pipeline.cutout.compose import composite
from pipeline.errors import PhotoRejected
from pipeline.models.catalog import cutout_model, verified
from pipeline.models.model_set import ModelSet
from pipeline.pipeline import PortraitPipeline
from pipeline.recipe import Recipe
from pipeline.stopwatch import Stopwatch
from pipeline.types import Limits, Result
from tests.bench.common.original import Drawn, NoFaceError, Original, encoded

GREY = (240, 240, 240)


@dataclass(frozen=True, slots=True, eq=False)
class Delivered:
    """One portrait. `rgb` and `alpha` as in the PNG; `matrix` from the upright photo to them (pixel centres).

    `face` is the middle of the face's box in the photo, `faces` how many were reported, `seen` the part of the picture
    that is not padding (left, top, right, bottom).
    """

    rgb: np.ndarray
    alpha: np.ndarray
    matrix: np.ndarray
    face: np.ndarray
    faces: int
    notes: tuple[str, ...]
    png: bytes
    jpeg: bytes
    seen: tuple[int, int, int, int]

    @property
    def flat(self) -> np.ndarray:
        """As it looks on the grey of the JPEG."""
        return composite(self.rgb, self.alpha, GREY)


class Side(Protocol):
    def __call__(self, data: bytes, *, plain: bool = False) -> Delivered | None:
        """The portrait with everything at its default, or `plain`: neither tone nor oval. None: no portrait."""


class Ours:
    def __init__(self, portrait_pipeline: PortraitPipeline) -> None:
        self._portrait_pipeline = portrait_pipeline

    def __call__(self, data: bytes, *, plain: bool = False) -> Delivered | None:
        recipe = Recipe(restore="off", oval_mask=not plain, photo_enhance=not plain)
        try:
            return _ours(self._portrait_pipeline.process(data, recipe, Limits(), "photo.jpg"))
        except PhotoRejected:
            return None


def _ours(result: Result) -> Delivered:
    portrait, facts = result.portraits[0], result.facts
    png, jpeg = (picture.data for picture in portrait.pictures)
    rgba = np.asarray(Image.open(io.BytesIO(png)))
    x, y, width, height = portrait.facts["faces"]["box"]
    return Delivered(
        np.ascontiguousarray(rgba[:, :, :3]),
        np.ascontiguousarray(rgba[:, :, 3]),
        np.array(portrait.facts["geometry"]["source_to_output"]),
        np.array([x + width / 2, y + height / 2]),
        facts["face_count"],
        tuple(facts["notes"]),
        png,
        jpeg,
        (0, 0, rgba.shape[1], rgba.shape[0]),
    )


class Theirs:
    def __init__(self, original: Original) -> None:
        self._original = original

    def __call__(self, data: bytes, *, plain: bool = False) -> Delivered | None:
        try:
            return _theirs(self._original.draw(data, Stopwatch(), tone=not plain, oval=not plain))
        except NoFaceError:
            return None


def _theirs(drawn: Drawn) -> Delivered:
    png, jpeg = encoded(drawn.bgra)
    rgb, alpha = np.ascontiguousarray(drawn.bgra[:, :, 2::-1]), np.ascontiguousarray(drawn.bgra[:, :, 3])
    return Delivered(rgb, alpha, drawn.matrix, drawn.face, 1, (), png, jpeg, drawn.seen)


def both(models: Path) -> tuple[PortraitPipeline, Ours, Theirs]:
    """Our pipeline and the two sides, with the same models."""
    landmarks, mask = verified(models, "landmarks_68"), verified(models, cutout_model(models).name)
    portrait_pipeline = PortraitPipeline(ModelSet(landmarks, mask, verified(models, "mmod"), device="cpu"))
    return (
        portrait_pipeline,
        Ours(portrait_pipeline),
        Theirs(Original(landmarks.path, portrait_pipeline.segmenter.session)),
    )
