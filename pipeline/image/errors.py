"""The one place where a decoder's complaint becomes a reason."""

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

BAD_DATA: Final = (
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
def reading(data: bytes, kind: str, limits: Limits) -> Iterator[None]:
    """Turn what decoders raise in the block into PhotoRejected, and keep their warnings to themselves.

    Pillow's own pixel limit is set to ours meanwhile: it is also asked deep inside its readers, before they allocate.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = limits.max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise too_many_pixels(_measured(error), limits) from error
    except BAD_DATA as error:
        raise PhotoRejected(_reason(error, data, kind), _detail(error, kind)) from error
    finally:
        Image.MAX_IMAGE_PIXELS = before


def too_many_pixels(measured: str, limits: Limits) -> PhotoRejected:
    """What to raise for a picture over `limits.max_pixels`; `measured` says how many it has."""
    limit = f"the limit is {limits.max_pixels / 1e6:g} megapixels, FACECRAFT_MAX_PIXELS_MP"
    return PhotoRejected("too_large", f"{measured}; {limit}")


def _measured(error: Exception) -> str:
    found = _PIXELS.search(str(error))
    return f"{int(found[1]) / 1e6:.1f} megapixels" if found else str(error)


def _reason(error: Exception, data: bytes, kind: str) -> str:
    return "truncated" if "truncated" in str(error).lower() or ends_early(data, kind) else "damaged"


def _detail(error: Exception, kind: str) -> str:
    # Pillow's text for an unidentified picture names a memory address and nothing else
    return f"{kind}: its header" if isinstance(error, UnidentifiedImageError) else f"{kind}: {error}"
