"""The values that travel through the pipeline. All frozen: a step returns a changed copy."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""H x W x 3, RGB, sRGB, 0..255; or H x W for an alpha."""

Points = NDArray[np.float64]
"""N x 2, x and y, in pixels; a whole number is the centre of a pixel."""

Matrix = NDArray[np.float64]
"""2 x 3 affine transform between pixel centres."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a photo may be before it is decoded."""

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 50_000_000
    max_side: int = 20_000


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded photo: upright, sRGB, opaque.

    `format` is Pillow's name of the file's format; `grey` means that the picture has no colour; `alpha` (H x W) is None
    if nothing was transparent.
    """

    pixels: Pixels
    format: str
    grey: bool = False
    notes: tuple[str, ...] = ()
    alpha: Pixels | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face, in pixels of the upright photo. `landmarks` is 68 x 2 or 5 x 2, in dlib's order."""

    landmarks: Points
    score: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """One portrait between two steps: `pixels` in output scale, `to_output` maps the upright photo to it.

    `landmarks` are the face's in output pixels.
    """

    pixels: Pixels
    alpha: Pixels
    face: Face
    to_output: Matrix
    grey: bool = False
    cutout: str = "off"
    notes: tuple[str, ...] = ()

    @property
    def landmarks(self) -> Points:
        return np.asarray(self.face.landmarks @ self.to_output[:, :2].T + self.to_output[:, 2])


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded file of a portrait, without its name. `kind` is the file's ending: `png` or `jpg`."""

    kind: str
    data: bytes
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """One finished portrait: its files and the part of the report that describes it (`faces`, `geometry`)."""

    pictures: tuple[Picture, ...]
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """The results of one photo: its portraits (one, or several from left to right), and the report's common part."""

    portraits: tuple[Rendered, ...]
    facts: dict[str, Any]
    stages_ms: dict[str, float] = field(default_factory=dict)
