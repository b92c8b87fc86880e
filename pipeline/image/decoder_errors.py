"""Turns what decoders raise into PhotoRejected with its reason."""

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from PIL import Image, UnidentifiedImageError

from pipeline.errors import PhotoRejected
from pipeline.formats.truncation import ends_early
from pipeline.types import Limits

DECODER_ERRORS: Final = (
    OSError,  # Pillow: truncated, unidentified, broken stream; never a disk's error, because the bytes are in memory
    SyntaxError,  # Pillow: not this format after all
    ValueError,  # Pillow: text chunks, tile extents, palettes, encodings
    RuntimeError,  # libheif, libavif
    EOFError,  # Pillow: no first frame
    LookupError,  # Pillow: data that ends inside a field, unknown modes
    TypeError,  # Pillow: tags of the wrong type
    ArithmeticError,  # Pillow: rationals with zero below, sizes over 64 bits
    AssertionError,  # Pillow: what its readers take for granted
    AttributeError,  # Pillow: fields that a broken header never set
    struct.error,
    zlib.error,
)
"""All that decoders raise for bad bytes. Not MemoryError: that is this machine's trouble, not the photo's."""

_PIXELS: Final = re.compile(r"\((\d+) pixels\)")


@contextmanager
def rejecting_decoder_errors(data: bytes, kind: str, limits: Limits) -> Iterator[None]:
    """Turns what decoders raise inside the block into PhotoRejected, and silences their warnings.

    Meanwhile Pillow's own pixel limit is ours: its readers also check it deep inside, before they allocate.

    Args:
        data: The file that is decoded.
        kind: Pillow's name of its format.
        limits: The photo's limits.

    Raises:
        PhotoRejected: too_large, truncated or damaged.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = limits.max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise too_many_pixels(_megapixels_in(error), limits) from error
    except DECODER_ERRORS as error:
        raise PhotoRejected(_reason(error, data, kind), _detail(error, kind)) from error
    finally:
        Image.MAX_IMAGE_PIXELS = before


def too_many_pixels(measured: str, limits: Limits) -> PhotoRejected:
    """The error for a picture over `limits.max_pixels`; `measured` says how many it has."""
    limit = f"the limit is {limits.max_pixels / 1e6:g} megapixels, FACECRAFT_MAX_PIXELS_MP"
    return PhotoRejected("too_large", f"{measured}; {limit}")


def _megapixels_in(error: Exception) -> str:
    found = _PIXELS.search(str(error))
    return f"{int(found[1]) / 1e6:.1f} megapixels" if found else str(error)


def _reason(error: Exception, data: bytes, kind: str) -> str:
    return "truncated" if "truncated" in str(error).lower() or ends_early(data, kind) else "damaged"


def _detail(error: Exception, kind: str) -> str:
    # Pillow's text for an unidentified picture names a memory address and nothing else
    return f"{kind}: its header" if isinstance(error, UnidentifiedImageError) else f"{kind}: {error}"
