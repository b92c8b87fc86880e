import cv2
import numpy as np
import pytest

from pipeline.cutout.matte import estimate_unknown, extrapolate_colours, fit_local_linear, harden_smears, refine_alpha


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A red disc on blue, and its true alpha."""
    y, x = np.mgrid[0:600, 0:600]
    alpha = np.clip(200.5 - np.hypot(x - 300, y - 300), 0, 1)[:, :, None]
    picture = alpha * (190, 60, 50) + (1 - alpha) * (40, 70, 160)
    return np.round(picture).astype(np.uint8), alpha[:, :, 0]


def test_refine_alpha_moves_a_coarse_mask_to_the_edge():
    picture, truth = scene()
    coarse = cv2.GaussianBlur(np.roll(np.round(255 * truth).astype(np.uint8), 3, axis=1), (0, 0), 3)

    errors = [np.abs(alpha / 255.0 - truth).mean() for alpha in (coarse, refine_alpha(picture, coarse))]

    assert errors[1] < 0.75 * errors[0]


def test_refine_alpha_keeps_middle_opaque_and_background_transparent():
    picture, truth = scene()

    alpha = refine_alpha(picture, cv2.GaussianBlur(np.round(255 * truth).astype(np.uint8), (0, 0), 3))

    assert alpha[300, 300] == 255
    assert alpha[5, 5] == 0


@pytest.mark.parametrize("size", [(64, 64), (648, 480), (1500, 1100)])
@pytest.mark.parametrize("level", [0, 90, 255])
def test_refine_alpha_of_a_flat_picture_keeps_the_mask(level, size):
    truth = np.zeros(size, np.uint8)
    truth[:, size[1] // 2 :] = 255

    alpha = refine_alpha(np.full((*size, 3), level, np.uint8), truth)

    assert np.abs(alpha.astype(int) - truth).mean() < 255 * 0.03
    assert alpha[0, 0] == 0
    assert alpha[-1, -1] == 255


def test_refine_alpha_finds_a_far_edge_by_colour():
    picture, truth = scene()
    coarse = cv2.GaussianBlur(np.round(255 * cv2.dilate(truth, np.ones((17, 17)))).astype(np.uint8), (0, 0), 3)

    band = (coarse > 64) & (truth == 0)

    assert coarse[band].mean() > 190
    assert refine_alpha(picture, coarse)[band].mean() < 80


def test_estimate_unknown_with_equal_colours_keeps_the_mask():
    ramp = np.tile(np.clip(np.linspace(-2, 3, 80), 0, 1).astype(np.float32), (60, 1))

    moved = estimate_unknown(np.full((60, 80, 3), 0.5, np.float32), ramp)

    assert np.abs(moved - ramp)[np.abs(ramp - 0.5) > 0.25].max() < 0.05


def test_harden_smears_sends_a_wide_smear_to_the_nearer_end():
    before = np.zeros((162, 162), np.float32)
    before[40:80, 40:80], before[100:140, 40:80] = 0.6, 0.4

    after = harden_smears(before, before)

    assert (after[60, 60], after[120, 60]) == (1, 0)


def test_harden_smears_keeps_a_narrow_soft_edge():
    hair = np.zeros((162, 162), np.float32)
    hair[:, 60:66] = 0.6

    assert (harden_smears(hair, hair) == hair).all()


def test_fit_local_linear_finds_a_linear_function_of_the_guide():
    guide = np.random.default_rng(5).random((60, 70, 3)).astype(np.float32)
    plane = 0.5 * guide[..., 0] - 0.2 * guide[..., 1] + 0.3 * guide[..., 2] + 0.1

    lines, explained = fit_local_linear(guide, plane, np.ones_like(plane), 6)

    assert np.abs(lines - (0.5, -0.2, 0.3, 0.1)).max() < 0.02
    assert explained.min() > 0.9


def test_fit_local_linear_ignores_pixels_without_weight():
    guide = np.random.default_rng(5).random((60, 70, 3)).astype(np.float32)
    plane, weight = guide[..., 0].copy(), np.ones((60, 70), np.float32)
    weight[20:25], plane[20:25] = 0, 1 - plane[20:25]

    lines, _ = fit_local_linear(guide, plane, weight, 12)

    assert np.abs(lines - (1, 0, 0, 0)).max() < 0.02


def test_extrapolate_colours_fills_the_transparent_part():
    picture = np.full((200, 200, 3), 240, np.uint8)
    picture[:, :100] = (200, 40, 40)
    alpha = np.zeros((200, 200), np.uint8)
    alpha[:, :100] = 255

    whole = extrapolate_colours(picture, alpha)

    assert (whole[:, :100] == (200, 40, 40)).all()
    assert np.abs(whole[:, 100:].astype(int) - (200, 40, 40)).max() <= 2
