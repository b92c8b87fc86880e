"""Person segmentation: U-2-Net's mask, reduced to the person with the face, and rejected if it is implausible."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image
from rembg.sessions.u2net_custom import U2netCustomSession

from pipeline.errors import ModelError
from pipeline.models.device import CUDA, Provider, choose_device, onnx_providers
from pipeline.types import Pixels, Points

_PLAUSIBLE_AREA: Final = (0.05, 0.97)
_MIN_FACE_SHARE: Final = 0.85
"""A mask is plausible if it fills between these shares of the picture, and at least this share of the face."""

_NO_GPU: Final = (
    "onnxruntime could not use the GPU, the log says why: give the container the GPU (--gpus all) and the machine a "
    "driver of version 580 or newer, or set FACECRAFT_DEVICE=cpu"
)

_CLIP_ENDS: Final = np.array([0 if level < 6 else 255 if level > 249 else level for level in range(256)], np.uint8)
"""Levels near both ends go there: the network is never quite sure, but a person's middle is opaque."""


class LocalU2netSession(U2netCustomSession):  # type: ignore[misc]  # rembg is untyped
    """rembg's session for a U-2-Net file at any path; the stock one insists on a folder below the home folder."""

    @classmethod
    def download_models(cls, *_: object, model_path: Path, **__: object) -> str:
        return str(model_path)

    def _warn_on_provider_fallback(self, requested: list[Provider]) -> None:
        """Raises ModelError if the GPU is not used: onnxruntime goes on without it, and rembg would only warn."""
        if len(self.inner_session.get_providers()) < len(requested):
            raise ModelError(_NO_GPU)


def load_session(model: Path, device: str, threads: int) -> LocalU2netSession:
    """Loads the network.

    Args:
        model: A U-2-Net in ONNX format.
        device: `cpu` or `cuda:N`.
        threads: Of the network on the CPU; 0 means one for each core.

    Raises:
        ModelError: That GPU cannot be used.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if device != "cpu":
        onnxruntime.preload_dlls()  # CUDA comes in wheels, and without restoration no torch has loaded it
    return LocalU2netSession("u2net_custom", options, model_path=model, providers=onnx_providers(device))


class Segmenter:
    """Finds people's pixels with U-2-Net.

    Args:
        model: The network in ONNX format.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: Of the network on the CPU; 0 means one for each core.

    Raises:
        ModelError: The device cannot be used.
    """

    def __init__(self, model: Path, device: str = "cpu", threads: int = 0) -> None:
        gpu = CUDA in onnxruntime.get_available_providers()
        self.device = choose_device(device, gpu=gpu, runtime="onnxruntime")
        self.session = load_session(model, self.device, threads)

    def mask(self, pixels: Pixels) -> Pixels:
        """The mask, H x W, 0..255, of H x W x 3 pixels. It is stretched to the full range even if nobody is there."""
        (mask,) = self.session.predict(Image.fromarray(pixels))
        return np.asarray(mask, np.uint8)


def select_person(mask: Pixels, face: Points) -> Pixels | None:
    """The part of the mask that belongs to the person with this face; None if the mask is implausible.

    What is not connected to the person is removed. A soft pixel belongs to the solid part that it is nearest to.

    Args:
        mask: H x W, 0..255.
        face: N x 2, the landmarks in the mask's pixels.
    """
    solid = (mask > 127).astype(np.uint8)
    inside = _face_hull(mask.shape, face)
    parts = np.asarray(cv2.connectedComponents(solid)[1], np.int32)
    owners = parts[(inside > 0) & (parts > 0)]
    if not owners.size:
        return None
    mine = np.bincount(owners).argmax()
    own = np.asarray(_CLIP_ENDS[np.where(_nearest_part(parts) == mine, mask, 0)], np.uint8)
    return own if _is_plausible(own, inside) else None


def _nearest_part(parts: NDArray[np.int32]) -> NDArray[np.int32]:
    """For every pixel the number of the nearest part; parts are numbered from 1, and 0 is background."""
    away = (parts == 0).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(away, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    part_of = np.zeros(labels.max() + 1, np.int32)
    part_of[labels[parts > 0]] = parts[parts > 0]
    return part_of[labels]


def _face_hull(shape: tuple[int, ...], face: Points) -> Pixels:
    area = np.zeros(shape, np.uint8)
    outline = cv2.convexHull(np.round(face).astype(np.int32))
    return np.asarray(cv2.fillConvexPoly(area, outline, 255), np.uint8)


def _is_plausible(mask: Pixels, inside: Pixels) -> bool:
    share = float((mask > 127).mean())
    face = mask[inside > 0]
    plausible_area = _PLAUSIBLE_AREA[0] < share < _PLAUSIBLE_AREA[1]
    return plausible_area and bool(face.size) and float((face > 127).mean()) >= _MIN_FACE_SHARE


def head_outline(mask: Pixels, centre: Points, side: float) -> Points:
    """The outline of the person's head with its hair or hat.

    That is what lies above the face's centre and within 0.9 face sizes of it to each side; without single strands and
    shoulders, and without long hair below.

    Args:
        mask: H x W, 0..255, of one person.
        centre: The face's centre, x and y in the mask's pixels.
        side: The face's size in the mask's pixels.

    Returns:
        N x 2, in the mask's pixels; may be empty.
    """
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15))
    solid = cv2.morphologyEx((mask > 127).astype(np.uint8), cv2.MORPH_OPEN, ball)
    rows, columns = np.nonzero(solid)
    near = (rows < centre[1]) & (np.abs(columns - centre[0]) < 0.9 * side)
    points = np.stack([columns[near], rows[near]], axis=1).astype(np.int32)
    return cv2.convexHull(points).reshape(-1, 2).astype(np.float64) if len(points) else np.empty((0, 2))
