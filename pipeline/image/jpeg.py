"""Decoding of JPEG, and whether its data looks damaged although libjpeg decodes it."""

import io
from typing import Final

import numpy as np
from PIL import Image, ImageChops

from pipeline.formats.jpeg import END_MARK, has_end_mark, jpeg_layout
from pipeline.image.jpeg_steps import has_lasting_step

_ONES: Final = b"\xff\0" * 64


def load_jpeg(data: bytes, image: Image.Image) -> tuple[Image.Image, bool]:
    """Decodes a JPEG.

    Args:
        data: The file's bytes.
        image: The opened picture.

    Returns:
        The decoded picture, in mode L, RGB or CMYK, and whether its data looks damaged.

    Raises:
        OSError: The end is missing, or libjpeg cannot read it.
    """
    loaded = image if has_end_mark(data) else _load_without_end_mark(data)
    loaded.load()
    return loaded, _looks_damaged(loaded, image)


def _looks_damaged(loaded: Image.Image, image: Image.Image) -> bool:
    layers = getattr(image, "layer", ())  # each an id, and its samples across and down
    if loaded.mode not in ("L", "RGB") or not layers:
        return False
    # a single layer's blocks are always 8 x 8, whatever it states
    across, down = (8 * max(layer[i] for layer in layers) if len(layers) > 1 else 8 for i in (1, 2))
    return has_lasting_step(np.asarray(loaded), down, across)


def _load_without_end_mark(data: bytes) -> Image.Image:
    """Some programs leave a JPEG's end mark out, and so does every interrupted copy.

    Where only the mark is missing, it makes no difference whether ones come before it. With several scans or restart
    marks that proves nothing, because decoders skip to the next of them.
    """
    if not jpeg_layout(data).simple:
        raise OSError("image file is truncated")
    marked, padded = (Image.open(io.BytesIO(data + more + END_MARK), formats=("JPEG",)) for more in (b"", _ONES))
    if ImageChops.difference(marked, padded).getbbox() is not None:
        raise OSError("image file is truncated")
    return marked
