"""A JPEG whose data changed and still decodes: its brightness or colour jumps at one block and keeps the jump.

Blocks (MCUs) are stored row by row, each relative to the one before. A changed byte that still makes valid codes raises
or lowers all blocks behind it: in the row of the change those to its right, in the next row those below the unchanged
ones to its left. Nothing in a picture has edges of that form along the grid of the blocks.

This suggests damage and does not prove it, so the photo gets a note and is not rejected: of 376 photos with changed
bytes, which libjpeg decodes without a warning, 274 have such a step; of healthy photos none, of screenshots and
diagrams one in twenty. What stays unseen: a step at the first or last block of a row, one of less than about 4 levels,
one in a single row of blocks (where restart marks end each row), photos of fewer than 20 blocks across, and a change
inside a block.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Pixels

_MIN_ACROSS: Final = 20  # blocks; with fewer, chance looks like a pattern
_SCORE: Final = 0.55
_LEAST_STEP: Final = (4.0, 3.0, 3.0)  # levels of Y, Cb, Cr
_TIMES_MEDIAN: Final = 4.0  # coarse quantisation makes steps at every block

Values = NDArray[np.float32]

_TO_Y: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in JFIF
_TO_CB: Final = np.array([-0.169, -0.331, 0.5], np.float32)
_TO_CR: Final = np.array([0.5, -0.419, -0.081], np.float32)


def has_lasting_step(pixels: Pixels, height: int, width: int) -> bool:
    """True if a step begins at one block and goes on as a damaged JPEG's does.

    Args:
        pixels: As stored, RGB or grey (H x W), before any rotation or colour conversion.
        height: Pixels of a block from top to bottom: 8, 16 or more, by the chroma subsampling.
        width: The same from left to right.
    """
    pixels = pixels if pixels.ndim == 3 else np.broadcast_to(pixels[..., None], (*pixels.shape, 3))
    if pixels.shape[0] < 3 * height or pixels.shape[1] < _MIN_ACROSS * width:
        return False
    for step, least in zip(_steps_at_block_rows(pixels, height, width), _LEAST_STEP, strict=True):
        threshold = max(least, _TIMES_MEDIAN * float(np.median(np.abs(step))))
        if max(_score(step > threshold), _score(step < -threshold)) > _SCORE:
            return True
    return False


def _steps_at_block_rows(pixels: Pixels, height: int, width: int) -> tuple[Values, Values, Values]:
    """For Y, Cb and Cr: the step between each block and the one above, without the slope on both sides."""
    count = (pixels.shape[0] - 5 - 1) // height
    far, before, last, first, after, beyond = (
        _block_means(pixels[height + row :: height][:count], width) for row in (-5, -2, -1, 0, 1, 4)
    )
    # luma is sharp at the border; upsampled chroma is spread over two rows
    y = _channel(first - last, after - before, _TO_Y)
    wide = after - before, beyond - far
    return y, _channel(*wide, _TO_CB), _channel(*wide, _TO_CR)


def _block_means(rows: Pixels, width: int) -> Values:
    """Of each block's part of the rows: rows x blocks x RGB."""
    across = rows.shape[1] // width
    means = cv2.resize(rows[:, : across * width], (across, len(rows)), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32)


def _channel(step: Values, around: Values, weights: Values) -> Values:
    """The channel of an RGB step that is less than it would be if the slope around went on through it."""
    return np.asarray((1.5 * step - around / 2) @ weights)


def _score(hit: NDArray[np.bool_]) -> float:
    """How much more often steps lie on the likeliest damage's path than on the rest of its two rows; at most 1."""
    across = hit.shape[1]
    until = np.cumsum(hit, axis=1, dtype=np.float32)
    left, right = until[:, :-1], until[:, -1:] - until[:, :-1]
    n = np.arange(1, across, dtype=np.float32)  # blocks to the left of the damage
    in_first = (right[:-1] - right[1:]) / (across - n + 1)  # one more than there are: few blocks prove little
    in_second = (left[1:] - left[:-1]) / (n + 1)
    both = (right[:-1] + left[1:] - left[:-1] - right[1:]) / across
    return float(np.minimum(np.minimum(in_first, in_second), both).max())
