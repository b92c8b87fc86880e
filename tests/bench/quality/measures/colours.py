"""Measures of skin, light and colour. Pure; pictures are sRGB 0..255."""

import cv2
import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab


def face_area(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The skin between brows, jaw and mouth: the hull of the 68 landmarks without eyes and mouth."""
    area = _filled(points, shape)
    for feature in (points[36:42], points[42:48], points[48:60]):
        area &= ~_filled(feature, shape)
    return area


def _filled(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    hull = cv2.convexHull(np.round(points).astype(np.int32))
    return cv2.fillConvexPoly(np.zeros(shape[:2], np.uint8), hull, 1) > 0


def skin(rgb: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Median CIELAB (D65) of the skin without its darkest and brightest fifth (brows, nostrils, glare)."""
    lab = rgb2lab(rgb[where].reshape(1, -1, 3) / 255.0)[0]
    low, high = np.percentile(lab[:, 0], (20, 80))
    return np.median(lab[(lab[:, 0] >= low) & (lab[:, 0] <= high)], axis=0)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """CIEDE2000 (Sharma, Wu, Dalal 2005) between two CIELAB colours."""
    return float(deltaE_ciede2000(one, other))


def group(lab: np.ndarray) -> str:
    """light, medium or dark by the individual typology angle (Chardon 1991): above 28, above -10, below (degrees)."""
    angle = np.degrees(np.arctan2(lab[0] - 50, lab[2]))
    return "light" if angle > 28 else "medium" if angle > -10 else "dark"


def blown(before: np.ndarray, after: np.ndarray, where: np.ndarray) -> float:
    """Share of the area where two of red, green and blue are at 254 or more and were not in the photo: on skin red
    comes first, and with the second form and colour are lost."""
    second, was = np.median(after, axis=2), np.median(before, axis=2)
    return float(((second >= 254) & (was < 250))[where].mean())


def chroma(rgb: np.ndarray, where: np.ndarray) -> float:
    """95th percentile of CIELAB chroma: 0 is grey."""
    lab = rgb2lab(rgb[where].reshape(1, -1, 3) / 255.0)[0]
    return float(np.percentile(np.hypot(lab[:, 1], lab[:, 2]), 95))
