import numpy as np

from pipeline.cutout.compose import composite, estimate_foreground, keep_connected, multiply_alphas, oval_alpha


def test_composing_is_straight_alpha():
    """The original premultiplied twice and made (170, 157, 145) of this: a dark fringe around every head."""
    colour = np.full((1, 1, 3), (200, 150, 100), np.uint8)

    mixed = composite(colour, np.full((1, 1), 128, np.uint8), (240, 240, 240))

    assert mixed[0, 0].tolist() == [220, 195, 170]


def test_the_oval_fills_the_middle_and_leaves_the_corners():
    area = oval_alpha(648, 432)

    assert area[216, 324] == 255
    assert area[0, 0] == area[-1, -1] == area[0, 324] == 0
    assert (area == area[::-1]).all()
    assert (area == area[:, ::-1]).all()


def test_the_oval_reaches_to_096_of_each_side():
    area = oval_alpha(1000, 500)

    assert abs((area[250] >= 128).sum() - 960) <= 2
    assert abs((area[:, 500] >= 128).sum() - 480) <= 2


def test_the_product_of_alphas_is_exact_at_both_ends():
    ramp = np.arange(256, dtype=np.uint8)[None]

    assert (multiply_alphas(ramp, np.full_like(ramp, 255)) == ramp).all()
    assert (multiply_alphas(ramp, np.zeros_like(ramp)) == 0).all()


def test_the_soft_edge_loses_the_colour_of_the_old_background():
    """A red person on green: at half alpha the photo shows olive, the person's own colour is red."""
    alpha = np.tile(np.clip(np.linspace(-300, 560, 96), 0, 255).astype(np.uint8), (64, 1))
    red, green = np.array([200, 30, 30]), np.array([30, 200, 30])
    share = alpha[:, :, None] / 255
    photo = np.round(red * share + green * (1 - share)).astype(np.uint8)

    cleaned = estimate_foreground(photo, alpha)

    edge = (alpha > 60) & (alpha < 250)
    before, after = (np.abs(picture[edge].astype(int) - red).mean() for picture in (photo, cleaned))
    assert after < before / 4


def test_what_the_oval_cut_off_from_the_person_goes_and_soft_edges_stay():
    alpha = np.zeros((100, 100), np.uint8)
    alpha[20:80, 30:70] = 255
    alpha[20:80, 70:73] = (120, 40, 8)
    alpha[30:60, 90:95] = 200

    whole = keep_connected(alpha, np.array([[50.0, 40.0], [55.2, 130.0]]))

    assert whole[:, 85:].max() == 0
    assert np.array_equal(whole[:, :85], alpha[:, :85])
    assert np.array_equal(keep_connected(alpha, np.array([[80.0, 10.0]])), alpha)
