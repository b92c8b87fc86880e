"""What all measures share: the photos, both sides, what they delivered, and a second opinion on it."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.image.affine import scale_of
from pipeline.image.decode import decode
from pipeline.types import Limits
from tests.bench.quality import sides
from tests.bench.quality.inputs import composites, photos
from tests.bench.quality.inputs.composites import Composite, CutOut
from tests.bench.quality.inputs.copies import reduced
from tests.bench.quality.inputs.photos import Shot
from tests.bench.quality.reader import Found, Reader
from tests.bench.quality.sides import Delivered

Pair = tuple[Delivered | None, Delivered | None]
"""What we delivered, and what the original did."""


class Bench:
    """`most` bounds how many photos of each kind of copy are made."""

    def __init__(self, models: Path, folder: Path | None, most: int) -> None:
        self.shots = photos.of_folder(folder) if folder else photos.samples()
        self.labelled = folder is None
        self.most = most
        self.portrait_pipeline, self._ours, self._theirs = sides.both(models)
        self.reader = Reader(models)
        self._delivered: dict[tuple[str, bool], Pair] = {}
        self._read: dict[str, Found | None] = {}
        self._done = 0

    def chosen(self, use: str) -> list[Shot]:
        """Up to `most` photos for this use, evenly spread over all, with one sure face."""
        fit = [shot for shot in self.shots if use in shot.use]
        step = max(1, -(-len(fit) // self.most))
        return [shot for shot in fit[::step] if self.points(shot) is not None]

    @property
    def faced(self) -> list[Shot]:
        """The photos in which a person is expected: those with a label, or all of a folder's."""
        return [shot for shot in self.shots if shot.face or not self.labelled]

    def both(self, shot: Shot, *, plain: bool = False) -> Pair:
        """Each side's portrait of the photo; made once."""
        key = shot.name, plain
        if key not in self._delivered:
            self._delivered[key] = self.fresh(shot.data, plain=plain)
        return self._delivered[key]

    def fresh(self, data: bytes, *, plain: bool = False) -> Pair:
        self._say()
        with ThreadPoolExecutor(2) as pool:
            ours, theirs = (pool.submit(side, data, plain=plain) for side in (self._ours, self._theirs))
            return ours.result(), theirs.result()

    def all(self, shots: Sequence[Shot], *, plain: bool = False) -> list[tuple[Shot, Pair]]:
        return [(shot, self.both(shot, plain=plain)) for shot in shots]

    def points(self, shot: Shot) -> np.ndarray | None:
        """68 landmarks of the photo's face, by the reader, in pixels of the upright photo."""
        if shot.name not in self._read:
            small = reduced(shot.pixels, 1000)
            scale = small.shape[1] / shot.pixels.shape[1]
            near = (shot.face[0] * scale, shot.face[1] * scale) if shot.face else self._largest(shot, scale)
            self._read[shot.name] = self.reader.face(small, near) if near else None
        found = self._read[shot.name]
        return None if found is None else found.points * (shot.pixels.shape[1] / reduced(shot.pixels, 1000).shape[1])

    def _largest(self, shot: Shot, scale: float) -> tuple[float, float] | None:
        ours, _ = self.both(shot)
        return None if ours is None else (float(ours.face[0] * scale), float(ours.face[1] * scale))

    @cached_property
    def cutouts(self) -> list[CutOut]:
        found = (composites.cut(self.portrait_pipeline, shot) for shot in self.chosen("cut"))
        return [each for each in found if each is not None]

    @cached_property
    def large(self) -> list[Composite]:
        return composites.large(self.cutouts, 2 * self.most)

    @cached_property
    def small(self) -> list[Composite]:
        return composites.small(self.cutouts, self.most)

    @cached_property
    def pairs(self) -> list[Shot]:
        return composites.pairs(self.cutouts, 4)

    def _say(self) -> None:
        self._done += 1
        print(f"\r{self._done} photos ", end="", file=sys.stderr, flush=True)


def enlargement(delivered: Delivered) -> float:
    return scale_of(delivered.matrix)


def pixels_of(data: bytes) -> np.ndarray:
    return decode(data, Limits()).pixels
