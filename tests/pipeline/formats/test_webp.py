"""A damaged WebP is rejected, and a sound one never is."""

import numpy as np
import pytest
from PIL import Image

from pipeline.types import Photo
from tests.pipeline.image.picture_bytes import BAD_INPUTS, CASES, PORTRAITS, encoded, outcome

NAMES = ["grace_hopper.jpg", "portrait_bokeh.jpg", "sally_ride_small.jpg", "group_selfie.jpg"]
LOSSY = [{"quality": 85}, {"quality": 30, "method": 0}, {"quality": 96, "method": 6}]


def webp(name, **options):
    image = Image.open(PORTRAITS / name).convert("RGB")
    image.thumbnail((420, 420))
    return encoded(image, "WEBP", **options)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [*LOSSY, {"lossless": True}, {"lossless": True, "method": 0}])
def test_a_sound_webp_is_a_photo(name, options):
    assert isinstance(outcome(webp(name, **options)), Photo)


def test_a_sound_webp_with_alpha_and_metadata_is_a_photo():
    image = Image.open(PORTRAITS / "sally_ride_small.jpg").convert("RGB")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    for lossless in (False, True):
        assert isinstance(outcome(encoded(image, "WEBP", lossless=lossless, exif=b"Exif\0\0II*\0")), Photo)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (17, 5), (64, 64)])
@pytest.mark.parametrize("lossless", [False, True])
def test_a_sound_webp_of_one_colour_is_a_photo(size, lossless):
    assert isinstance(outcome(encoded(Image.new("RGB", size, (255, 255, 255)), "WEBP", lossless=lossless)), Photo)


def test_animations_are_not_checked():
    assert isinstance(outcome((BAD_INPUTS / "iss634.webp").read_bytes()), Photo)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", LOSSY)
def test_zeros_or_changed_bytes_in_a_lossy_webp_are_damage(name, options):
    data, random = webp(name, **options), np.random.default_rng(7)
    sound = outcome(data).pixels.astype(int)
    for length in (1, 1, 1, 64, 512, len(data) // 8):
        changed = bytearray(data)
        place = int(random.integers(len(data) // 10, len(data) * 3 // 4))
        changed[place : place + length] = bytes(length) if length > 1 else [data[place] ^ int(random.integers(1, 256))]
        result = outcome(bytes(changed))
        if isinstance(result, Photo):
            assert np.abs(result.pixels - sound).mean() < 3
        else:
            assert result.reason in ("damaged", "truncated")


def test_the_block_of_zeros_from_the_field_is_damage():
    assert outcome((CASES / "damaged_block_of_zeros.webp").read_bytes()).reason == "damaged"
