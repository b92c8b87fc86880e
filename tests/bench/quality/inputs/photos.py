"""The photos that are measured: the repository's samples with their labels, or those of a folder without."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.errors import PhotoRejected
from pipeline.image.decode import decode
from pipeline.types import Limits

SAMPLES = Path(__file__).parents[3] / "portraits"
LABELS = Path(__file__).with_name("labels.tsv")
ENDINGS = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif", ".tif", ".tiff"}


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One photo: its bytes, its upright sRGB pixels, and what is known of it.

    `face` is x, y and size (pixels of the upright photo) of the face that the portrait must show, None where nobody
    said; `faces` is how many there are, None where they cannot be counted. `skin` is light, medium, dark or "".
    """

    name: str
    data: bytes
    pixels: np.ndarray
    face: tuple[float, float, float] | None = None
    faces: int | None = None
    skin: str = ""
    well_lit: bool = False
    use: frozenset[str] = field(default_factory=frozenset)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def made(name: str, pixels: np.ndarray, **known: object) -> Shot:
    """A photo that the bench made, saved without loss."""
    return Shot(name, png(pixels), pixels, **known)


def samples() -> list[Shot]:
    with LABELS.open(encoding="utf-8", newline="") as file:
        return [_labelled(row) for row in csv.DictReader(file, delimiter="\t")]


def _labelled(row: dict[str, str]) -> Shot:
    data = (SAMPLES / row["file"]).read_bytes()
    face = None if row["x"] == "-" else (float(row["x"]), float(row["y"]), float(row["size"]))
    faces = None if row["faces"] == "-" else int(row["faces"])
    skin = row["skin"].strip("-")
    return Shot(
        row["file"], data, decode(data, Limits()).pixels, face, faces, skin, row["light"] == "good", _words(row["use"])
    )


def _words(text: str | None) -> frozenset[str]:
    return frozenset((text or "").split())


def of_folder(folder: Path) -> list[Shot]:
    """Every photo in it that can be read, taken for well lit, without labels."""
    every = frozenset({"cut", "tilt", "turn", "relit"})
    shots = []
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS):
        data = path.read_bytes()
        try:
            pixels = decode(data, Limits()).pixels
        except PhotoRejected:
            continue
        shots.append(Shot(path.name, data, pixels, well_lit=True, use=every))
    return shots
