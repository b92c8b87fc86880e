"""The steps of the image that Facecraft replaces, as calls of the same libraries, defects included.

Order and constants: dlib on the full photo, cut-out of the whole photo, rotation, a second detection, crop, tone,
oval, fit, PNG and JPEG. Face restoration is left out: it never ran there.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np
from PIL import Image

from pipeline.image.affine import apply, chain, inverse
from pipeline.stopwatch import Stopwatch

SIZE = 648
MARGIN = 0.3


class NoFaceError(Exception):
    """The original answers "no_face_detected", or cannot read the file."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The original's picture before it is written.

    `bgra` is 648 x 648; `matrix` takes the upright photo to it (pixel centres); `face` is the middle of the box that
    was cropped, in the photo; `seen` is what the crop fills (left, top, right, bottom), the rest is padding.
    """

    bgra: np.ndarray
    matrix: np.ndarray
    face: np.ndarray
    seen: tuple[int, int, int, int]


class Original:
    """Models loaded once; `rembg_session` is any session of rembg's."""

    def __init__(self, predictor: Path, rembg_session) -> None:
        self.detector = dlib.get_frontal_face_detector()
        self.predictor = dlib.shape_predictor(str(predictor))
        self.session = rembg_session

    def process(self, data: bytes) -> tuple[bytes, bytes, dict[str, float]]:
        """PNG, JPEG and milliseconds per stage."""
        watch = Stopwatch()
        drawn = self.draw(data, watch)
        with watch.stage("encode"):
            png, jpeg = encoded(drawn.bgra)
        return png, jpeg, watch.stages_ms

    def draw(self, data: bytes, watch: Stopwatch, *, tone: bool = True, oval: bool = True) -> Drawn:
        """Without the oval the alpha is the person's. NoFaceError where the original has no answer but that."""
        with watch.stage("decode"):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise NoFaceError("not a format that OpenCV reads")
        with watch.stage("detect"):
            face = self._face(image)
        with watch.stage("cutout"):
            cut = self._cut(image)
        with watch.stage("landmarks"):
            cut, face, turn = self._levelled(image, cut, face)
        crop = _crop(cut, face)
        left, top, right, bottom = crop
        portrait = cut[top:bottom, left:right]
        with watch.stage("tone"):
            portrait = _enhanced(portrait) if tone else portrait
        with watch.stage("compose"):
            portrait = _fitted(_oval(portrait) if oval else portrait)
        fit, seen = _fit(crop)
        middle = np.array([[(face.left() + face.right()) / 2, (face.top() + face.bottom()) / 2]])
        return Drawn(portrait, chain(fit, turn), apply(inverse(turn), middle)[0], seen)

    def _face(self, image: np.ndarray) -> dlib.rectangle:
        faces = self.detector(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 1)
        if not faces:
            raise NoFaceError("no_face_detected")
        return max(faces, key=lambda face: face.area())

    def _cut(self, image: np.ndarray) -> np.ndarray:
        """rembg's naive cut-out: premultiplied by the mask."""
        picture = Image.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        (mask,) = self.session.predict(picture)
        empty = Image.new("RGBA", picture.size, 0)
        rgba = Image.composite(picture.convert("RGBA"), empty, mask)
        return cv2.cvtColor(np.asarray(rgba), cv2.COLOR_RGBA2BGRA)

    def _levelled(self, image, cut, face):
        points = self.predictor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), face).parts()
        points = np.array([(point.x, point.y) for point in points])
        left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
        angle = float(np.degrees(np.arctan2(*(right - left)[::-1])))
        middle = tuple(float(value) for value in (left + right) / 2)
        turn = cv2.getRotationMatrix2D(middle, angle, 1.0)
        size = image.shape[1], image.shape[0]
        turned = cv2.warpAffine(image, turn, size, flags=cv2.INTER_CUBIC)
        cut = cv2.warpAffine(cut, turn, size, flags=cv2.INTER_CUBIC, borderValue=(0, 0, 0, 0))
        faces = self.detector(cv2.cvtColor(turned, cv2.COLOR_BGR2GRAY), 1)
        return cut, max(faces, key=lambda each: each.area(), default=face), turn


def _crop(cut: np.ndarray, face: dlib.rectangle) -> tuple[int, int, int, int]:
    across, down = int(MARGIN * face.width()), int(MARGIN * face.height())
    top, bottom = max(0, face.top() - int(1.5 * down)), min(cut.shape[0], face.bottom() + down)
    left, right = max(0, face.left() - across), min(cut.shape[1], face.right() + across)
    return left, top, right, bottom


def _enhanced(bgra: np.ndarray) -> np.ndarray:
    image, alpha = bgra[:, :, :3], bgra[:, :, 3]
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    missing = 140 - float(lab[:, :, 0].mean())
    if abs(missing) > 10:
        equal = cv2.createCLAHE(1.5, (8, 8)).apply(lab[:, :, 0])
        share = min(abs(missing) / 50, 0.7)
        lab[:, :, 0] = cv2.addWeighted(equal, share, lab[:, :, 0], 1 - share, 0)
        image = cv2.cvtColor(lab, cv2.COLOR_LAB2BGR)
    if missing > 20:
        table = 255 * (np.arange(256) / 255) ** (1 / min(1.4, 1 + missing / 100))
        image = cv2.LUT(image, table.astype(np.uint8))
    image = cv2.bilateralFilter(image, 5, 40, 40)
    means = image.reshape(-1, 3).mean(axis=0)
    image = np.clip(image * np.minimum(means.mean() / means, 1.5), 0, 255).astype(np.uint8)
    image = cv2.filter2D(image, -1, np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]))
    image = cv2.convertScaleAbs(image, alpha=1.15, beta=0)
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV).astype(np.float32)
    hsv[:, :, 1] = np.clip(hsv[:, :, 1] * 1.15, 0, 255)
    return np.dstack([cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR), alpha])


def _oval(bgra: np.ndarray) -> np.ndarray:
    high, wide = bgra.shape[:2]
    oval = np.zeros((high, wide), np.uint8)
    cv2.ellipse(oval, (wide // 2, high // 2), (int(wide * 0.48), int(high * 0.48)), 0, 0, 360, 255, -1)
    oval = cv2.GaussianBlur(oval, (21, 21), 0)
    share = bgra[:, :, 3:].astype(np.float32) / 255
    flat = bgra[:, :, :3] * share + 240 * (1 - share)
    return np.dstack([flat.astype(np.uint8), oval])


def _fitted(bgra: np.ndarray) -> np.ndarray:
    high, wide = bgra.shape[:2]
    _, (left, top, right, bottom) = _fit((0, 0, wide, high))
    small = cv2.resize(bgra, (right - left, bottom - top), interpolation=cv2.INTER_LANCZOS4)
    canvas = np.zeros((SIZE, SIZE, bgra.shape[2]), np.uint8)
    canvas[:, :, :3] = 240
    canvas[top:bottom, left:right] = small
    return canvas


def _fit(crop: tuple[int, int, int, int]) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """The crop inside the picture: its transform from the levelled photo, and where it lies."""
    left, top, right, bottom = crop
    wide, high = right - left, bottom - top
    scale = min(SIZE / wide, SIZE / high)
    size = int(wide * scale), int(high * scale)
    x, y = (SIZE - size[0]) // 2, (SIZE - size[1]) // 2
    sx, sy = size[0] / wide, size[1] / high
    matrix = np.array([[sx, 0, (0.5 - left) * sx - 0.5 + x], [0, sy, (0.5 - top) * sy - 0.5 + y]])
    return matrix, (x, y, x + size[0], y + size[1])


def encoded(bgra: np.ndarray) -> tuple[bytes, bytes]:
    _, png = cv2.imencode(".png", bgra, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    share = bgra[:, :, 3:].astype(np.float32) / 255
    flat = Image.fromarray((bgra[:, :, 2::-1] * share + 240 * (1 - share)).astype(np.uint8))
    for quality in range(90, 49, -3):
        buffer = io.BytesIO()
        flat.save(buffer, "JPEG", quality=quality)
        if buffer.tell() <= 99 * 1024:
            break
    return png.tobytes(), buffer.getvalue()
