"""Which colours a picture's numbers mean, where no ICC profile says it: by code points, chromaticities or EXIF.

The order is that of the standards: in PNG cICP, then iCCP, sRGB, cHRM and gAMA (PNG 3); in HEIF and AVIF ICC, then nclx
(ISO/IEC 23000-22); in all others ICC, then EXIF. Nothing means sRGB.
"""

import struct
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.formats.iso_bmff import top_level_boxes
from pipeline.formats.reading import reader

_D65: Final = (0.3127, 0.3290)
_C: Final = (0.310, 0.316)
_SRGB_PRIMARIES: Final = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65)

PRIMARIES: Final = {
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *_C),  # BT.470 M
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),  # BT.470 BG
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),  # BT.601
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),  # SMPTE 240M
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, *_C),  # film
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),  # BT.2020
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),  # DCI-P3
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),  # Display P3
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, *_D65),  # EBU 3213
}
"""x and y of red, green, blue and white by their code point in ITU-T H.273; others mean sRGB's."""

_TRANSFERS: Final[dict[int, float | str]] = {4: 2.2, 5: 2.8, 8: 1.0, 16: "pq", 18: "hlg"}
"""By code point; the others are cameras' curves that all viewers show as sRGB's."""

_ADOBE_RGB: Final = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *_D65)
_ADOBE_GAMMA: Final = 563 / 256
_SRGB_GAMMA: Final = (0.449, 0.461)  # gAMA; with sRGB's primaries, 45455 is how sRGB itself is written
_SAME: Final = 0.003  # of a chromaticity; files round them to two or three digits


@dataclass(frozen=True, slots=True)
class ColourSpace:
    """Chromaticities x, y of red, green, blue and white, and the transfer: an exponent, `srgb`, `pq` or `hlg`."""

    primaries: tuple[float, ...] = _SRGB_PRIMARIES
    transfer: float | str = "srgb"

    @property
    def hdr(self) -> bool:
        return self.transfer in ("pq", "hlg")

    @property
    def is_srgb(self) -> bool:
        return self.transfer == "srgb" and np.allclose(self.primaries, _SRGB_PRIMARIES, atol=_SAME)


def named_space(image: Image.Image, kind: str, data: bytes) -> ColourSpace | None:
    """The colour space that counts; None if that is the ICC profile's, or nothing is named.

    Args:
        image: The opened picture.
        kind: Pillow's name of its format.
        data: The file.
    """
    if kind == "PNG":
        return _png_space(image, data)
    if "icc_profile" in image.info:
        return None
    return _by_code_points(*_nclx(image, data)) if kind in ("HEIF", "AVIF") else _exif_space(image)


def _by_code_points(primaries: int, transfer: int) -> ColourSpace:
    return ColourSpace(PRIMARIES.get(primaries, _SRGB_PRIMARIES), _TRANSFERS.get(transfer, "srgb"))


def _png_space(image: Image.Image, data: bytes) -> ColourSpace | None:
    head = data[: max(data.find(b"IDAT"), 0)]
    at = head.find(b"\0\0\0\4cICP")
    if at >= 0 and at + 12 <= len(head):
        return _by_code_points(head[at + 8], head[at + 9])
    if "icc_profile" in image.info or "srgb" in image.info:
        return None
    gamma, chromaticity = image.info.get("gamma"), image.info.get("chromaticity")
    primaries = _SRGB_PRIMARIES
    if chromaticity is not None and len(chromaticity) == 8 and _plausible(chromaticity):
        primaries = (*chromaticity[2:], *chromaticity[:2])
    space = ColourSpace(primaries)
    if gamma is None or not 0.1 <= gamma <= 2.0:
        return space
    srgb = space.is_srgb and _SRGB_GAMMA[0] <= gamma <= _SRGB_GAMMA[1]
    return space if srgb else ColourSpace(primaries, 1 / gamma)


def _plausible(chromaticity: tuple[float, ...]) -> bool:
    white, *colours = (np.array(chromaticity[i : i + 2]) for i in (0, 2, 4, 6))
    (a, b), (c, d) = colours[1] - colours[0], colours[2] - colours[0]
    return bool(abs(a * d - b * c) > 0.01 and white.min() > 0.1 and min(each[1] for each in colours) > 0.001)


def _nclx(image: Image.Image, data: bytes) -> tuple[int, int]:
    """Code points of primaries and transfer; 2 means unspecified."""
    nclx = image.info.get("nclx_profile")
    if isinstance(nclx, dict):
        return int(nclx.get("color_primaries", 2)), int(nclx.get("transfer_characteristics", 2))
    for box in islice(top_level_boxes(len(data), reader(data)), 20):
        if box.kind == b"meta":  # the primary picture's properties come first
            at = data.find(b"colrnclx", box.offset, box.end)
            if 0 <= at <= len(data) - 12:
                return struct.unpack_from(">HH", data, at + 8)
            break
    return 2, 2


def _exif_space(image: Image.Image) -> ColourSpace | None:
    """Adobe RGB, as cameras name it (DCF 2.0): colour space 2, or "uncalibrated" and the interoperability index R03."""
    block = image.info.get("exif")
    if not isinstance(block, bytes):
        return None
    exif = Image.Exif()
    try:
        exif.load(block)
        colours = exif.get_ifd(34665).get(40961)
        index = str(exif.get_ifd(40965).get(1, "")) if colours != 1 else ""
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error):
        return None
    return ColourSpace(_ADOBE_RGB, _ADOBE_GAMMA) if colours == 2 or index.startswith("R03") else None


Matrix3 = NDArray[np.float64]
_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50: Final = np.array([0.9642, 1.0, 0.8249])


def to_xyz(space: ColourSpace) -> Matrix3:
    """The matrix from linear RGB to XYZ with D50 white, adapted by Bradford's method, as ICC profiles have it."""
    points = np.array(space.primaries).reshape(4, 2)
    xyz = np.column_stack([points[:, 0] / points[:, 1], np.ones(4), (1 - points.sum(axis=1)) / points[:, 1]]).T
    white = xyz[:, 3]
    scaled = xyz[:, :3] * np.linalg.solve(xyz[:, :3], white)
    adapted = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    result: Any = np.linalg.inv(_BRADFORD) @ adapted @ _BRADFORD @ scaled
    return np.asarray(result)


def to_linear_srgb(space: ColourSpace) -> Matrix3:
    """The matrix from the space's linear RGB to sRGB's."""
    return np.asarray(np.linalg.solve(to_xyz(ColourSpace()), to_xyz(space)))
