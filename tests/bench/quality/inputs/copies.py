"""Copies of a photo that are worse, turned or written differently in a known way. Pure."""

import io

import cv2
import numpy as np
import pillow_heif
from PIL import Image, ImageCms

from pipeline.formats.colour_space import PRIMARIES, ColourSpace
from pipeline.image.affine import apply, corners
from pipeline.image.colour import rgb_profile
from pipeline.tone.measure import encoded, linear

LIGHTS = {
    "dark": (0.30, 0.30, 0.30),
    "warm": (1.12, 1.00, 0.58),
    "cool": (0.80, 1.00, 1.45),
    "dark and warm": (0.34, 0.30, 0.18),
}
"""Gains of red, green and blue in linear light: 1.7 stops less; a bulb; a cloudy sky; a bulb and too little of it."""

ANGLES = (-30, -11, 4, 18)
"""Degrees by which the eyes are off level in the tilted copies."""

MOST = 720


def reduced(pixels: np.ndarray, most: int = MOST) -> np.ndarray:
    """No side longer than `most` pixels."""
    scale = most / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def relit(pixels: np.ndarray, gains: tuple[float, float, float]) -> np.ndarray:
    """The same scene in another light: gains in linear light, clipped as a camera clips."""
    levels = linear(np.arange(256))[:, None] * np.array(gains)
    return cv2.LUT(pixels, encoded(levels).reshape(1, 256, 3))


def tilted(pixels: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """The whole photo turned (clockwise is positive), its edge pixels carried on; and the 2 x 3 transform to it."""
    high, wide = pixels.shape[:2]
    turn = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), -degrees, 1.0)
    edges = apply(turn, corners(wide, high))
    low, size = edges.min(axis=0) + 0.5, np.ceil(np.ptp(edges, axis=0)).astype(int)
    turn[:, 2] -= low
    turned = cv2.warpAffine(
        pixels, turn, (int(size[0]), int(size[1])), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return turned, turn


def degraded(pixels: np.ndarray) -> np.ndarray:
    """A third of the pixels, blurred, noisy, saved as JPEG at quality 30, and as large as before again."""
    high, wide = pixels.shape[:2]
    small = cv2.resize(cv2.GaussianBlur(pixels, (0, 0), 1.5), (wide // 3, high // 3), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(1).normal(0, 5, small.shape)
    small = np.clip(small + noise, 0, 255).astype(np.uint8)
    _, data = cv2.imencode(".jpg", small[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 30])
    again = cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1]
    return cv2.resize(np.ascontiguousarray(again), (wide, high), interpolation=cv2.INTER_CUBIC)


def grey(pixels: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)


def saved_again(pixels: np.ndarray) -> dict[str, bytes]:
    """The photo in other programs' hands: nearly the same pixels each time."""
    picture = Image.fromarray(pixels)
    kept = {f"JPEG {quality}": _saved(picture, "JPEG", quality=quality) for quality in (60, 75, 90)}
    heif = io.BytesIO()
    pillow_heif.from_pillow(picture).save(heif, quality=80)
    return {**kept, "HEIC": heif.getvalue(), "AVIF": _saved(picture, "AVIF", quality=80), "Display P3": _p3(picture)}


def _p3(picture: Image.Image) -> bytes:
    profile = rgb_profile(ColourSpace(PRIMARIES[12]))
    wide = ImageCms.profileToProfile(picture, ImageCms.createProfile("sRGB"), io.BytesIO(profile))
    return _saved(wide, "PNG", icc_profile=profile, compress_level=1)


def same_pixels(pixels: np.ndarray) -> dict[str, bytes]:
    """Exactly the same upright pixels in other formats, and in all eight EXIF orientations."""
    picture = Image.fromarray(pixels)
    formats = {
        "WebP": _saved(picture, "WEBP", lossless=True, quality=0),
        "TIFF": _saved(picture, "TIFF", compression="tiff_lzw"),
        "BMP": _saved(picture, "BMP"),
    }
    turned = {f"orientation {value}": _oriented(picture, value) for value in range(1, 9)}
    return {**formats, **turned}


_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def _oriented(picture: Image.Image, value: int) -> bytes:
    stored = picture.transpose(_UNDO[value]) if value in _UNDO else picture
    exif = Image.Exif()
    exif[274] = value
    return _saved(stored, "PNG", exif=exif, compress_level=1)


def _saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def moved(matrix: np.ndarray, x: float, y: float, size: float) -> tuple[float, float, float]:
    """A labelled face in a photo that went through `matrix`."""
    (centre,) = apply(matrix, np.array([[x, y]]))
    return float(centre[0]), float(centre[1]), size * float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
