import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cutout.frame import MAX_WIDENING, SIDE, Frame, cutout_crop, reaches_over_edge
from pipeline.face import geometry
from pipeline.image.affine import apply, corners, inverse, scale_of, similarity


def face(roll: float = 0.0, size: float = 1.0, place: tuple[float, float] = (500.0, 400.0)) -> np.ndarray:
    landmarks = np.zeros((68, 2))
    landmarks[36:42], landmarks[42:48], landmarks[48:68] = (-30, -32), (30, -32), (0, 33)
    return apply(similarity(np.zeros(2), size, roll, np.array(place)), landmarks)


frames = st.builds(Frame, st.integers(64, 1200), st.integers(64, 1200), st.floats(0, 1))


@given(frames, st.floats(-3.1, 3.1), st.floats(0.05, 10))
def test_the_eyes_are_level_and_the_face_is_centred_across(frame, roll, size):
    landmarks = face(roll, size)

    finished = apply(frame.to_output(landmarks), landmarks)

    assert geometry.roll(finished) == pytest.approx(0, abs=1e-6)
    assert geometry.centre(finished)[0] == pytest.approx((frame.width - 1) / 2)


@given(frames, st.floats(-3.1, 3.1))
def test_the_margin_box_fits_exactly_inside_the_output(frame, roll):
    landmarks = face(roll)
    margin = frame.margin

    to_output = frame.to_output(landmarks)

    side = geometry.side(landmarks) * scale_of(to_output)
    x, y = apply(to_output, geometry.centre(landmarks)[None])[0]
    left, right = x - side * (0.5 + margin), x + side * (0.5 + margin)
    top, bottom = y - side * (0.5 + 1.5 * margin), y + side * (0.5 + margin)
    assert min(left, top) >= -0.5 - 1e-6
    assert right <= frame.width - 0.5 + 1e-6
    assert bottom <= frame.height - 0.5 + 1e-6
    assert min(left, top) == pytest.approx(-0.5, abs=1e-6)


def test_a_head_inside_the_oval_widens_nothing():
    frame = Frame(648, 648, 0.3)

    assert frame.widening(np.array([[324.0, 30.0], [600.0, 324.0]])) == 1.0
    assert frame.widening(np.empty((0, 2))) == 1.0


def test_a_head_beyond_the_oval_widens_the_frame_until_it_is_inside():
    frame, landmarks = Frame(648, 648, 0.3), face()
    crown = np.array([[500.0, 225.0]])
    head = apply(frame.to_output(landmarks), crown)

    widening = frame.widening(head)

    assert widening > 1
    assert frame.widening(apply(frame.to_output(landmarks, widening), crown)) == pytest.approx(1.0, abs=0.02)


def test_no_outlier_makes_the_face_tiny():
    assert Frame(648, 648, 0.3).widening(np.array([[-5000.0, 0.0]])) == MAX_WIDENING


def test_a_face_over_the_edge_is_noticed():
    assert reaches_over_edge(face(place=(30.0, 400.0)), (800, 1000, 3))
    assert not reaches_over_edge(face(), (800, 1000, 3))


@given(st.floats(-3.1, 3.1), st.floats(0.2, 3))
def test_the_room_shows_frame_and_face_with_room_and_nothing_beyond_the_photo(roll, size):
    landmarks, frame = face(roll, size), Frame(648, 648, 0.3)

    to_crop, (width, height) = cutout_crop(landmarks, frame.to_output(landmarks), (648, 648), (800, 1000, 3))

    assert max(width, height) == SIDE
    seen = apply(to_crop, corners(1000, 800))
    assert seen[:, 0].min() <= 1
    assert seen[:, 0].max() >= width - 2
    inside = apply(inverse(to_crop), np.array([[width / 2, height / 2]]))[0]
    assert -500 < inside[0] < 1500
    x, y = apply(to_crop, geometry.centre(landmarks)[None])[0]
    assert 0 < x < width
    assert 0 < y < height
