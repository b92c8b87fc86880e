import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.image.affine import apply, chain, corners, coverage, inverse, sample, scale_of, similarity

angles = st.floats(-3.1, 3.1)
scales = st.floats(0.05, 20)
places = st.tuples(st.floats(-500, 500), st.floats(-500, 500))


@given(angles, scales, places, places)
def test_a_similarity_takes_its_source_to_its_target_and_scales(radians, scale, source, target):
    matrix = similarity(np.array(source), scale, radians, np.array(target))

    assert apply(matrix, np.array([source]))[0] == pytest.approx(target, abs=1e-6)
    assert scale_of(matrix) == pytest.approx(scale)


@given(angles, scales, places, places)
def test_the_inverse_undoes_a_transform(radians, scale, source, target):
    matrix = similarity(np.array(source), scale, radians, np.array(target))

    assert chain(inverse(matrix), matrix) == pytest.approx(np.array([[1, 0, 0], [0, 1, 0]]), abs=1e-6)


def test_sampling_through_the_identity_changes_nothing():
    picture = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)

    assert (sample(picture, np.array([[1.0, 0, 0], [0, 1, 0]]), 60, 40) == picture).all()


@pytest.mark.parametrize("scale", [0.11, 0.5, 0.83, 1.0, 1.5])
@pytest.mark.parametrize("degrees", [0, 7, -31, 90])
def test_a_disc_lands_where_the_transform_says(scale, degrees):
    """Half a pixel lost in reducing or turning would show here."""
    y, x = np.mgrid[0:600, 0:800]
    radius = min(60, 40 / scale)
    disc = np.clip((radius - np.hypot(x - 430.0, y - 250.0)) * 255 + 128, 0, 255).astype(np.uint8)
    matrix = similarity(np.array([400.0, 300.0]), scale, np.radians(degrees), np.array([150.0, 140.0]))

    seen = sample(disc, matrix, 300, 280).astype(float)

    rows, columns = np.mgrid[0:280, 0:300]
    centre = np.array([(columns * seen).sum(), (rows * seen).sum()]) / seen.sum()
    assert centre == pytest.approx(apply(matrix, np.array([[430.0, 250.0]]))[0], abs=0.1)


def test_a_fine_pattern_turns_grey_when_reduced_and_not_into_moire():
    stripes = np.tile(np.array([0, 255], np.uint8), (400, 200))

    seen = sample(stripes, similarity(np.array([200.0, 200.0]), 0.23, 0.3, np.array([40.0, 40.0])), 80, 80)

    assert np.abs(seen[10:70, 10:70].astype(int) - 127).max() < 30


def test_coverage_is_full_inside_the_photo_and_empty_beyond():
    seen = coverage((100, 200, 3), similarity(np.zeros(2), 1.0, 0.0, np.array([50.0, 50.0])), 300, 200)

    assert (seen[50:150, 50:250] == 255).all()
    assert seen[:48].max() == seen[:, :48].max() == seen[152:].max() == seen[:, 252:].max() == 0


def test_corners_are_the_outer_edges_of_the_corner_pixels():
    assert corners(2, 3).tolist() == [[-0.5, -0.5], [1.5, -0.5], [1.5, 2.5], [-0.5, 2.5]]
