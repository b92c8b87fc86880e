"""Probing: what a photo is, from its bytes and before any pixel is decoded."""

import io
from dataclasses import dataclass
from typing import Final

import pillow_heif
from PIL import Image, PngImagePlugin

from pipeline.errors import PhotoRejected
from pipeline.formats.jpeg import MAX_SCANS, MAX_SEGMENTS, jpeg_layout
from pipeline.formats.signatures import detect_format, unsupported_format
from pipeline.formats.tiff import check_tiff
from pipeline.image.decoder_errors import rejecting_decoder_errors, too_many_pixels
from pipeline.types import Limits

# one thread per photo: the workers are the parallelism; thumbnails and depth maps are never wanted
pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)

_MIB: Final = 1024 * 1024

# Pillow refuses a PNG whose profile unpacks to over 1 MB; scanners' and printers' have up to three. What all of its
# text may unpack to stays limited to 64 MB.
PngImagePlugin.MAX_TEXT_CHUNK = 4 * _MIB


@dataclass(frozen=True, slots=True)
class Probe:
    """What the header says.

    `format` is Pillow's name; a multi-picture JPEG (MPO) counts as JPEG with one frame. `width` and `height` are
    those of the stored pixels (HEIF: after the container's own rotation). `frames` is 2 for any number above 1 in GIF
    and TIFF, where counting means reading the whole file; a TIFF's thumbnails do not count.
    """

    format: str
    width: int
    height: int
    frames: int


def probe(data: bytes, limits: Limits) -> Probe:
    """Reads the header.

    Raises:
        PhotoRejected: empty_file, not_an_image, unsupported_format, too_large, truncated or damaged.
    """
    return open_photo(data, limits)[1]


def open_photo(data: bytes, limits: Limits) -> tuple[Image.Image, Probe]:
    """The opened, not yet decoded picture beside its probe; raises as `probe` does."""
    kind = _detect_format(data, limits)
    page = check_tiff(data, limits.max_pixels) if kind == "TIFF" else None
    if kind == "JPEG":
        _check_jpeg(data)
    with rejecting_decoder_errors(data, kind, limits):
        image = Image.open(io.BytesIO(data), formats=(kind,))
        if page is not None and page.index:
            image.info.pop("icc_profile", None)  # the thumbnail's
            image.seek(page.index)
        width, height = _stored_size(image)
        frames = _frames(image, kind) if page is None else 1 + page.more
    check_size(width, height, limits)
    return image, Probe(kind, width, height, frames)


def check_size(width: int, height: int, limits: Limits) -> None:
    """Raises PhotoRejected `too_large` if a side or the number of pixels is over the limit."""
    if max(width, height) > limits.max_side:
        raise PhotoRejected("too_large", f"{width} x {height} pixels; no side may be over {limits.max_side}")
    if width * height > limits.max_pixels:
        raise too_many_pixels(f"{width} x {height} are {width * height / 1e6:.1f} megapixels", limits)


def _detect_format(data: bytes, limits: Limits) -> str:
    if not data:
        raise PhotoRejected("empty_file")
    if len(data) > limits.max_bytes:
        limit = f"the limit is {limits.max_bytes / _MIB:g} MB, FACECRAFT_MAX_UPLOAD_SIZE_MB"
        raise PhotoRejected("too_large", f"{len(data) / _MIB:.1f} MB; {limit}")
    if kind := detect_format(data):
        return kind
    if name := unsupported_format(data):
        raise PhotoRejected("unsupported_format", name)
    raise PhotoRejected("not_an_image", f"it begins with {data[:8]!r}")


def _check_jpeg(data: bytes) -> None:
    layout = jpeg_layout(data)
    if layout.excessive:
        raise PhotoRejected("damaged", f"JPEG: more than {MAX_SCANS} scans or {MAX_SEGMENTS} segments")
    if layout.bits != 8:
        raise PhotoRejected("unsupported_format", f"JPEG with {layout.bits} bits per sample")


def _stored_size(image: Image.Image) -> tuple[int, int]:
    tags = getattr(image, "tag_v2", None)  # TIFF: `size` is already that of the turned picture
    return image.size if tags is None else (tags[256], tags[257])


def _frames(image: Image.Image, kind: str) -> int:
    if kind == "JPEG":  # the further pictures of an MPO are previews, depth maps or the other eye of a stereo pair
        return 1
    if not getattr(image, "is_animated", False):
        return 1
    return 2 if kind == "GIF" else int(getattr(image, "n_frames", 2))
