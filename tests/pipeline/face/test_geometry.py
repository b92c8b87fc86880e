import numpy as np
import pytest

from pipeline.face import geometry
from pipeline.image.affine import apply, similarity


def face(points: int = 68) -> np.ndarray:
    """A level face: eyes at (100, 100) and (160, 100), mouth at (130, 165)."""
    if points == 5:
        nose = 100 + 0.69 * 65
        return np.array([(170, 100), (150, 100), (90, 100), (110, 100), (130, nose)], float)
    landmarks = np.zeros((68, 2))
    landmarks[36:42], landmarks[42:48], landmarks[48:68] = (100, 100), (160, 100), (130, 165)
    return landmarks


@pytest.mark.parametrize("points", [68, 5])
def test_eyes_mouth_and_centre_are_found_in_either_model(points):
    landmarks = face(points)

    assert geometry.eye_distance(landmarks) == pytest.approx(60)
    assert geometry.mouth(landmarks) == pytest.approx([130, 165])
    assert geometry.centre(landmarks) == pytest.approx([130, 132.5])
    assert geometry.roll(landmarks) == pytest.approx(0)


@pytest.mark.parametrize("points", [68, 5])
@pytest.mark.parametrize("degrees", [-170, -90, -14, 3, 45, 90, 179])
def test_a_turned_face_has_that_roll_and_the_same_size(points, degrees):
    turned = apply(similarity(np.zeros(2), 1.0, np.radians(degrees), np.zeros(2)), face(points))

    assert np.degrees(geometry.roll(turned)) == pytest.approx(degrees)
    assert geometry.side(turned) == pytest.approx(geometry.side(face(points)))


def test_the_box_is_a_square_around_the_centre():
    x, y, width, height = geometry.box(face())

    assert width == height == pytest.approx(0.85 * 2.41 * 60 + 0.15 * 2.24 * 65)
    assert (x + width / 2, y + height / 2) == pytest.approx((130, 132.5))


def test_a_face_in_profile_is_not_taken_for_a_small_one():
    profile = face()
    profile[36:42], profile[42:48] = (120, 100), (140, 100)

    assert geometry.side(profile) == pytest.approx(0.85 * 2.24 * 65)
