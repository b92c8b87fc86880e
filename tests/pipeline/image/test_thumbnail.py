"""Thumbnails: upright, small, on the colour that is asked for."""

import io

import pytest
from PIL import Image

from pipeline.errors import PhotoRejected
from pipeline.image.thumbnail import GREY, STRONG, jpeg, thumbnail
from pipeline.types import Limits
from tests.conftest import BAD_INPUTS, PORTRAITS


def test_a_photo_comes_out_upright_and_no_larger_than_asked():
    image = thumbnail((PORTRAITS / "grace_hopper_exif6.jpg").read_bytes(), Limits(), 120)

    assert (image.mode, image.size) == ("RGB", (102, 120))


def test_a_small_photo_is_not_enlarged():
    assert thumbnail((BAD_INPUTS / "orientation_rectangle.jpg").read_bytes(), Limits(), 4000).width < 4000


@pytest.mark.parametrize("colour", [GREY, STRONG])
def test_transparent_parts_show_the_colour(colour):
    buffer = io.BytesIO()
    Image.new("RGBA", (300, 200), (255, 0, 0, 0)).save(buffer, "PNG")

    small = Image.open(io.BytesIO(jpeg(thumbnail(buffer.getvalue(), Limits(), 30, colour))))

    assert (small.format, small.size) == ("JPEG", (30, 20))
    assert max(abs(one - other) for one, other in zip(small.getpixel((15, 10)), colour, strict=True)) <= 2


def test_what_is_no_picture_is_rejected():
    with pytest.raises(PhotoRejected, match="not_an_image"):
        thumbnail(b"hello", Limits(), 30)
