"""Alpha and background: straight alpha all the way, so that no edge goes dark."""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from pymatting import estimate_foreground_ml

from pipeline.cutout.frame import OVAL
from pipeline.types import Pixels, Points

_FEATHER: Final = 21 / 648
"""Width of the oval's soft rim as a share of the shorter side."""

_WARY: Final = 0.2

_FAINT: Final = 16
"""Alpha up to which nothing holds a person together."""


@lru_cache(maxsize=8)
def oval(width: int, height: int) -> Pixels:
    """H x W, 0..255: an ellipse with radii of 0.48 and a soft rim."""
    x = (np.arange(width) - (width - 1) / 2) / (OVAL * width)
    y = (np.arange(height) - (height - 1) / 2) / (OVAL * height)
    inside = 1 - np.hypot(x[None, :], y[:, None])  # 1 in the middle, 0 on the rim, as a share of the radius
    rim = inside * OVAL * min(width, height) / (_FEATHER * min(width, height)) + 0.5
    ramp = np.clip(rim, 0, 1)
    area = np.asarray(np.round(255 * ramp * ramp * (3 - 2 * ramp)), np.uint8)
    area.setflags(write=False)
    return area


def both(one: Pixels, other: Pixels) -> Pixels:
    """Product of two alphas, rounded."""
    return np.asarray(cv2.multiply(one, other, scale=1 / 255), np.uint8)


def in_one_piece(alpha: Pixels, points: Points) -> Pixels:
    """The alpha of what is connected to these points of the person; an arm or a flag that the oval cut off goes."""
    parts = np.asarray(cv2.connectedComponents((alpha > _FAINT).astype(np.uint8))[1])
    height, width = alpha.shape
    x, y = np.clip(np.round(points), 0, (width - 1, height - 1)).astype(int).T
    own = np.setdiff1d(parts[y, x], 0)
    if not own.size:
        return alpha
    mine = np.isin(parts, own)
    near = cv2.dilate(mine.astype(np.uint8), np.ones((9, 9), np.uint8))  # its edge fades out beyond the threshold
    return np.asarray(np.where(near > 0, alpha, 0), np.uint8)


def ends_inside(alpha: Pixels, photo: Pixels) -> bool:
    """Whether what is visible (`alpha`) reaches the photo's edge (`photo` is 0 beyond it) inside the picture."""
    if photo.min() > 127:
        return False
    rim = cv2.dilate((photo <= 127).astype(np.uint8), np.ones((7, 7), np.uint8))
    return bool(((rim > 0) & (alpha > 127)).any())


def foreground(pixels: Pixels, alpha: Pixels) -> Pixels:
    """The person's own colours at its soft edge, cleaned of the old background (Germer 2020, multi-level).

    An alpha that is a little too high leaves the old background's colour in the edge, one that is too low does no harm:
    so the estimate is told of a little less person than there is.
    """
    sure = np.clip((alpha.astype(np.float32) / 255 - _WARY) / (1 - _WARY), 0, 1)
    colours = estimate_foreground_ml(pixels.astype(np.float32) / 255, sure)
    return np.asarray(np.round(np.clip(colours, 0, 1) * 255), np.uint8)


def over(pixels: Pixels, alpha: Pixels, background: tuple[int, int, int]) -> Pixels:
    """The picture on a colour: (200, 150, 100) at alpha 128 on grey 240 is (220, 195, 170)."""
    share = alpha.astype(np.float32)[:, :, None] / 255
    mixed = pixels * share + np.array(background, np.float32) * (1 - share)
    return np.round(mixed).astype(np.uint8)
