"""The measures of `make quality` on inputs whose answers are known; the bench itself is not run."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.image.affine import apply
from tests.bench.quality import reader, table
from tests.bench.quality.inputs import composites, copies, grounds, photos
from tests.bench.quality.measures import colours, files, framing, matting


def disc(radius=40, side=160):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)


def noise(side=200, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (side // 4, side // 4, 3), np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def flat(*colour, side=8):
    return np.full((side, side, 3), colour, np.uint8)


def face_points(turn=0.0):
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[48:68] = (-50, -40), (50, -40), (0, 40)
    return points @ cv2.getRotationMatrix2D((0, 0), -turn, 1)[:, :2].T + 200


def test_a_face_is_the_right_one_near_its_label_only():
    assert framing.shows(np.array([103, 100]), (100, 100, 50))
    assert not framing.shows(np.array([130, 100]), (100, 100, 50))


@pytest.mark.parametrize(("level", "off", "answer"), [(3, 0.01, True), (80, 0.01, False), (3, 0.4, False)])
def test_upright_is_level_and_in_the_middle(level, off, answer):
    assert framing.upright(level, off) is answer


def test_a_reading_gives_tilt_centre_and_size_as_shares():
    found = reader.described(face_points(turn=10), 401, 401)

    assert found.level == pytest.approx(10)
    assert found.off_centre == pytest.approx(0, abs=1e-9)
    assert found.eye_distance == pytest.approx(100 / 401)


def test_a_tilted_copy_is_tilted_by_what_its_transform_says():
    pixels, matrix = copies.tilted(noise(), 12)
    x, y, size = copies.moved(matrix, 99.5, 99.5, 50)

    assert framing.matrix_tilt(matrix) == pytest.approx(12)
    assert (x, y) == pytest.approx(((pixels.shape[1] - 1) / 2, (pixels.shape[0] - 1) / 2), abs=1)
    assert size == pytest.approx(50)


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_a_displaced_picture_is_seen_to_the_tenth_of_a_pixel(shift):
    moved = cv2.warpAffine(noise(), np.array([[1, 0, shift], [0, 1, 0]]), (200, 200), borderMode=cv2.BORDER_REPLICATE)
    where = np.zeros((200, 200), bool)
    where[40:160, 40:160] = True

    assert framing.misplaced(noise(), cv2.convertScaleAbs(moved, alpha=0.8), where) == pytest.approx(shift, abs=0.1)


def test_a_move_between_transforms_is_the_largest_over_the_face():
    first, second = np.eye(2, 3), np.array([[1.0, 0, 3], [0, 1, 4]])
    assert framing.moved(first, second, np.array([50, 50]), 20) == pytest.approx(5)


def test_bars_count_the_person_in_empty_borders_only():
    person = np.ones((100, 100))
    alpha = np.full((100, 100), 255, np.uint8)
    alpha[:, :5] = alpha[:, -5:] = 0

    assert framing.bars(alpha, person) == pytest.approx(0.1)
    assert framing.bars(np.full((100, 100), 255, np.uint8), person) == 0


def test_bars_do_not_count_air():
    person = np.zeros((100, 100))
    person[50:, 20:80] = 1
    assert framing.bars((255 * person).astype(np.uint8), person) == 0


def test_a_right_matte_has_no_error_and_a_missing_one_has_the_area():
    truth = disc()

    assert matting.error(truth, truth) == 0
    assert matting.error(np.zeros_like(truth), truth) == pytest.approx(truth.mean())
    assert matting.band_error(truth, truth) == 0
    assert matting.band_error(truth, np.zeros_like(truth)) is None


def test_the_band_reaches_ten_pixels_to_each_side():
    columns = np.flatnonzero(matting.band(np.repeat(np.arange(100)[None] >= 50, 100, axis=0).astype(float))[50])
    assert (columns.min(), columns.max()) == (40, 59)


def test_premultiplied_colours_are_a_fringe_and_true_ones_are_none():
    alpha, true = np.full((4, 4), 0.5), np.full((4, 4, 3), (200.0, 150.0, 100.0))
    dark = true * 0.5

    assert matting.fringe(true, alpha, alpha, true) == 0
    assert matting.fringe(dark, alpha, alpha, true) == pytest.approx((50 + 37.5 + 25) / 3)
    assert matting.fringe_colour(true, alpha, alpha, true) == 0
    assert matting.fringe_colour(dark, alpha, alpha, true) > 10
    assert matting.fringe(true, np.ones((4, 4)), alpha, true) is None


def test_the_seam_is_what_shows_on_grey():
    truth, true = disc(), np.zeros((160, 160, 3))

    assert matting.seam(true, truth, truth, true) == 0
    near = matting.band(truth)
    assert matting.seam(true, np.zeros_like(truth), truth, true) == pytest.approx(240 * truth[near].mean())


def test_ciede2000_is_that_of_the_published_pairs():
    """Sharma, Wu, Dalal 2005, pairs 1 and 25."""
    assert colours.difference(np.array([50, 2.6772, -79.7751]), np.array([50, 0, -82.7485])) == pytest.approx(
        2.0425, abs=1e-4
    )
    assert colours.difference(
        np.array([60.2574, -34.0099, 36.2677]), np.array([60.4626, -34.1751, 39.4387])
    ) == pytest.approx(1.2644, abs=1e-4)


@pytest.mark.parametrize(("lab", "group"), [((70, 12, 16), "light"), ((52, 14, 18), "medium"), ((35, 12, 16), "dark")])
def test_skin_groups_follow_the_typology_angle(lab, group):
    assert colours.group(np.array(lab)) == group


def test_skin_is_the_median_without_the_extremes():
    area = np.ones((8, 8), bool)
    picture = flat(200, 150, 120)
    picture[0] = 0
    assert colours.skin(picture, area) == pytest.approx(colours.skin(flat(200, 150, 120), area))


def test_blown_out_is_only_what_the_photo_was_not():
    area = np.ones((8, 8), bool)

    assert colours.blown(flat(200, 180, 150), flat(255, 255, 200), area) == 1
    assert colours.blown(flat(255, 255, 255), flat(255, 255, 255), area) == 0
    assert colours.blown(flat(200, 180, 150), flat(255, 200, 180), area) == 0


def test_grey_has_no_chroma():
    area = np.ones((8, 8), bool)
    assert colours.chroma(flat(90, 90, 90), area) < 0.01
    assert colours.chroma(flat(90, 120, 60), area) > 20


def _file(kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(noise(64)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_file_is_in_order_with_resolution_and_profile_and_without_exif(kind):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "a name"

    assert files.in_order(_file(kind, dpi=(300, 300), icc_profile=srgb))
    assert not files.in_order(_file(kind, icc_profile=srgb))
    assert not files.in_order(_file(kind, dpi=(300, 300)))
    assert not files.in_order(_file(kind, dpi=(300, 300), icc_profile=srgb, exif=exif))


def test_the_difference_of_pictures_is_in_levels():
    assert files.apart(flat(0, 10, 20), flat(10, 0, 20)) == pytest.approx(20 / 3)


def test_light_changes_linearly_and_the_clean_light_is_none():
    assert np.array_equal(copies.relit(noise(), (1, 1, 1)), noise())
    warm = copies.relit(flat(128, 128, 128), copies.LIGHTS["warm"])[0, 0]
    assert warm[0] > warm[1] > warm[2]


def test_other_formats_and_orientations_hold_the_same_pixels():
    from tests.bench.quality.bench import pixels_of

    for name, data in copies.same_pixels(noise(64)[:, :48].copy()).items():
        assert np.array_equal(pixels_of(data), noise(64)[:, :48]), name


def test_a_composite_is_its_parts_mixed_by_its_alpha():
    who = composites.CutOut("disc", np.full((160, 160, 3), 0.8), disc(), (80, 80, 40))
    behind = grounds.gradient(300, 300)
    made = composites.pasted(who, "gradient", behind, 0.5, 0.5)
    mixed = 255 * made.colours * made.alpha[:, :, None] + behind * (1 - made.alpha[:, :, None])

    assert np.abs(made.shot.pixels - mixed).max() <= 0.5 + 1e-6
    assert made.shot.face == pytest.approx((150, 225, 37.5), abs=1)


def test_a_trimap_is_unknown_around_the_edge_only():
    mask = np.zeros((100, 100), np.uint8)
    mask[:, 50:] = 255
    assert np.unique(composites.trimap(mask)[50, :40]).tolist() == [0]
    assert np.unique(composites.trimap(mask)[50, 60:]).tolist() == [1]
    assert composites.trimap(mask)[50, 50] == 0.5


@pytest.mark.parametrize("name", grounds.ALL)
def test_backgrounds_are_the_same_each_time(name):
    ground = grounds.ALL[name](90, 120)
    assert ground.shape == (90, 120, 3)
    assert np.array_equal(ground, grounds.ALL[name](90, 120))


def test_labels_lie_inside_their_photos():
    for shot in photos.samples():
        if shot.face:
            x, y, size = shot.face
            assert size / 2 < x < shot.pixels.shape[1] - size / 2, shot.name
            assert size / 2 < y < shot.pixels.shape[0] - size / 2, shot.name


def test_a_row_marks_a_missed_goal_and_leaves_out_what_was_not_measured():
    row = table.figures("far", [1.0, None, 3.0], [], [(table.mean, 1.5), (table.worst, None)], unit="px")

    assert (row.measure, row.count, row.goal, row.ours, row.original) == (
        "far, px",
        "2",
        "<= 1.50; -",
        "2.00; 3.00",
        "-",
    )
    assert row.missed
    assert not table.hits("right", [True] * 9 + [False], [], 0.9).missed
    assert table.printed([row]).splitlines()[-1].endswith("x")


def test_a_moved_label_follows_the_transform():
    double = np.array([[2.0, 0, 1], [0, 2, 0]])
    assert copies.moved(double, 10, 20, 5) == (*apply(double, np.array([[10, 20]]))[0], 10)


def test_a_person_is_whole_down_to_the_row_where_it_reaches_a_side():
    mask = np.zeros((100, 100), np.uint8)
    mask[20:70, 30:60] = 255
    assert composites.whole_rows(mask) == 100
    mask[70:, :] = 255
    assert composites.whole_rows(mask) == 70
    mask[0, 50] = 255
    assert composites.whole_rows(mask) == 0
