"""Whether a file that no decoder could read lacks its end."""

from typing import Final

from pipeline.formats.iso_bmff import LEAST_BOX, top_level_boxes
from pipeline.formats.jpeg import has_end_mark
from pipeline.formats.reading import reader
from pipeline.formats.signatures import bmp_length, webp_length
from pipeline.formats.tiff import tiff_ends_early


def ends_early(data: bytes, kind: str) -> bool:
    """True if the format's own end mark or lengths show that bytes are missing at the end.

    Ask only after a decoder has failed: many a sound file has a wrong length.

    Args:
        data: The whole file.
        kind: Pillow's name of its format, as `detect_format` gives it.
    """
    return _ENDS_EARLY[kind](data)


def _boxes_end_early(data: bytes) -> bool:
    end = 0
    for box in top_level_boxes(len(data), reader(data)):
        if box.length < LEAST_BOX:
            return box.offset + LEAST_BOX > len(data)
        end = box.end
    return end > len(data)


_ENDS_EARLY: Final = {
    "JPEG": lambda data: not has_end_mark(data),
    "PNG": lambda data: b"IEND" not in data,
    "GIF": lambda data: not data.rstrip(b"\0").endswith(b";"),
    "BMP": lambda data: bmp_length(data) > len(data),
    "WEBP": lambda data: webp_length(data) > len(data),
    "AVIF": _boxes_end_early,
    "HEIF": _boxes_end_early,
    "TIFF": tiff_ends_early,
}
