"""From bytes to an upright, opaque sRGB photo, or to the reason why not."""

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import PhotoRejected
from pipeline.image.decode import decode
from pipeline.types import Limits, Photo
from tests.pipeline.image.picture_bytes import (
    BAD_INPUTS,
    LOSSLESS,
    PORTRAITS,
    chunk,
    encoded,
    exif,
    gradient,
    outcome,
    photo,
    png,
)

FIRST, ALPHA, PROFILE = ("first_frame_only",), ("had_transparency",), ("profile_ignored",)

EXPECTED = {
    "Portrait_5.jpg": (),
    "Portrait_6.jpg": (),
    "Portrait_7.jpg": (),
    "Portrait_8.jpg": (),
    "crash-0c7e0e8e11ce787078f00b5b0ca409a167f070e0.tif": "truncated",  # its strips reach beyond its end
    "decompression_bomb.gif": "too_large",
    "decompression_bomb.ico": "unsupported_format",
    "decompression_bomb_extents.gif": FIRST,  # the bomb is the second frame, which is never looked into
    "exif_imagemagick_orientation.png": (),
    "flower.webp": (),
    "gen_bomb_declared_60000x60000.png": "too_large",
    "gen_bomb_real_12000x12000.png": "too_large",
    "gen_empty.jpg": "empty_file",
    "gen_jpeg_magic_only.jpg": "truncated",
    "gen_portrait_16bit_grey.png": (),
    "gen_portrait_cmyk.jpg": (),
    "gen_portrait_exif6.jpg": (),
    "gen_portrait_palette16.png": (),
    "gen_portrait_rgba.png": ALPHA,
    "gen_portrait_truncated60.jpg": "truncated",
    "gen_ünïcode näme 肖像.jpg": (),
    "hopper.Lab.tif": (),
    "hopper.avif": (),
    "hopper.bmp": (),
    "hopper.psd": "unsupported_format",
    "hopper_16bit_qtables.jpg": (),
    "hopper_1bit.pbm": "unsupported_format",
    "hopper_gray.jpg": (),
    "hopper_idat_after_image_end.png": (),
    "hopper_orientation_5.jpg": (),
    "hopper_orientation_6.webp": (),
    "hopper_orientation_8.jpg": (),
    "icc-after-SOF.jpg": PROFILE,
    "icc_profile_big.jpg": (),
    "invalid-exif.jpg": (),
    "iss634.apng": FIRST,
    "iss634.gif": FIRST,
    "iss634.webp": FIRST,
    "jpeg_ff00_header.jpg": (),
    "junk_jpeg_header.jpg": (),
    "multipage.tiff": FIRST,
    "multiple_exif.jpg": (),
    "no_palette.gif": FIRST,
    "oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif": "damaged",
    "orientation_rectangle.jpg": (),
    "p_trns_single.png": ALPHA,
    "padded_idat.png": (),
    "png_decompression_dos.png": (),  # its text unpacks to 6 MB, which is much and no danger
    "pngsuite_basi6a08.png": ALPHA,
    "pngsuite_basn0g01.png": (),
    "pngsuite_s01n3p01.png": (),
    "pngsuite_tbbn3p08.png": ALPHA,
    "pngsuite_xcsn0g01.png": (),  # a wrong checksum over sound data
    "pngsuite_xd0n2c08.png": "damaged",
    "pngsuite_xdtn0g01.png": "damaged",
    "pngsuite_xhdn0g08.png": "damaged",
    "psd-oob-write.psd": "unsupported_format",
    "rot1mir1.avif": (),
    "seek_too_large.tif": "truncated",  # its directory lies beyond its end
    "star.avifs": FIRST + ALPHA,
    "sugarshack.mpo": (),
    "tiff_16bit_RGB.tiff": (),
    "tiff_strip_cmyk_jpeg.tif": (),
    "truncated_app14.jpg": (),
    "truncated_end_chunk.png": "truncated",
    "truncated_image.png": "truncated",
    "truncated_jpeg.jpg": "truncated",
    "unknown_compression_method.png": "damaged",
}

TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def stored_for(image, orientation):
    """The picture as a camera stores it that writes this orientation: turned the other way."""
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    return Image.fromarray(np.ascontiguousarray(TURNS[undo](np.asarray(image))))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_bad_input_has_its_outcome(name):
    result = outcome((BAD_INPUTS / name).read_bytes())
    assert (result.notes if isinstance(result, Photo) else result.reason) == EXPECTED[name]


def test_no_bad_input_is_forgotten():
    assert {path.name for path in BAD_INPUTS.iterdir()} - {"manifest.tsv"} == set(EXPECTED)


@pytest.mark.parametrize(("kind", "options"), [*LOSSLESS, ("BMP", {})])
@pytest.mark.parametrize("name", ["grace_hopper.jpg", "portrait_bokeh.jpg"])
def test_lossless_formats_give_identical_pixels(name, kind, options):
    original = photo((PORTRAITS / name).read_bytes())
    again = photo(encoded(Image.fromarray(original.pixels), kind, **options))
    assert np.array_equal(again.pixels, original.pixels)
    assert (again.grey, again.notes) == (original.grey, ())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_every_orientation_is_applied_exactly_once(kind, options, orientation):
    upright = Image.open(PORTRAITS / "sally_ride_small.jpg").convert("RGB").crop((0, 0, 250, 180))
    data = encoded(stored_for(upright, orientation), kind, exif=exif(orientation), **options)
    assert np.array_equal(photo(data).pixels, np.asarray(upright))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "HEIF"])
def test_lossy_formats_come_out_upright_too(kind, orientation):
    upright = gradient(96, 64)
    data = encoded(stored_for(upright, orientation), kind, exif=exif(orientation), quality=95)
    pixels = photo(data).pixels
    assert pixels.shape == (64, 96, 3)
    assert np.abs(pixels.astype(int) - np.asarray(upright)).mean() < 6


def test_the_rotation_in_an_avifs_container_is_applied_once():
    assert photo((BAD_INPUTS / "rot1mir1.avif").read_bytes()).pixels.shape == (427, 640, 3)


def test_orientation_in_xmp_turns_nothing():
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for kind, options in LOSSLESS[1:]:
        assert photo(encoded(gradient(48, 32), kind, xmp=xmp, **options)).pixels.shape == (32, 48, 3)


@pytest.mark.parametrize(
    "block",
    [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(1)[:-9], exif(1).replace(b"\1\0\0\0", b"\x63\0\0\0")],
)
def test_broken_exif_is_ignored_without_a_note(block):
    result = photo(encoded(gradient(), "JPEG", exif=block))
    assert (result.pixels.shape, result.notes) == ((32, 48, 3), ())


def test_straight_alpha_is_composed_and_rounded_to_nearest():
    result = photo(encoded(Image.new("RGBA", (4, 4), (200, 150, 100, 128)), "PNG"))
    assert result.pixels[0, 0].tolist() == [220, 195, 170]
    assert result.notes == ALPHA


def test_the_background_is_the_callers():
    result = photo(encoded(Image.new("RGBA", (4, 4), (9, 9, 9, 0)), "PNG"), background=(1, 2, 30))
    assert result.pixels[0, 0].tolist() == [1, 2, 30]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_opaque_alpha_is_no_transparency(mode):
    result = photo(encoded(gradient().convert(mode), "PNG"))
    assert result.notes == ()
    assert np.array_equal(result.pixels, np.asarray(gradient().convert(mode).convert("RGB")))


TRANSPARENT = {
    "LA": encoded(Image.new("LA", (2, 1), (100, 0)), "PNG"),
    "L with a key": encoded(Image.new("L", (2, 1), 100), "PNG", transparency=100),
    "RGB with a key": encoded(Image.new("RGB", (2, 1), (1, 2, 3)), "PNG", transparency=(1, 2, 3)),
    "P with a key": png(2, 1, 8, 3, [b"\1\1"], chunk(b"PLTE", b"abcdef"), chunk(b"tRNS", b"\xff\0")),
    "P with alphas": png(2, 1, 8, 3, [b"\1\1"], chunk(b"PLTE", b"abcdef"), chunk(b"tRNS", b"\x80\0")),
    "GIF": encoded(Image.new("P", (2, 1), 1), "GIF", transparency=1),
    "1 bit": png(2, 1, 1, 0, [b"\xc0"], chunk(b"tRNS", b"\0\1")),
    "2 bits": png(2, 1, 2, 0, [b"\xa0"], chunk(b"tRNS", b"\0\2")),
    "4 bits": png(2, 1, 4, 0, [b"\x77"], chunk(b"tRNS", b"\0\7")),
    "16 bits grey": png(2, 1, 16, 0, [b"\x12\x34" * 2], chunk(b"tRNS", b"\x12\x34")),
    "16 bits colour": png(2, 1, 16, 2, [b"\x12\x34" * 6], chunk(b"tRNS", b"\x12\x34" * 3)),
    "premultiplied": encoded(Image.new("RGBA", (2, 1), (9, 9, 9, 0)), "TIFF"),
    "WebP": encoded(Image.new("RGBA", (2, 1), (9, 9, 9, 0)), "WEBP", lossless=True, exact=True),
    "HEIF": encoded(Image.new("RGBA", (64, 64), (9, 9, 9, 0)), "HEIF"),
}


@pytest.mark.parametrize("how", TRANSPARENT)
def test_transparency_shows_the_background_however_it_is_stored(how):
    result = photo(TRANSPARENT[how], background=(250, 60, 20))
    assert result.pixels[0, 0].tolist() == [250, 60, 20]
    assert result.notes == ALPHA


def deep(values, kind="PNG", **options):
    return photo(encoded(Image.fromarray(np.array([values])), kind, **options)).pixels[0, :, 0].tolist()


def test_sixteen_bits_are_scaled_and_not_clipped():
    values = np.array([0, 255, 256, 32_768, 65_535], np.uint16)
    assert deep(values) == deep(values, "TIFF") == deep(values, "TIFF", compression="tiff_lzw") == [0, 0, 1, 128, 255]


def test_whole_numbers_of_32_bits_and_floats_are_scaled():
    assert deep(np.array([-5, 0, 2**30, 2**31 - 1], np.int32), "TIFF") == [0, 0, 128, 255]
    assert deep(np.array([-1.0, 0.5, 1.0, np.nan], np.float32), "TIFF") == [0, 128, 255, 0]


def test_sixteen_bits_where_white_is_zero_are_inverted():
    values = Image.fromarray(np.array([[0, 65_535]], np.uint16))
    assert photo(encoded(values, "TIFF", tiffinfo={262: 0})).pixels[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "RGBX"])
def test_every_mode_becomes_three_channels_of_our_own(mode):
    result = photo(encoded(gradient().convert(mode), "TIFF"))
    assert result.pixels.shape == (32, 48, 3)
    assert result.pixels.dtype == np.uint8
    assert result.pixels.flags.c_contiguous
    assert result.pixels.flags.writeable


def test_lab_is_converted():
    lab, plain = (photo((BAD_INPUTS / name).read_bytes()).pixels for name in ("hopper.Lab.tif", "hopper.bmp"))
    assert np.abs(lab.astype(int) - plain).mean() < 3


def test_the_first_picture_of_several_is_used():
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    for kind in ("GIF", "PNG", "WEBP", "TIFF", "AVIF"):
        result = photo(encoded(red, kind, save_all=True, append_images=[blue]))
        assert result.notes == FIRST
        assert result.pixels[4, 4, 0] > 200


def test_the_primary_picture_of_a_heif_is_used():
    red, blue = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
    result = photo(encoded(red, "HEIF", save_all=True, append_images=[blue], primary_index=1))
    assert result.notes == FIRST
    assert result.pixels[4, 4, 2] > 200


def test_the_opened_picture_is_shown_before_it_is_decoded():
    seen = []
    photo(encoded(gradient(), "PNG"), inspect=lambda image: seen.append((image.format, len(image.tile))))
    assert seen == [("PNG", 1)]


def test_what_the_inspection_raises_is_left_alone():
    def refuse(image):
        raise PhotoRejected("own_output")

    with pytest.raises(PhotoRejected, match="own_output"):
        photo(encoded(gradient(), "PNG"), inspect=refuse)


def test_limits_hold_for_decoding_too():
    with pytest.raises(PhotoRejected, match="too_large"):
        decode(encoded(gradient(), "PNG"), Limits(max_pixels=100))
