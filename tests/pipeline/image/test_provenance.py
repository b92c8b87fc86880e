import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import PhotoRejected
from pipeline.image.provenance import PNG_KEY, mark, owner_in, owner_of, refuse_own


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_owner_survives_its_mark(owner):
    image = Image.new("RGB", (1, 1))
    image.info[PNG_KEY] = mark(owner)

    assert owner_in(image) == owner
    assert mark(owner).isascii()


def test_an_owner_whose_name_is_not_utf8_survives_its_mark():
    image = Image.new("RGB", (1, 1))
    image.info["comment"] = mark("bad\udcff.jpg").encode()

    assert owner_in(image) == "bad\udcff.jpg"


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
def test_what_is_no_picture_has_no_owner(data):
    assert owner_of(data) is None


def test_a_stranger_s_picture_has_no_owner():
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "JPEG", comment=b"holiday")

    assert owner_of(buffer.getvalue()) is None


def test_a_result_that_comes_back_is_refused():
    image = Image.new("RGB", (1, 1))
    image.info["comment"] = mark("anna.jpg").encode()

    with pytest.raises(PhotoRejected, match="own_output"):
        refuse_own(image)
