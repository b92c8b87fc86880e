import cv2
import numpy as np
import pytest

from pipeline.matte import continued, guided, refined


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A red disc on blue, and its true alpha."""
    y, x = np.mgrid[0:600, 0:600]
    alpha = np.clip(200.5 - np.hypot(x - 300, y - 300), 0, 1)[:, :, None]
    picture = alpha * (190, 60, 50) + (1 - alpha) * (40, 70, 160)
    return np.round(picture).astype(np.uint8), alpha[:, :, 0]


def test_a_coarse_mask_comes_to_the_edge_of_the_picture():
    picture, truth = scene()
    coarse = cv2.GaussianBlur(np.roll(np.round(255 * truth).astype(np.uint8), 3, axis=1), (0, 0), 3)

    errors = [np.abs(alpha / 255.0 - truth).mean() for alpha in (coarse, refined(picture, coarse))]

    assert errors[1] < 0.75 * errors[0]


def test_the_middle_stays_opaque_and_the_far_background_transparent():
    picture, truth = scene()

    alpha = refined(picture, cv2.GaussianBlur(np.round(255 * truth).astype(np.uint8), (0, 0), 3))

    assert alpha[300, 300] == 255
    assert alpha[5, 5] == 0


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_flat_picture_only_smooths_the_mask(level):
    flat = np.full((80, 90, 3), level, np.uint8)
    half = np.full((80, 90), 128, np.uint8)

    assert np.abs(refined(flat, half).astype(int) - 128).max() <= 2


def test_a_plane_that_is_a_line_of_the_guides_is_kept():
    guide = list(np.random.default_rng(5).random((3, 60, 70)).astype(np.float32))
    plane = 0.5 * guide[0] - 0.2 * guide[1] + 0.3 * guide[2] + 0.1

    assert np.abs(guided(guide, plane.astype(np.float32), 6, 1e-7) - plane).max() < 1e-3


def test_colours_go_on_where_a_picture_is_transparent():
    picture = np.full((200, 200, 3), 240, np.uint8)
    picture[:, :100] = (200, 40, 40)
    alpha = np.zeros((200, 200), np.uint8)
    alpha[:, :100] = 255

    whole = continued(picture, alpha)

    assert (whole[:, :100] == (200, 40, 40)).all()
    assert np.abs(whole[:, 100:].astype(int) - (200, 40, 40)).max() <= 2
