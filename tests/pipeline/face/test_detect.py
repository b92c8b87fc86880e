import numpy as np
import pytest

from pipeline.face import geometry
from pipeline.face.detect import FaceFinder, central, largest, left_to_right
from pipeline.face.landmarks import Landmarker, is_plausible
from tests.conftest import pixels

SINGLE = {  # middle of the face in the sample, by eye
    "astronaut.png": (224, 122),
    "grace_hopper.jpg": (268, 238),
    "portrait_bokeh.jpg": (257, 208),
    "portrait_glasses_scarf.jpg": (405, 438),
    "sally_ride_small.jpg": (141, 142),
}


@pytest.fixture(scope="module")
def landmarker(models):
    return Landmarker(models / "shape_predictor_68_face_landmarks.dat", 68)


@pytest.fixture(scope="module")
def find(models, landmarker):
    return FaceFinder(landmarker, models / "mmod_human_face_detector.dat")


@pytest.mark.parametrize(("name", "middle"), SINGLE.items())
def test_the_one_face_of_a_portrait_is_found(find, name, middle):
    """HOG alone sees a second face in the astronaut's badge; its landmarks give it away."""
    (face,) = find(pixels(name))

    assert np.linalg.norm(geometry.centre(face.landmarks) - middle) < 0.1 * geometry.side(face.landmarks)


@pytest.mark.parametrize("quarters", [1, 2, 3])
@pytest.mark.parametrize("name", ["astronaut.png", "portrait_bokeh.jpg"])
def test_a_photo_on_its_side_or_head_shows_the_same_face(find, name, quarters):
    upright = pixels(name)
    (expected,) = find(upright)

    (face,) = find(np.ascontiguousarray(np.rot90(upright, quarters)))

    turned = np.degrees(geometry.roll(expected.landmarks)) - 90 * quarters
    assert (np.degrees(geometry.roll(face.landmarks)) - turned + 180) % 360 - 180 == pytest.approx(0, abs=3)


def test_a_cat_has_no_face(find):
    assert find(pixels("no_face_cat.png")) == ()


def test_a_flat_picture_has_no_face(find):
    assert find(np.full((300, 400, 3), 128, np.uint8)) == ()


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (40, 40)])
def test_no_size_is_too_small_to_look_at(find, size):
    assert find(np.zeros((*size, 3), np.uint8)) == ()


def test_two_people_are_two_faces(find):
    faces = find(pixels("two_people_award.jpg"))

    assert len(faces) == 2
    first, second = (geometry.centre(face.landmarks)[0] for face in left_to_right(faces))
    assert first < 1000 < second
    assert geometry.centre(largest(faces).landmarks)[0] > 1000
    assert geometry.centre(central(faces, pixels("two_people_award.jpg")).landmarks)[0] < 1000


def test_in_a_crowd_the_near_face_is_the_largest(find):
    faces = find(pixels("group_selfie.jpg"))

    assert len(faces) >= 5
    assert geometry.centre(largest(faces).landmarks)[0] == pytest.approx(659, abs=25)


def test_refined_landmarks_forget_where_the_box_was(landmarker):
    """The detector's box jumps when a JPEG is merely saved again; the frame must not."""
    photo = pixels("portrait_bokeh.jpg")
    grey = np.ascontiguousarray(photo[:, :, 1])
    boxes = [(137, 90, 216, 216), (147, 102, 219, 219), (125, 85, 240, 240)]

    found = [landmarker.refine(photo, landmarker.locate(grey, box)[0]) for box in boxes]

    centres = np.array([geometry.centre(landmarks) for landmarks in found])
    assert np.ptp(centres, axis=0).max() < 1.5
    assert np.ptp([np.degrees(geometry.roll(landmarks)) for landmarks in found]) < 0.7


def test_points_agree_on_a_face_and_scatter_elsewhere(landmarker):
    grey = np.ascontiguousarray(pixels("astronaut.png")[:, :, 1])

    _, on_face = landmarker.locate(grey, (175, 76, 91, 91))
    _, on_badge = landmarker.locate(grey, (126, 335, 90, 90))

    assert on_face < 0.01
    assert on_badge > 0.04


def test_the_five_point_model_finds_the_same_face(models, landmarker):
    five = Landmarker(models / "shape_predictor_5_face_landmarks.dat", 5)
    photo = pixels("portrait_bokeh.jpg")

    (one,) = FaceFinder(five)(photo)
    (other,) = FaceFinder(landmarker)(photo)

    assert len(one.landmarks) == 5
    apart = geometry.centre(five.refine(photo, one.landmarks)) - geometry.centre(other.landmarks)
    assert np.linalg.norm(apart) < 0.06 * geometry.side(other.landmarks)


def test_points_without_order_are_no_face():
    scattered = np.random.default_rng(0).uniform(0, 100, (68, 2))

    assert not is_plausible(scattered, (0, 0, 100, 100))
