"""Whether a file is complete by its own end; a part of one never is."""

import io
from functools import cache
from pathlib import Path

import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.formats.completeness import is_complete
from pipeline.formats.reading import reader

PORTRAITS = Path(__file__).parents[2] / "portraits"
WITH_TRAILER = ("JPEG", "progressive", "exif", "restarts", "PNG", "GIF", "animated", "WEBP", "BMP", "HEIF", "AVIF")


def whole(data: bytes) -> bool:
    return is_complete(len(data), reader(data))


def picture() -> Image.Image:
    return Image.effect_noise((48, 40), 80).convert("RGB")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def with_thumbnail() -> bytes:
    thumbnail = saved(picture(), "JPEG")
    return saved(picture(), "JPEG", exif=b"Exif\0\0" + thumbnail)


@cache
def sample(kind: str) -> bytes:
    pillow_heif.register_heif_opener()
    image = picture()
    special = {
        "progressive": lambda: saved(image, "JPEG", progressive=True),
        "restarts": lambda: saved(image, "JPEG", restart_marker_blocks=1),
        "exif": with_thumbnail,
        "animated": lambda: saved(image, "GIF", save_all=True, append_images=[picture(), picture()], comment=b";;;"),
    }
    return special[kind]() if kind in special else saved(image, kind)


@pytest.mark.parametrize("kind", WITH_TRAILER)
def test_is_complete_of_a_whole_picture_is_true(kind):
    assert whole(sample(kind))


@given(st.sampled_from(WITH_TRAILER), st.floats(0, 1, exclude_max=True))
def test_is_complete_of_a_prefix_is_false(kind, share):
    data = sample(kind)
    assert not whole(data[: int(share * len(data))])


@pytest.mark.parametrize("kind", ["exif", "restarts", "PNG", "animated", "WEBP"])
def test_is_complete_of_every_prefix_is_false(kind):
    data = sample(kind)
    assert not any(whole(data[:length]) for length in range(len(data)))


@given(st.sampled_from(WITH_TRAILER), st.floats(0, 0.9))
def test_is_complete_with_reserved_space_is_false(kind, share):
    data = sample(kind)
    cut = int(share * (len(data) - 64))
    assert not whole(data[:cut] + bytes(len(data) - cut))


@pytest.mark.parametrize("kind", ["JPEG", "progressive", "exif", "PNG"])
@pytest.mark.parametrize("padding", [b"\0" * 100, b"\n", b"\r\n", bytes(5000)])
def test_is_complete_ignores_padding_behind_the_end(kind, padding):
    assert whole(sample(kind) + padding)


def test_is_complete_of_a_jpeg_cut_behind_its_thumbnail_is_false():
    data = sample("exif")
    assert not whole(data[: data.index(b"\xff\xd9") + 2])


@pytest.mark.parametrize("appended", [b"a motion photo's film", b"\0\0\0\x18ftypmp42"])
def test_is_complete_of_a_jpeg_with_data_appended_is_false(appended):
    assert not whole(sample("JPEG") + appended)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff\xd8\xff", b"GIF89a", b"BM", b"hello", b"RIFF\0\0\0\0WEBP", b"II*\0"]
)
def test_is_complete_without_an_end_mark_is_false(data):
    assert not whole(data)


def test_is_complete_of_a_webp_without_its_length_is_false():
    data = sample("WEBP")
    assert not whole(data[:4] + bytes(4) + data[8:])


@given(st.sampled_from([b"\xff\xd8\xff", b"GIF89a", b"BM", b"\0\0\0\x10ftyp", b"\x89PNG\r\n\x1a\n"]), st.binary())
def test_is_complete_of_any_bytes_raises_nothing(magic, rest):
    assert whole(magic + rest) in (True, False)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("filling", [b"\xff\x01", b"\xff\xe0\0\2", b"\xff\xdb\0\2" + b"\0" * 40, b"\xff"])
def test_is_complete_of_a_jpeg_of_markers_costs_little(filling):
    data = b"\xff\xd8" + filling * (8_000_000 // len(filling)) + b"\0\xff\xd9"
    assert whole(data) in (True, False)


@pytest.mark.parametrize("path", sorted(PORTRAITS.glob("*.[jp][pn]g")), ids=lambda path: path.name)
def test_is_complete_of_sample_portraits_and_their_parts(path):
    data = path.read_bytes()
    assert whole(data)
    assert not any(whole(data[: len(data) * part // 16]) for part in range(16))


@pytest.mark.parametrize("kind", WITH_TRAILER)
def test_is_complete_of_a_file_that_shrinks_meanwhile_is_false(kind):
    data = sample(kind)
    for left in (0, 1, 20, len(data) // 2):
        assert not is_complete(len(data), reader(data[:left]))
