"""What a file is and whether it is let in, from its bytes alone."""

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import PhotoRejected
from pipeline.formats.signatures import SIGNATURES, UNSUPPORTED_SIGNATURES
from pipeline.image.probe import Probe, probe
from pipeline.types import Limits
from tests.pipeline.image.picture_bytes import BAD_INPUTS, LIMITS, chunk, encoded, gradient, png, tiff


def rejection(data, limits=LIMITS):
    with pytest.raises(PhotoRejected) as caught:
        probe(data, limits)
    return caught.value


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "GIF", "HEIF"])
def test_the_bytes_say_format_and_size(kind):
    assert probe(encoded(gradient(48, 32), kind), LIMITS) == Probe(kind, 48, 32, 1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("iss634.apng", Probe("PNG", 245, 245, 41)),
        ("iss634.webp", Probe("WEBP", 245, 245, 42)),
        ("star.avifs", Probe("AVIF", 159, 159, 5)),
        ("iss634.gif", Probe("GIF", 245, 245, 2)),
        ("multipage.tiff", Probe("TIFF", 10, 10, 2)),
        ("sugarshack.mpo", Probe("JPEG", 640, 480, 1)),
    ],
)
def test_frames_are_told_without_reading_them_all(name, expected):
    assert probe((BAD_INPUTS / name).read_bytes(), LIMITS) == expected


def test_the_size_of_a_turned_tiff_is_that_of_its_stored_pixels():
    assert probe(encoded(gradient(48, 32), "TIFF", tiffinfo={274: 6}), LIMITS) == Probe("TIFF", 48, 32, 1)


def test_a_file_without_bytes_is_empty():
    assert rejection(b"").reason == "empty_file"


@pytest.mark.parametrize(
    "data", [b"x", b"hello, world", b"<html><svg></svg>", b"PK\3\4 zip", b"RIFF1234WAVEfmt ", bytes(100)]
)
def test_bytes_that_are_no_picture_are_told_so(data):
    assert rejection(data).reason == "not_an_image"


@pytest.mark.parametrize("magic", [magic for magic, _ in UNSUPPORTED_SIGNATURES])
def test_known_formats_that_are_not_read_are_named(magic):
    rejected = rejection(magic + bytes(64))
    assert rejected.reason == "unsupported_format"
    assert dict(UNSUPPORTED_SIGNATURES)[magic] in rejected.hint


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"P4\n1 1\n\0", "Netpbm"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"<svg/>", "SVG"),
        (b"\0\0\0\x18ftypmp42" + bytes(12), "video"),
        (b"\0\0\0\x18ftypcrx " + bytes(12), "Canon RAW"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI"),
    ],
)
def test_formats_known_by_more_than_a_magic_are_named(data, name):
    assert name in rejection(data).hint


def test_too_many_bytes_name_size_limit_and_setting():
    rejected = rejection(bytes(3 * 1024 * 1024), Limits(max_bytes=2 * 1024 * 1024))
    assert rejected.reason == "too_large"
    assert "3.0 MB; the limit is 2 MB, FACECRAFT_MAX_UPLOAD_SIZE_MB" in rejected.hint


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF", "GIF", "HEIF"])
def test_too_many_pixels_name_number_limit_and_setting(kind):
    rejected = rejection(encoded(gradient(1000, 100), kind), Limits(max_pixels=99_000))
    assert rejected.reason == "too_large"
    assert "0.1 megapixels; the limit is 0.099 megapixels, FACECRAFT_MAX_PIXELS_MP" in rejected.hint


def test_exactly_the_limits_are_let_in():
    data = encoded(gradient(100, 10), "PNG")
    assert probe(data, Limits(max_bytes=len(data), max_pixels=1000, max_side=100)).width == 100


@pytest.mark.parametrize(
    "name", ["gen_bomb_declared_60000x60000.png", "gen_bomb_real_12000x12000.png", "decompression_bomb.gif"]
)
def test_bombs_are_refused_by_their_header_alone(name):
    assert rejection((BAD_INPUTS / name).read_bytes()[:80]).reason == "too_large"


def test_a_side_may_be_too_long_by_itself():
    rejected = rejection(png(20_001, 1, 8, 0, [bytes(20_001)]))
    assert rejected.reason == "too_large"
    assert "20001 x 1 pixels; no side may be over 20000" in rejected.hint


def test_limits_above_pillows_own_are_honoured():
    huge = png(20_000, 15_000, 1, 0, [])
    assert probe(huge, Limits(max_pixels=400_000_000)).width == 20_000


def test_the_extents_of_a_gifs_first_frame_count():
    frame = b"\x21\xf9\4\x0c\0\0\0\0" + b"," + struct.pack("<4HB", 0, 0, 60_000, 60_000, 0) + b"\2\1\0\0;"
    assert rejection(b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0, 0, 0) + frame).reason == "too_large"


def test_a_jpeg_with_hundreds_of_scans_is_damaged():
    data = encoded(gradient(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert "scans" in rejection(data[:-2] + scan * 200 + b"\xff\xd9").hint


def test_scans_of_an_embedded_thumbnail_or_behind_the_end_do_not_count():
    data = encoded(gradient(), "JPEG")
    segment = b"\xff\xe5" + struct.pack(">H", 602) + b"\xff\xda" * 300
    assert probe(data[:2] + segment + data[2:] + b"\xff\xda" * 300, LIMITS).format == "JPEG"


def test_a_jpeg_of_nothing_but_segments_is_refused_at_once():
    assert rejection(b"\xff\xd8" + b"\xff\xe1\0\2" * 20_000).reason == "damaged"


def test_a_jpeg_of_12_bits_is_unsupported():
    data = bytearray(encoded(gradient(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    assert "12 bits" in rejection(bytes(data)).hint


SIZE = [(256, 3, 1, 100), (257, 3, 1, 100)]
GREY = [(258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([*SIZE, *GREY, (273, 4, 1_000, 8)], "damaged"),  # a hundred strips at most, a thousand claimed
        ([*SIZE, (256, 3, 1, 50), *GREY, (273, 4, 1, 8)], "damaged"),
        ([*SIZE, *GREY, (322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8)], "damaged"),
        ([*SIZE, (259, 3, 1, 65_000), (273, 4, 1, 8)], "unsupported_format"),
        ([*SIZE, *GREY, (273, 4, 1, 8), (50706, 1, 4, 1)], "unsupported_format"),
        ([(254, 4, 1, 1), *SIZE, *GREY, (273, 4, 1, 8), (330, 4, 1, 8)], "unsupported_format"),
    ],
)
def test_a_tiff_that_lies_or_is_a_raw_is_refused_before_pillow_reads_it(entries, reason):
    assert rejection(tiff(entries, bytes(20_000))).reason == reason


def test_a_tiff_whose_directory_is_missing_is_truncated():
    assert rejection(b"II*\0" + struct.pack("<I", 5_000)).reason == "truncated"


def test_a_png_with_a_profile_of_three_megabytes_is_a_photo():
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(3_000_000)))
    assert probe(png(1, 1, 8, 0, [b"\0"], profile), LIMITS).format == "PNG"


def test_a_profile_that_unpacks_without_end_is_damaged():
    bomb = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(30_000_000)))
    assert rejection(png(1, 1, 8, 0, [b"\0"], bomb)).reason == "damaged"


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"", *(magic for magic, _ in SIGNATURES), b"\0\0\0\x18ftypavif", b"\0\0\0\x18ftypheic"]),
    st.binary(),
)
def test_whatever_the_bytes_there_is_a_probe_or_a_reason(magic, rest):
    try:
        assert isinstance(probe(magic + rest, LIMITS), Probe)
    except PhotoRejected as rejected:
        assert rejected.hint
