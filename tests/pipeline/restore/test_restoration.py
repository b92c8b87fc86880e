"""Restoration around the network: where it is used, how its change comes into the picture, and who is left alone."""

import cv2
import numpy as np
import pytest

from pipeline.cutout.frame import Frame
from pipeline.face.identity import Identity
from pipeline.image.affine import apply, inverse, sample, scale_of
from pipeline.restore.restoration import SIDE, FaceRestoration, align_to_template, blend_restored, face_mask
from tests.conftest import pixels


class Painter:
    """A network's place taken by a function of the aligned face."""

    def __init__(self, paint):
        self.paint = paint
        self.seen = []

    def restore(self, face, fidelity):
        self.seen.append((face, fidelity))
        return self.paint(face)


def same(face):
    return face


def blurred(face):
    return cv2.GaussianBlur(face, (0, 0), 8)


def greener(face):
    return np.clip(face + np.array([-30, 30, -30]), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def small_face(portrait_pipeline):
    """A photo with 43 px between the eyes, and its landmarks."""
    photo = pixels("astronaut.png")
    return photo, max(portrait_pipeline.find_faces(photo), key=lambda face: face.score).landmarks


@pytest.fixture(scope="module")
def large_face(portrait_pipeline):
    """A sharp photo with 149 px between the eyes, and its landmarks."""
    photo = pixels("portrait_glasses_scarf.jpg")
    return photo, max(portrait_pipeline.find_faces(photo), key=lambda face: face.score).landmarks


def restored(face, paint, *, always=False, identity=None, limit=0.5):
    return FaceRestoration(Painter(paint).restore, identity, limit).restore_face(*face, 0.7, always=always)


def words(found):
    return {key: value for key, value in found.facts.items() if key != "box"}


def framed(face):
    to_output = Frame(648, 648, 0.3).to_output(face[1])
    return sample(face[0], to_output, 648, 648), to_output


def test_the_aligned_face_has_its_eyes_and_mouth_where_the_network_expects_them(small_face):
    points = apply(align_to_template(small_face[1]), small_face[1])

    assert np.abs(points[36:42].mean(axis=0) - (193.7, 243.0)).max() < 8
    assert np.abs(points[42:48].mean(axis=0) - (318.3, 243.1)).max() < 8
    assert np.abs(points[54] - (313.9, 372.8)).max() < 12


def test_the_alignment_is_the_similarity_that_a_face_was_moved_by():
    canonical = np.random.default_rng(1).uniform(100, 400, (68, 2))
    moved = canonical * 0.3 + (40.0, 70.0)

    relation = align_to_template(moved)[:, :2] * 0.3 - align_to_template(canonical)[:, :2]

    assert np.abs(relation).max() < 1e-9


def test_the_network_sees_the_upright_face_and_the_fidelity(small_face):
    network = Painter(same)

    FaceRestoration(network.restore, None, 0.5).restore_face(*small_face, 0.3, always=False)

    ((face, fidelity),) = network.seen
    assert face.shape == (SIDE, SIDE, 3)
    assert fidelity == 0.3


def test_a_small_face_is_restored_and_the_report_says_why(small_face):
    assert words(restored(small_face, same)) == {
        "outcome": "applied",
        "why": "43 px between the eyes, fewer than 126",
    }


def test_a_large_sharp_face_is_left_alone_and_the_report_says_why(large_face):
    found = restored(large_face, same)

    assert found.change is None
    assert words(found) == {"outcome": "not_needed", "why": "149 px between the eyes, and sharp"}


def test_a_large_soft_face_is_restored(large_face):
    soft = cv2.GaussianBlur(large_face[0], (0, 0), 4), large_face[1]

    assert restored(soft, same).facts["why"].startswith("soft: blur 0.")


def test_noise_does_not_make_a_soft_face_sharp(large_face):
    soft = cv2.GaussianBlur(large_face[0], (0, 0), 5).astype(float)
    noisy = np.clip(soft + np.random.default_rng(0).normal(0, 8, soft.shape), 0, 255).astype(np.uint8)

    assert restored((noisy, large_face[1]), same).facts["outcome"] == "applied"


def test_a_large_sharp_face_is_restored_where_that_is_asked_for(large_face):
    assert words(restored(large_face, same, always=True)) == {"outcome": "applied", "why": "asked for"}


def test_a_network_that_changes_nothing_leaves_every_bit(small_face):
    picture, to_output = framed(small_face)

    assert np.array_equal(blend_restored(picture, to_output, [restored(small_face, same)], grey=False), picture)


def test_outside_the_face_no_bit_changes(small_face):
    picture, to_output = framed(small_face)
    face = restored(small_face, lambda seen: 255 - seen)

    changed = np.abs(blend_restored(picture, to_output, [face], grey=False).astype(int) - picture).max(axis=2)

    hull = cv2.convexHull(np.round(apply(to_output, small_face[1])).astype(np.int32))
    near = cv2.dilate(cv2.fillConvexPoly(np.zeros(picture.shape[:2], np.uint8), hull, 1), np.ones((121, 121)))
    assert changed[near == 0].max() == 0
    assert changed.max() > 100


def test_the_mask_fades_in_and_ends_before_the_edge_of_what_the_network_saw():
    points = np.random.default_rng(3).uniform(-100, 700, (68, 2))

    area = face_mask(points)

    assert max(area[0].max(), area[-1].max(), area[:, 0].max(), area[:, -1].max()) == 0
    assert np.abs(np.diff(area, axis=0)).max() < 0.08


def test_a_shift_of_colour_is_not_taken_over(small_face):
    picture, to_output = framed(small_face)

    changed = blend_restored(picture, to_output, [restored(small_face, greener)], grey=False).astype(int) - picture

    assert np.abs(changed).mean() < 0.5


def test_a_restored_face_has_the_picture_s_resolution_and_not_the_photo_s(small_face):
    picture, to_output = framed(small_face)
    stripes = np.zeros((SIDE, SIDE, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = stripes[:, 2::8] = stripes[:, 3::8] = 255
    assert scale_of(to_output) > 2

    seen = blend_restored(picture, to_output, [restored(small_face, lambda _: stripes)], grey=False)

    x, y = apply(to_output, small_face[1])[30].astype(int)
    row = seen[y, x - 40 : x + 40, 1].astype(int)
    assert np.ptp(row) > 200


def test_a_grey_picture_stays_grey(small_face):
    picture, to_output = framed(small_face)
    grey = np.repeat(picture[:, :, 1:2], 3, axis=2)
    face = restored(small_face, lambda seen: np.roll(blurred(seen), 1, axis=2))

    assert np.ptp(blend_restored(grey, to_output, [face], grey=True), axis=2).max() == 0


def test_a_face_that_became_another_person_s_is_dropped(small_face, models):
    identity = Identity(models / "dlib_face_recognition_resnet_model_v1.dat")

    found = restored(small_face, lambda seen: cv2.GaussianBlur(seen[::-1], (0, 0), 12), identity=identity)

    assert found.change is None
    assert found.facts["outcome"] == "dropped"
    assert "FACECRAFT_IDENTITY_LIMIT is 0.5" in found.facts["why"]
    assert found.facts["identity_distance"] > 0.5


def test_a_face_that_stays_the_same_person_s_is_kept_with_its_distance(small_face, models):
    identity = Identity(models / "dlib_face_recognition_resnet_model_v1.dat")

    found = restored(small_face, lambda seen: cv2.GaussianBlur(seen, (0, 0), 1), identity=identity)

    assert found.facts["outcome"] == "applied"
    assert found.facts["identity_distance"] < 0.3


def test_the_way_back_is_the_way_there_reversed(small_face):
    points = apply(align_to_template(small_face[1]), small_face[1])

    assert np.abs(apply(inverse(align_to_template(small_face[1])), points) - small_face[1]).max() < 1e-6
