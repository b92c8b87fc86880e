"""Decoding of JPEG: what libjpeg knows to be damaged is rejected, and what only looks so is told."""

import io
from typing import Final

import numpy as np
import simplejpeg
from PIL import Image, ImageChops

from pipeline.errors import PhotoRejected
from pipeline.formats.jpeg import END_MARK, has_end_mark, jpeg_layout, only_picture
from pipeline.image.jpeg_damage import has_lasting_step
from pipeline.types import Pixels

_ONES: Final = b"\xff\0" * 64
_DAMAGE: Final = ("Corrupt JPEG data", "Premature end of JPEG file", "Inconsistent progression sequence")
"""How libjpeg's warnings of lost or wrong data begin. Others are about versions and numbers that make no difference."""
_COLOURS: Final = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def load_jpeg(data: bytes, image: Image.Image) -> tuple[Image.Image, bool]:
    """Decodes a JPEG.

    Args:
        data: The file's bytes.
        image: The opened picture.

    Returns:
        The decoded picture, in mode L, RGB or CMYK, and whether its data looks damaged.

    Raises:
        PhotoRejected: libjpeg warns of damaged data.
        OSError: The end is missing, or libjpeg cannot read it.
    """
    if not has_end_mark(data):
        _check_end(data)
        data += END_MARK
    pixels = _decode_strictly(data, _COLOURS[image.mode])
    if pixels is None or image.mode == "CMYK":  # Pillow knows which of them are inverted
        loaded: Image.Image = Image.open(io.BytesIO(data), formats=("JPEG",))
        loaded.load()
        pixels = np.asarray(loaded)
    else:
        pixels = pixels[..., 0] if image.mode == "L" else pixels
        loaded = Image.fromarray(pixels)
        loaded.info = image.info
    return loaded, _looks_damaged(pixels, image)


def _decode_strictly(data: bytes, colours: str) -> Pixels | None:
    """None if libjpeg-turbo cannot read the file, or warns of something that makes no difference.

    Bytes that belong to nothing, before a marker or as padding at the end of a scan, are left by many programs; damage
    too gives such warnings. So they are taken away, and what then still warns is damaged.
    """
    for cleaned in (False, True):
        try:
            return np.asarray(simplejpeg.decode_jpeg(only_picture(data) if cleaned else data, colours, strict=True))
        except ValueError as error:
            warning = str(error)
            if not warning.startswith(_DAMAGE):
                return None
    raise PhotoRejected("damaged", f"JPEG: {warning}")


def _looks_damaged(pixels: Pixels, image: Image.Image) -> bool:
    layers = getattr(image, "layer", ())  # each an id, and its samples across and down
    if image.mode == "CMYK" or not layers:
        return False
    # a single layer's blocks are always 8 x 8, whatever it states
    across, down = (8 * max(layer[i] for layer in layers) if len(layers) > 1 else 8 for i in (1, 2))
    return has_lasting_step(pixels, down, across)


def _check_end(data: bytes) -> None:
    """Some programs leave a JPEG's end mark out, and so does every interrupted copy.

    Where only the mark is missing, it makes no difference whether ones come before it. With several scans or restart
    marks that proves nothing, because decoders skip to the next of them.
    """
    if not jpeg_layout(data).simple:
        raise OSError("image file is truncated")
    marked, padded = (Image.open(io.BytesIO(data + more + END_MARK), formats=("JPEG",)) for more in (b"", _ONES))
    if ImageChops.difference(marked, padded).getbbox() is not None:
        raise OSError("image file is truncated")
