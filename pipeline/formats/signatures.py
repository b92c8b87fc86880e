"""Which format a file has, by its first bytes; its name is never asked."""

import re
from typing import Final

SIGNATURES: Final = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)

UNSUPPORTED_SIGNATURES: Final = (
    (b"8BPS", "Photoshop PSD"),
    (b"\0\0\1\0", "Windows icon"),
    (b"\0\0\2\0", "Windows cursor"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"FUJIFILMCCD-RAW", "Fujifilm RAW"),
    (b"II\x1a\0\0\0HEAPCCDR", "Canon RAW"),
    (b"\0MRM", "Minolta RAW"),
    (b"IIU\0", "Panasonic RAW"),
    (b"IIRO", "Olympus RAW"),
    (b"IIRS", "Olympus RAW"),
    (b"MMOR", "Olympus RAW"),
    (b"FOVb", "Sigma RAW"),
    (b"gimp xcf", "GIMP XCF"),
    (b"DDS ", "DDS"),
    (b"icns", "Apple icon"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"\x8aMNG", "MNG video"),
    (b"AT&TFORM", "DjVu"),
    (b"\x1aE\xdf\xa3", "Matroska or WebM video"),
    (b"\0\0\1\xba", "MPEG video"),
    (b"\0\0\1\xb3", "MPEG video"),
    (b"FLV\1", "Flash video"),
    (b"0&\xb2u\x8ef\xcf\x11", "Windows video"),
)

_PNM: Final = re.compile(rb"P[1-7]\s|P[Ff]\s")
_SVG: Final = re.compile(rb"\A(\xef\xbb\xbf)?\s*<(\?xml|!--|!DOCTYPE svg|svg)")
_HEVC: Final = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF: Final = frozenset({b"avif", b"avis"})


def detect_format(data: bytes) -> str | None:
    """Pillow's name of the format that the bytes claim to be; None if it is not one that is read here.

    16 bytes are enough for all but AVIF and HEIF, whose brands lie in the first KB.
    """
    if data.startswith(b"RIFF"):
        return "WEBP" if data[8:12] == b"WEBP" else None
    if is_iso_bmff(data):
        return _iso_bmff_format(data)
    return next((name for magic, name in SIGNATURES if data.startswith(magic)), None)


def unsupported_format(data: bytes) -> str | None:
    """The name, for people, of a picture or video format that is not read here; None if the bytes are neither."""
    head = data[:4096]
    if is_iso_bmff(head):
        return "Canon RAW" if head[8:11] == b"crx" else "video"
    if head.startswith(b"RIFF"):
        return "AVI video" if head[8:12] == b"AVI " else None
    if _PNM.match(head):
        return "Netpbm"
    if _SVG.match(head) and b"<svg" in head:
        return "SVG"
    return next((name for magic, name in UNSUPPORTED_SIGNATURES if head.startswith(magic)), None)


def is_iso_bmff(data: bytes) -> bool:
    """True for the container of HEIF, AVIF and MP4."""
    return data[4:8] == b"ftyp"


def webp_length(data: bytes) -> int:
    """The file's length in bytes as its RIFF header states it."""
    return 8 + int.from_bytes(data[4:8], "little")


def bmp_length(data: bytes) -> int:
    """The file's length in bytes as its header states it."""
    return int.from_bytes(data[2:6], "little")


def _iso_bmff_format(data: bytes) -> str | None:
    """AVIF and HEIF share one container: the brands tell them apart, the major one first."""
    size = min(int.from_bytes(data[:4], "big"), 1024)
    for offset in (8, *range(16, size - 3, 4)):
        brand = data[offset : offset + 4]
        if brand in _HEVC:
            return "HEIF"
        if brand in _AVIF:
            return "AVIF"
    return "HEIF" if data[8:12] in (b"mif1", b"msf1") else None
