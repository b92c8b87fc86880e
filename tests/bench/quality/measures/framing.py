"""Measures of where the face stands. Pure: points, matrices and pixels in, one figure out."""

import cv2
import numpy as np

from pipeline.image.affine import apply


def shows(face: np.ndarray, label: tuple[float, float, float]) -> bool:
    """Whether the face that was chosen is the labelled one: its middle within 0.35 of the labelled size (a box's
    overlap with the labelled box is then about one half, PASCAL VOC's criterion)."""
    return bool(np.hypot(face[0] - label[0], face[1] - label[1]) <= 0.35 * label[2])


def upright(level: float, off_centre: float) -> bool:
    """A face that is read in the delivered picture (HOG reads upright ones only), near its middle and tilted less
    than 15 degrees."""
    return abs(level) < 15 and off_centre < 0.15


def matrix_tilt(matrix: np.ndarray) -> float:
    """Degrees by which a transform turns the photo, clockwise positive."""
    return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def seen_through(
    pixels: np.ndarray, matrix: np.ndarray, wide: int, high: int, border: int = cv2.BORDER_REPLICATE
) -> np.ndarray:
    """The photo warped by the matrix, with a Gaussian instead of the pipeline's reduction: an independent picture of
    what the output should show."""
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 1:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.45 * np.sqrt(1 / scale**2 - 1) + 1e-3)
    return cv2.warpAffine(pixels, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderMode=border)


def misplaced(expected: np.ndarray, output: np.ndarray, where: np.ndarray) -> float | None:
    """Pixels by which the output lies beside the photo warped by `source_to_output`: mean over the area `where` of the
    motion (shift and turn) that maximises the enhanced correlation coefficient (Evangelidis, Psarakis 2008), which
    changes of brightness and contrast leave alone. None where it does not converge."""
    one, other = (cv2.GaussianBlur(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), (0, 0), 1.5) for each in (expected, output))
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, motion = cv2.findTransformECC(one, other, start, cv2.MOTION_EUCLIDEAN, stop, where.astype(np.uint8), 5)
    except cv2.error:
        return None
    rows, columns = np.nonzero(where)
    points = np.stack([columns, rows], axis=1)[::97].astype(np.float64)
    return float(np.linalg.norm(apply(np.asarray(motion, np.float64), points) - points, axis=1).mean())


def moved(first: np.ndarray, second: np.ndarray, face: np.ndarray, size: float) -> float:
    """Output pixels by which a face moves between two transforms of the same photo: the largest over the corners of
    its box and its middle."""
    half = size / 2
    points = face + np.array([(0, 0), (-half, -half), (half, -half), (half, half), (-half, half)])
    return float(np.linalg.norm(apply(first, points) - apply(second, points), axis=1).max())


def bars(alpha: np.ndarray, person: np.ndarray) -> float:
    """Share of the person's pixels (`person`: what the photo has of it inside the output, 0..1) that lie in bars: rows
    and columns at the picture's border in which the delivered alpha (0..255) is empty although the person is there."""
    empty = np.zeros(alpha.shape, bool)
    for lines, across in ((alpha.max(axis=1) < 8, False), (alpha.max(axis=0) < 8, True)):
        for side in (lines, lines[::-1]):
            depth = int(np.argmin(side)) if not side.all() else len(side)
            area = slice(0, depth) if side is lines else slice(len(side) - depth, len(side))
            empty[(slice(None), area) if across else area] = True
    return float(person[empty].sum() / max(person.sum(), 1.0))
