"""Files that are cut, damaged or made up: a photo or a reason, and nothing else."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import PhotoRejected
from pipeline.types import Photo
from tests.pipeline.image.picture_bytes import BAD_INPUTS, LOSSLESS, PORTRAITS, encoded, exif, gradient, outcome, photo


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_that_lacks_only_its_end_mark_is_whole(mode):
    data = encoded(gradient().convert(mode), "JPEG")
    assert np.array_equal(photo(data[:-2]).pixels, photo(data).pixels)


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 4}])
def test_a_jpeg_without_end_mark_that_cannot_be_known_to_be_whole_is_truncated(options):
    assert outcome(encoded(gradient(), "JPEG", **options)[:-2]).reason == "truncated"


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([{}, {"progressive": True}, {"restart_marker_blocks": 4}]), st.floats(0.1, 0.99))
def test_a_jpeg_cut_in_its_scan_is_truncated(options, part):
    data = encoded(Image.open(PORTRAITS / "sally_ride_small.jpg"), "JPEG", **options)
    assert outcome(data[: int(len(data) * part)]).reason == "truncated"


@pytest.mark.parametrize(
    ("kind", "options"), [*LOSSLESS, ("BMP", {}), ("GIF", {}), ("JPEG", {}), ("WEBP", {}), ("AVIF", {}), ("HEIF", {})]
)
@pytest.mark.parametrize("part", [0.5, 0.7, 0.9])
def test_a_cut_file_is_truncated_in_every_format(kind, options, part):
    data = encoded(Image.open(PORTRAITS / "sally_ride_small.jpg"), kind, **options)
    assert outcome(data[: int(len(data) * part)]).reason == "truncated"


def test_a_damaged_stream_in_a_whole_file_is_damaged():
    data = bytearray(encoded(gradient(), "PNG"))
    data[data.index(b"IDAT") + 4 : data.index(b"IDAT") + 8] = b"\xff\xff\xff\xff"
    assert outcome(bytes(data)).reason == "damaged"


def samples():
    """A small file of every kind, with all the metadata that it can carry."""
    rich = {"exif": exif(6), "icc_profile": (BAD_INPUTS / "icc_profile_big.jpg").read_bytes()[200:900]}
    image = gradient()
    yield from (encoded(image, kind, **rich) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"))
    yield encoded(image, "JPEG", progressive=True)
    yield encoded(image.convert("CMYK"), "JPEG")
    yield encoded(image, "BMP")
    yield encoded(image.convert("P"), "GIF", transparency=3, save_all=True, append_images=[image])
    yield encoded(image.convert("RGBA"), "PNG", save_all=True, append_images=[image.rotate(9)])
    yield encoded(image, "WEBP", save_all=True, append_images=[image.rotate(9)])
    yield from (encoded(image, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits"))
    yield encoded(image.convert("1"), "TIFF", compression="group4")
    yield encoded(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG")
    yield encoded(image, "JPEG")[:-2]
    yield (BAD_INPUTS / "exif_imagemagick_orientation.png").read_bytes()[:4000]
    yield from (
        (BAD_INPUTS / name).read_bytes() for name in ("multipage.tiff", "multiple_exif.jpg", "p_trns_single.png")
    )


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(list(samples())),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.none() | st.floats(0, 1),
)
def test_whatever_happens_to_a_files_bytes_there_is_a_photo_or_a_reason(data, changes, cut):
    changed = bytearray(data)
    for place, value in changes:
        changed[int(place * (len(data) - 1))] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = outcome(bytes(changed[: None if cut is None else int(cut * len(data))]))
    assert isinstance(result, Photo | PhotoRejected)
