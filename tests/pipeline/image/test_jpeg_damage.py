"""Damage that a JPEG decoder does not notice: a step that begins at one block and lasts."""

import numpy as np
import pytest
from PIL import Image

from pipeline.image.jpeg_damage import has_lasting_step
from tests.pipeline.image.picture_bytes import PORTRAITS, encoded, photo

HEALTHY = ["grace_hopper.jpg", "portrait_bokeh.jpg", "group_selfie.jpg", "portrait_glasses_scarf.jpg", "astronaut.png"]
SAMPLINGS = [(0, 8, 8), (1, 8, 16), (2, 16, 16)]


def pixels(name):
    return np.array(Image.open(PORTRAITS / name).convert("RGB"))


def stepped(array, row, column, height, width, levels):
    """What a wrong difference at one block makes of all blocks behind it."""
    changed = array.astype(int)
    top, left = row * height, column * width
    changed[top : top + height, left:] += levels
    changed[top + height :] += levels
    return np.clip(changed, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize(("subsampling", "height", "width"), SAMPLINGS)
def test_has_lasting_step_where_all_blocks_from_one_on_differ(name, subsampling, height, width):
    array = pixels(name)
    places = [(row, column) for row in (5, 9, 14, 20) for column in (4, 9, 17)]
    found = 0
    for row, column in places:
        image = Image.fromarray(stepped(array, row, column, height, width, (30, 30, 30)))
        found += photo(encoded(image, "JPEG", subsampling=subsampling)).notes == ("damaged",)
    assert found >= 9, f"{found} of {len(places)}"


@pytest.mark.parametrize(("subsampling", "height", "width"), SAMPLINGS)
def test_has_lasting_step_in_colour_alone(subsampling, height, width):
    image = Image.fromarray(stepped(pixels("portrait_bokeh.jpg"), 9, 9, height, width, (0, -6, 25)))
    assert photo(encoded(image, "JPEG", subsampling=subsampling)).notes == ("damaged",)


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize(("subsampling", "height", "width"), SAMPLINGS)
@pytest.mark.parametrize("quality", [40, 75, 92])
def test_no_lasting_step_in_a_healthy_photo(name, subsampling, height, width, quality):
    image = Image.fromarray(pixels(name))
    for side in (1000, 450):
        image.thumbnail((side, side))
        assert photo(encoded(image, "JPEG", subsampling=subsampling, quality=quality)).notes == ()


def test_no_lasting_step_where_the_whole_row_differs():
    framed = np.full((320, 480, 3), 10, np.uint8)
    framed[64:256] = 200
    assert not has_lasting_step(framed, 16, 16)


def test_a_grey_photo_is_looked_at_too():
    grey = np.array(Image.fromarray(stepped(pixels("portrait_bokeh.jpg"), 20, 30, 8, 8, (30, 30, 30))).convert("L"))
    assert photo(encoded(Image.fromarray(grey), "JPEG")).notes == ("damaged",)


def test_small_pictures_are_not_judged():
    assert not has_lasting_step(stepped(pixels("sally_ride_small.jpg"), 5, 5, 16, 16, (40, 40, 40)), 16, 16)
