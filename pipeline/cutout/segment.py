"""Cutting the person out: a rembg session for the mask, checked before it is believed."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image
from rembg.sessions.u2net_custom import U2netCustomSession

from pipeline.errors import ModelError
from pipeline.models.device import CUDA, Provider, chosen, providers
from pipeline.types import Pixels, Points

_AREA: Final = (0.05, 0.97)
_FACE_SHARE: Final = 0.85
"""A mask is believed when it fills this share of the picture, and at least this much of the face."""


_NO_GPU: Final = (
    "onnxruntime could not use the GPU, the log says why: give the container the GPU (--gpus all) and the machine a "
    "driver of version 580 or newer, or set FACECRAFT_DEVICE=cpu"
)

_CLEAN: Final = np.array([0 if level < 6 else 255 if level > 249 else level for level in range(256)], np.uint8)
"""The network is never quite sure; a person's middle is opaque all the same, and the air around transparent."""


class _Session(U2netCustomSession):  # type: ignore[misc]  # rembg is untyped
    """rembg's session for a U-2-Net file at any path; the stock one insists on a folder below the home folder."""

    @classmethod
    def download_models(cls, *_: object, model_path: Path, **__: object) -> str:
        return str(model_path)

    def _warn_on_provider_fallback(self, requested: list[Provider]) -> None:
        """ModelError where the GPU is not used: onnxruntime goes on without it, and rembg would only warn."""
        if len(self.inner_session.get_providers()) < len(requested):
            raise ModelError(_NO_GPU)


def session(model: Path, device: str, threads: int) -> _Session:
    """The network on `cpu` or `cuda:N`. ModelError where that GPU cannot be used."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if device != "cpu":
        onnxruntime.preload_dlls()  # CUDA comes in wheels, and without restoration no torch has loaded it
    return _Session("u2net_custom", options, model_path=model, providers=providers(device))


class Cutout:
    """Masks of the person. `threads` bounds the network's threads; `device` is `auto`, `cpu` or `cuda[:N]`."""

    def __init__(self, model: Path, device: str = "cpu", threads: int = 0) -> None:
        gpu = CUDA in onnxruntime.get_available_providers()
        self.device = chosen(device, gpu=gpu, runtime="onnxruntime")
        self.session = session(model, self.device, threads)

    def mask(self, pixels: Pixels) -> Pixels:
        """H x W, 0..255, of the whole picture: always stretched to the full range, person or not."""
        (mask,) = self.session.predict(Image.fromarray(pixels))
        return np.asarray(mask, np.uint8)


def person(mask: Pixels, face: Points) -> Pixels | None:
    """The part of the mask that belongs to the person with this face, or None where the mask makes no sense.

    `face` holds the landmarks in the mask's pixels. What is not connected to the person is removed, each soft pixel
    with the solid part that it is nearest to.
    """
    solid = (mask > 127).astype(np.uint8)
    inside = _hull(mask.shape, face)
    parts = np.asarray(cv2.connectedComponents(solid)[1], np.int32)
    owners = parts[(inside > 0) & (parts > 0)]
    if not owners.size:
        return None
    mine = np.bincount(owners).argmax()
    own = np.asarray(_CLEAN[np.where(_nearest(parts) == mine, mask, 0)], np.uint8)
    return own if _sensible(own, inside) else None


def _nearest(parts: NDArray[np.int32]) -> NDArray[np.int32]:
    """For every pixel the number of the nearest part (parts are numbered from 1; 0 is background)."""
    away = (parts == 0).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    part_of = np.zeros(labels.max() + 1, np.int32)
    part_of[labels[parts > 0]] = parts[parts > 0]
    return part_of[labels]


def _hull(shape: tuple[int, ...], face: Points) -> Pixels:
    area = np.zeros(shape, np.uint8)
    outline = cv2.convexHull(np.round(face).astype(np.int32))
    return np.asarray(cv2.fillConvexPoly(area, outline, 255), np.uint8)


def _sensible(mask: Pixels, inside: Pixels) -> bool:
    share = float((mask > 127).mean())
    face = mask[inside > 0]
    return _AREA[0] < share < _AREA[1] and bool(face.size) and float((face > 127).mean()) >= _FACE_SHARE


def head(mask: Pixels, centre: Points, side: float) -> Points:
    """The outline of the person's head with its hair or hat: N x 2, in the mask's pixels; may be empty.

    What lies above the face's middle and within 0.9 face sizes of it; single strands are not part of it, nor are
    shoulders, and long hair may leave the picture below.
    """
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
    solid = cv2.morphologyEx((mask > 127).astype(np.uint8), cv2.MORPH_OPEN, ball)
    rows, columns = np.nonzero(solid)
    near = (rows < centre[1]) & (np.abs(columns - centre[0]) < 0.9 * side)
    points = np.stack([columns[near], rows[near]], axis=1).astype(np.int32)
    return cv2.convexHull(points).reshape(-1, 2).astype(np.float64) if len(points) else np.empty((0, 2))
