"""Profiles, and what counts as grey."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.formats.colour_space import PRIMARIES, ColourSpace
from pipeline.image.colour import is_grey, rgb_profile, to_srgb
from tests.pipeline.image.picture_bytes import PORTRAITS, encoded, gradient, photo

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def display_p3():
    return rgb_profile(ColourSpace(PRIMARIES[12]))


def grey_profile(gamma):
    """The smallest grey profile: its first tags of display_p3, and one curve."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    table = struct.pack(">4sII4sII", b"wtpt", 156, 20, b"kTRC", 176, len(curve))
    head = bytearray(display_p3()[:128])
    head[16:20] = b"GRAY"
    head[0:4] = struct.pack(">I", 176 + len(curve))
    return bytes(head) + struct.pack(">I", 2) + table + white + curve


def test_an_srgb_profile_leaves_every_pixel_as_it_is():
    original = photo((PORTRAITS / "grace_hopper.jpg").read_bytes()).pixels
    assert np.array_equal(photo(encoded(Image.fromarray(original), "PNG", icc_profile=SRGB)).pixels, original)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_display_p3_is_converted(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.new("RGB", (8, 8), (200, 100, 100)), kind, icc_profile=display_p3(), **options)
    assert np.abs(photo(data).pixels[4, 4].astype(int) - [215, 93, 97]).max() <= 1
    assert photo(data).notes == ()


def test_display_p3_named_only_by_number_in_a_heif_is_converted():
    image = Image.new("RGB", (64, 64), (200, 100, 100))
    named = photo(encoded(image, "HEIF", quality=-1, chroma=444, color_primaries=12, transfer_characteristics=13))
    assert np.abs(named.pixels[4, 4].astype(int) - [215, 93, 97]).max() <= 3


def test_white_black_and_grey_stay_neutral_through_a_profile():
    levels = Image.fromarray(np.array([[[0] * 3, [128] * 3, [255] * 3]], np.uint8))
    assert photo(encoded(levels, "PNG", icc_profile=display_p3())).pixels[0].tolist() == np.asarray(levels)[0].tolist()


@pytest.mark.parametrize("profile", [b"\0" * 200, SRGB[:100], SRGB[:-400], LAB], ids=["zeros", "head", "cut", "lab"])
def test_a_profile_that_cannot_be_used_leaves_the_pixels_and_a_note(profile):
    result = photo(encoded(gradient(), "PNG", icc_profile=profile))
    assert np.array_equal(result.pixels, np.asarray(gradient()))
    assert result.notes == ("profile_ignored",)


def test_a_profile_of_many_megabytes_is_not_even_read():
    result = photo(encoded(gradient(), "JPEG", icc_profile=SRGB + bytes(5_000_000)))
    assert result.notes == ("profile_ignored",)


def test_a_profile_for_another_kind_of_colour_is_ignored():
    for mode, profile in (("RGB", grey_profile(1.0)), ("CMYK", SRGB)):
        assert to_srgb(gradient().convert(mode), profile)[1]


def test_a_grey_profile_is_converted_and_stays_grey():
    result = photo(encoded(Image.new("L", (8, 8), 55), "PNG", icc_profile=grey_profile(1.0)))
    assert result.grey
    assert result.pixels[0, 0].tolist() == [128, 128, 128]


def test_a_grey_picture_with_a_profile_for_colour_uses_its_curve():
    image = Image.new("L", (8, 8), 100)
    assert np.array_equal(photo(encoded(image, "PNG", icc_profile=SRGB)).pixels, np.full((8, 8, 3), 100))


def test_transparency_survives_a_profile():
    data = encoded(Image.new("RGBA", (8, 8), (200, 100, 100, 128)), "PNG", icc_profile=display_p3())
    assert np.abs(photo(data).pixels[0, 0].astype(int) - [227, 166, 168]).max() <= 1


def noisy_grey(spread):
    noise = np.random.default_rng(1).integers(-spread, spread + 1, (300, 300, 3))
    return np.clip(np.linspace(20, 230, 300)[None, :, None] + noise, 0, 255).astype(np.uint8)


def test_a_grey_photo_is_grey_and_becomes_exactly_neutral():
    result = photo(encoded(Image.fromarray(noisy_grey(2)), "PNG"))
    assert result.grey
    assert np.ptp(result.pixels, axis=2).max() == 0


@pytest.mark.parametrize("kind", ["JPEG", "HEIF", "AVIF", "WEBP"])
def test_a_grey_photo_stays_grey_in_lossy_formats(kind):
    image = Image.open(PORTRAITS / "grace_hopper.jpg").convert("L").convert("RGB")
    assert photo(encoded(image, kind, quality=40)).grey


def test_sepia_is_not_grey():
    assert not is_grey(np.clip(noisy_grey(2) * [1.0, 0.93, 0.82], 0, 255).astype(np.uint8))


def test_a_stray_spot_of_colour_does_not_matter_but_a_small_face_does():
    spot, face = noisy_grey(1), np.full((300, 300, 3), 250, np.uint8)
    spot[5:10, 5:10] = (250, 20, 20)
    face[100:112, 100:112] = (200, 150, 120)
    assert is_grey(spot)
    assert not is_grey(face)


def test_large_pictures_are_sampled_with_the_same_answer():
    face = np.full((1500, 1500, 3), 250, np.uint8)
    assert is_grey(face)
    face[700:760, 700:760] = (200, 150, 120)
    assert not is_grey(face)


@pytest.mark.parametrize("name", ["grace_hopper.jpg", "portrait_bokeh.jpg", "astronaut.png", "group_selfie.jpg"])
def test_colour_photos_are_not_grey(name):
    assert not photo((PORTRAITS / name).read_bytes()).grey
