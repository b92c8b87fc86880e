import cv2
import numpy as np
import pytest

from pipeline.image.decode import decode
from pipeline.recipe import Recipe
from pipeline.stopwatch import Stopwatch
from pipeline.tone import correct, measure
from pipeline.types import Limits
from tests.conftest import PORTRAITS, pixels

SAMPLES = (
    "astronaut.png",
    "group_selfie.jpg",
    "portrait_bokeh.jpg",
    "portrait_glasses_scarf.jpg",
    "two_people_award.jpg",
)
RELIT = {"dark": (0.3, 0.3, 0.3), "warm": (1.2, 1.0, 0.62), "cool": (0.75, 1.0, 1.35), "dark, warm": (0.42, 0.35, 0.22)}


@pytest.fixture(scope="module")
def framed(portrait_pipeline):
    """Each sample's portrait before its tone is touched, with the mask of its skin."""
    portraits = {}
    for name in SAMPLES:
        photo = decode((PORTRAITS / name).read_bytes(), Limits())
        face = max(portrait_pipeline.find_faces(photo.pixels), key=lambda each: each.score)
        portrait = portrait_pipeline.portrait(photo, face, Recipe(photo_enhance=False), Stopwatch())
        portraits[name] = portrait, correct.skin_mask(portrait.landmarks, portrait.pixels.shape, portrait.alpha)
    return portraits


def lab(picture: np.ndarray, skin: np.ndarray) -> np.ndarray:
    chosen = picture[skin].reshape(-1, 1, 3).astype(np.float32) / 255
    return cv2.cvtColor(chosen, cv2.COLOR_RGB2LAB).reshape(-1, 3)


def apart(one: np.ndarray, other: np.ndarray, skin: np.ndarray) -> float:
    """Mean distance of the skin's colours in CIELAB."""
    return float(np.linalg.norm(lab(one, skin) - lab(other, skin), axis=1).mean())


def relit(picture: np.ndarray, gains: tuple[float, float, float]) -> np.ndarray:
    return measure.encoded(measure.linear(picture) * np.array(gains))


def improve(portrait, skin, picture=None, grey=False):
    picture = portrait.pixels if picture is None else picture
    return correct.correct_tone(picture, portrait.alpha, skin, grey=grey, scale=1.0)


@pytest.mark.parametrize("name", SAMPLES)
def test_correct_tone_leaves_good_light_alone(framed, name):
    portrait, skin = framed[name]

    assert apart(improve(portrait, skin), portrait.pixels, skin) < 4


def test_dark_skin_in_a_warm_room_keeps_its_yellow(framed):
    portrait, skin = framed["group_selfie.jpg"]

    before, after = (measure.skin_colour(picture[skin]) for picture in (portrait.pixels, improve(portrait, skin)))

    assert after[2] > before[2] - 2


def person(skin_tone: tuple[int, int, int], whites: tuple[int, int, int]) -> np.ndarray:
    """A face of one colour with eyes and teeth, 2 % of its area."""
    picture = np.full((100, 100, 3), skin_tone, np.uint8)
    picture[40:50, 40:60] = whites
    return picture


EVERYWHERE = np.ones((100, 100), bool)


@pytest.mark.parametrize("skin_tone", [(62, 40, 30), (110, 78, 60), (190, 145, 120), (240, 205, 185)])
def test_light_is_judged_by_what_is_brightest_whatever_the_skin(skin_tone):
    lit = person(skin_tone, (235, 232, 228))

    assert measure.measure(lit, EVERYWHERE, EVERYWHERE).dark == 0
    assert measure.measure(relit(lit, (0.3, 0.3, 0.3)), EVERYWHERE, EVERYWHERE).dark > 0.5


@pytest.mark.parametrize(("skin_tone", "warm"), [((100, 70, 50), False), ((180, 130, 60), True)])
def test_yellow_light_is_taken_only_from_yellow_skin(skin_tone, warm):
    """The first has a CIELAB b* of 17, the second of 45."""
    found = measure.measure(person(skin_tone, (255, 225, 150)), EVERYWHERE, EVERYWHERE)

    assert (found.warm > 0) is warm


@pytest.mark.parametrize(("skin_tone", "cool"), [((150, 110, 70), False), ((140, 110, 105), True)])
def test_blue_light_is_taken_only_from_skin_that_lacks_yellow(skin_tone, cool):
    """The first has a CIELAB b* of 28, the second of 7."""
    found = measure.measure(person(skin_tone, (190, 215, 255)), EVERYWHERE, EVERYWHERE)

    assert (found.warm < 0) is cool


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("gains", RELIT.values(), ids=RELIT)
def test_correct_tone_improves_bad_light(framed, name, gains):
    portrait, skin = framed[name]
    bad = relit(portrait.pixels, gains)

    mended = improve(portrait, skin, bad)

    assert apart(mended, portrait.pixels, skin) < apart(bad, portrait.pixels, skin)


@pytest.mark.parametrize("name", SAMPLES)
def test_correct_tone_clips_no_highlights(framed, name):
    portrait, skin = framed[name]
    solid = portrait.alpha > 240

    before, after = ((picture[solid] >= 254).mean() for picture in (portrait.pixels, improve(portrait, skin)))

    assert after <= before + 0.02


def test_correct_tone_keeps_grey_grey(framed):
    portrait, skin = framed["astronaut.png"]
    grey = np.repeat(portrait.pixels[:, :, 1:2], 3, axis=2)
    noisy = np.random.default_rng(0).normal(0, 12, grey.shape[:2])[:, :, None]
    noisy = np.clip(grey + noisy, 0, 255).astype(np.uint8)

    for picture in (grey, noisy, relit(grey, (0.3, 0.3, 0.3))):
        improved = improve(portrait, skin, picture, grey=True)
        assert np.ptp(improved.astype(int), axis=2).max() <= 1


def test_correct_tone_removes_noise(framed):
    portrait, skin = framed["portrait_bokeh.jpg"]
    noise = np.random.default_rng(1).normal(0, 9, portrait.pixels.shape)
    noisy = np.clip(portrait.pixels + noise, 0, 255).astype(np.uint8)

    improved = improve(portrait, skin, noisy)

    clean = improve(portrait, skin)
    before, after = (np.abs(picture[skin].astype(int) - clean[skin]).mean() for picture in (noisy, improved))
    assert after < 0.6 * before


def test_sharpen_gives_no_edge_a_halo(framed):
    """Black beside white: an unsharp mask without a bound overshoots on both sides."""
    step = np.full((64, 64, 3), 60, np.uint8)
    step[:, 32:] = 200
    opaque = np.full((64, 64), 255, np.uint8)

    sharpened = correct.sharpen(cv2.GaussianBlur(step, (0, 0), 1.5), opaque, 0.9)

    assert sharpened.min() >= 60
    assert sharpened.max() <= 200


def test_correct_tone_hardly_sharpens_an_enlarged_portrait(framed):
    portrait, skin = framed["portrait_bokeh.jpg"]
    plain = portrait.pixels

    def change(scale):
        corrected = correct.correct_tone(plain, portrait.alpha, skin, grey=False, scale=scale)
        return np.abs(corrected.astype(int) - plain)[skin].mean()

    assert change(5.0) < change(1.0)


def test_correct_tone_without_skin_changes_nothing():
    picture = pixels("no_face_cat.png")
    nobody, no_skin = np.zeros(picture.shape[:2], np.uint8), np.zeros(picture.shape[:2], bool)

    assert correct.correct_tone(picture, nobody, no_skin, grey=False, scale=1.0) is picture


@pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
def test_correct_tone_of_a_flat_picture_stays_flat_and_near(level):
    picture = np.full((80, 80, 3), level, np.uint8)
    everywhere = np.ones((80, 80), bool)

    improved = correct.correct_tone(picture, np.full((80, 80), 255, np.uint8), everywhere, grey=False, scale=1.0)

    assert np.ptp(improved, axis=(0, 1)).max() == 0
    assert np.abs(improved.astype(int) - level).max() <= 25
