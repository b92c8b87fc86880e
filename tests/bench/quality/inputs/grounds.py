"""Backgrounds to compose people over: made by formulas with fixed seeds, or from a sample without a person."""

from collections.abc import Callable

import cv2
import numpy as np

from tests.bench.quality.inputs.photos import SAMPLES

Ground = Callable[[int, int], np.ndarray]
"""Height and width to H x W x 3, RGB."""


def gradient(high: int, wide: int) -> np.ndarray:
    share = np.linspace(0, 1, high)[:, None, None] * np.ones((1, wide, 1))
    return _levels(share * np.array([212, 222, 235]) + (1 - share) * np.array([70, 96, 140]))


def clouds(high: int, wide: int) -> np.ndarray:
    """Fractal noise, faintly coloured: octaves whose strength halves as they get finer."""
    random = np.random.default_rng(2)
    field = np.zeros((high, wide, 3), np.float32)
    for octave in range(2, 8):
        coarse = random.normal(0, 0.5 ** (octave - 1), (2**octave, 2**octave, 3)).astype(np.float32)
        field += cv2.resize(coarse, (wide, high), interpolation=cv2.INTER_CUBIC)
    return _levels(120 + 70 * field.mean(axis=2, keepdims=True) + 25 * field)


def shelves(high: int, wide: int) -> np.ndarray:
    """Upright strips in rows, each in its own colour: as busy as a wall of books."""
    random = np.random.default_rng(3)
    picture = np.zeros((high, wide, 3), np.uint8)
    tall = high // 5 + 1
    for top in range(0, high, tall):
        left = 0
        while left < wide:
            right = left + int(random.integers(10, 38))
            picture[top : top + tall - 8, left : right - 2] = random.integers(20, 190) + random.integers(-20, 45, 3)
            left = right
    return cv2.GaussianBlur(picture, (0, 0), 1.2)


def lights(high: int, wide: int) -> np.ndarray:
    """Discs out of focus on a dark ground."""
    random = np.random.default_rng(4)
    picture = np.full((high, wide, 3), (24, 22, 30), np.uint8)
    for _ in range(60):
        middle = int(random.integers(0, wide)), int(random.integers(0, high))
        colour = tuple(int(value) for value in random.integers(90, 170) + random.integers(0, 85, 3))
        cv2.circle(picture, middle, int(random.integers(10, 45)), colour, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), 4)


def fur(high: int, wide: int) -> np.ndarray:
    """The sample without a person, enlarged and out of focus."""
    picture = cv2.imread(str(SAMPLES / "no_face_cat.png"))[:, :, ::-1]
    large = cv2.resize(np.ascontiguousarray(picture[120:, :150]), (wide, high), interpolation=cv2.INTER_CUBIC)
    return cv2.GaussianBlur(large, (0, 0), 8)


ALL: dict[str, Ground] = {"gradient": gradient, "clouds": clouds, "shelves": shelves, "lights": lights, "fur": fur}


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
