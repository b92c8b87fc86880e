"""Compositing: alphas, foreground colours and background. Alpha is straight everywhere, so that no edge goes dark."""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from pymatting import estimate_foreground_ml

from pipeline.cutout.frame import OVAL
from pipeline.types import Pixels, Points

_FEATHER: Final = 21 / 648
"""Width of the oval's soft rim as a share of the shorter side."""

_LESS_ALPHA: Final = 0.2
"""How much less alpha the foreground estimate is given."""

_FAINT: Final = 16
"""Alpha up to which a pixel connects nothing."""


@lru_cache(maxsize=8)
def oval_alpha(width: int, height: int) -> Pixels:
    """An ellipse with radii of 0.48 of the sides and a soft rim: H x W, 0..255, read-only."""
    x = (np.arange(width) - (width - 1) / 2) / (OVAL * width)
    y = (np.arange(height) - (height - 1) / 2) / (OVAL * height)
    inside = 1 - np.hypot(x[None, :], y[:, None])  # 1 in the middle, 0 on the rim, as a share of the radius
    rim = inside * OVAL * min(width, height) / (_FEATHER * min(width, height)) + 0.5
    ramp = np.clip(rim, 0, 1)
    area = np.asarray(np.round(255 * ramp * ramp * (3 - 2 * ramp)), np.uint8)
    area.setflags(write=False)
    return area


def multiply_alphas(one: Pixels, other: Pixels) -> Pixels:
    """The product of two alphas (H x W, 0..255), rounded."""
    return np.asarray(cv2.multiply(one, other, scale=1 / 255), np.uint8)


def keep_connected(alpha: Pixels, points: Points) -> Pixels:
    """The alpha without what is not connected to the person, such as an arm or a flag that the oval cut off.

    Args:
        alpha: H x W, 0..255.
        points: N x 2, pixels that belong to the person.
    """
    parts = np.asarray(cv2.connectedComponents((alpha > _FAINT).astype(np.uint8))[1])
    height, width = alpha.shape
    x, y = np.clip(np.round(points), 0, (width - 1, height - 1)).astype(int).T
    own = np.setdiff1d(parts[y, x], 0)
    if not own.size:
        return alpha
    mine = np.isin(parts, own)
    near = cv2.dilate(mine.astype(np.uint8), np.ones((9, 9), np.uint8))  # its edge fades out beyond the threshold
    return np.asarray(np.where(near > 0, alpha, 0), np.uint8)


def reaches_photo_edge(alpha: Pixels, photo: Pixels) -> bool:
    """Whether the visible person reaches the photo's edge inside the portrait.

    Args:
        alpha: H x W, 0..255: what is visible.
        photo: H x W: 255 inside the photo, 0 beyond its edge.
    """
    if photo.min() > 127:
        return False
    rim = cv2.dilate((photo <= 127).astype(np.uint8), np.ones((7, 7), np.uint8))
    return bool(((rim > 0) & (alpha > 127)).any())


def estimate_foreground(pixels: Pixels, alpha: Pixels) -> Pixels:
    """The person's own colours, without the old background in the soft edge.

    Multi-level foreground estimation (Germer et al. 2020). An alpha that is a little too high leaves the old
    background's colour in the edge, one that is too low does no harm: so the estimate gets a little less alpha.

    Args:
        pixels: H x W x 3, RGB.
        alpha: H x W, 0..255.

    Returns:
        H x W x 3, RGB.
    """
    sure = np.clip((alpha.astype(np.float32) / 255 - _LESS_ALPHA) / (1 - _LESS_ALPHA), 0, 1)
    colours = estimate_foreground_ml(pixels.astype(np.float32) / 255, sure)
    return np.asarray(np.round(np.clip(colours, 0, 1) * 255), np.uint8)


def composite(pixels: Pixels, alpha: Pixels, background: tuple[int, int, int]) -> Pixels:
    """The pixels (H x W x 3) over one colour: (200, 150, 100) at alpha 128 on grey 240 is (220, 195, 170)."""
    share = alpha.astype(np.float32)[:, :, None] / 255
    mixed = pixels * share + np.array(background, np.float32) * (1 - share)
    return np.round(mixed).astype(np.uint8)
