"""Measures of the cut-out against a known alpha and known colours. Pure; alphas 0..1, colours 0..255."""

import cv2
import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab

GROUND = 240.0


def error(alpha: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute error of the alpha over the whole picture, 0..1 (MAD of Rhemann et al. 2009)."""
    return float(np.abs(alpha - truth).mean())


def band(truth: np.ndarray, reach: int = 10) -> np.ndarray:
    """Where the true alpha's half level is at most `reach` pixels away."""
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    solid = (truth > 0.5).astype(np.uint8)
    return (cv2.dilate(solid, ball) > 0) & (cv2.erode(solid, ball) == 0)


def band_error(alpha: np.ndarray, truth: np.ndarray) -> float | None:
    """Mean absolute error of the alpha in the 10 px band, 0..1; None where the picture has no edge."""
    near = band(truth)
    return float(np.abs(alpha - truth)[near].mean()) if near.any() else None


def _soft(alpha: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Half-transparent in the delivered picture, and the person has a colour there."""
    return (alpha > 0.1) & (alpha < 0.9) & (truth > 0.05)


def fringe(colours: np.ndarray, alpha: np.ndarray, truth: np.ndarray, true_colours: np.ndarray) -> float | None:
    """8-bit levels by which the edge shows a wrong colour: alpha x |colour - true colour|, mean over channels and over
    the half-transparent pixels."""
    soft = _soft(alpha, truth)
    if not soft.any():
        return None
    return float((alpha[soft][:, None] * np.abs(colours[soft] - true_colours[soft])).mean())


def fringe_colour(colours: np.ndarray, alpha: np.ndarray, truth: np.ndarray, true_colours: np.ndarray) -> float | None:
    """The same as CIEDE2000: half-transparent pixels on grey 240 with the delivered and with the true colours."""
    soft = _soft(alpha, truth)
    if not soft.any():
        return None
    return float(delta(*(on_grey(each[soft], alpha[soft]) for each in (colours, true_colours))).mean())


def seam(colours: np.ndarray, alpha: np.ndarray, truth: np.ndarray, true_colours: np.ndarray) -> float | None:
    """8-bit levels between the delivered and the true person, both on grey 240, mean over the 10 px band."""
    near = band(truth)
    if not near.any():
        return None
    ours, true = on_grey(colours[near], alpha[near]), on_grey(true_colours[near], truth[near])
    return float(np.abs(ours - true).mean())


def on_grey(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None]
    return colours * share + GROUND * (1 - share)


def delta(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """CIEDE2000 (Sharma, Wu, Dalal 2005) between sRGB colours 0..255, pixel by pixel."""
    return deltaE_ciede2000(rgb2lab(np.asarray(one) / 255.0), rgb2lab(np.asarray(other) / 255.0))
