import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline.image.encode import jpeg, png
from pipeline.image.provenance import mark, owner_of

OWNER = "sales/anna & söhne.jpg"


def noisy(side: int = 300) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (side, side, 3), np.uint8)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_the_png_keeps_pixels_and_alpha_exactly():
    alpha = np.full((300, 300), 200, np.uint8)

    picture = png(noisy(), alpha, dpi=300, mark=mark(OWNER), fill=(0, 0, 0))

    assert (np.asarray(opened(picture.data)) == np.dstack([noisy(), alpha])).all()
    assert (picture.kind, picture.width, picture.height) == ("png", 300, 300)


def test_where_nothing_is_seen_the_png_holds_the_background_colour():
    alpha = np.zeros((300, 300), np.uint8)

    picture = png(noisy(), alpha, dpi=300, mark=mark(OWNER), fill=(1, 2, 3))

    assert (np.asarray(opened(picture.data))[:, :, :3] == (1, 2, 3)).all()


@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_files_carry_dpi_profile_and_mark_and_no_exif(kind):
    alpha = np.full((300, 300), 255, np.uint8)
    if kind == "png":
        data = png(noisy(), alpha, dpi=240, mark=mark(OWNER), fill=(0, 0, 0)).data
    else:
        data = jpeg(noisy(), dpi=240, mark=mark(OWNER), max_bytes=10**6)[0].data

    image = opened(data)

    assert [round(value) for value in image.info["dpi"]] == [240, 240]
    assert "sRGB" in ImageCms.getProfileDescription(io.BytesIO(image.info["icc_profile"]))
    assert not image.getexif()
    assert owner_of(data) == OWNER


@pytest.mark.parametrize("limit", [99, 40, 12])
def test_the_jpeg_fits_its_limit_and_says_when_it_had_to_shrink(limit):
    picture, shrunk = jpeg(noisy(), dpi=300, mark=mark(OWNER), max_bytes=limit * 1024)

    assert len(picture.data) <= limit * 1024
    assert shrunk == (picture.width < 300)
    assert opened(picture.data).size == (picture.width, picture.height)


def test_the_jpeg_takes_the_best_quality_that_fits():
    smooth = np.tile(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], (300, 1, 3))

    large, shrunk = jpeg(smooth, dpi=300, mark=mark(OWNER), max_bytes=10**6)

    assert not shrunk
    assert np.abs(np.asarray(opened(large.data)).astype(int) - smooth).max() <= 3


def test_the_same_picture_gives_the_same_bytes():
    alpha = np.full((300, 300), 255, np.uint8)
    one, other = (png(noisy(), alpha, dpi=300, mark=mark(OWNER), fill=(0, 0, 0)) for _ in range(2))

    assert one == other


def test_a_mark_that_is_longer_than_the_limit_ends_in_a_small_picture_and_not_in_a_search_for_ever():
    picture, shrunk = jpeg(noisy(), dpi=300, mark=mark("x" * 20_000), max_bytes=10 * 1024)

    assert shrunk
    assert max(picture.width, picture.height) <= 48
