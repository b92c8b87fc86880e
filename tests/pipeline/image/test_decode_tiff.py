"""TIFF in all its layouts: the right pixels, or a reason that helps. Never a wrong picture."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from pipeline.errors import PhotoRejected
from pipeline.types import Photo
from tests.pipeline.image.picture_bytes import CASES, PORTRAITS, encoded, exif, outcome, photo, tiff

FACE = np.asarray(Image.open(PORTRAITS / "sally_ride_small.jpg").convert("RGB"))[:210, :190]
TO_TYPE = {"u1": 1, "u2": 257, "u4": 16_843_009}


def samples(kind):
    if kind in TO_TYPE:
        return (FACE.astype(np.uint64) * TO_TYPE[kind]).astype(kind)
    return (FACE / 255).astype(kind)


def written(array, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, array, **options)
    return out.getvalue()


def rgb(kind, planar, **options):
    array = samples(kind)
    array = array.transpose(2, 0, 1) if planar == "separate" else array
    return written(array, photometric="rgb", planarconfig=planar, **options)


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "f2", "f4", "f8"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("tile", [None, (64, 64)])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_layout_gives_the_right_pixels_or_is_refused(kind, planar, compression, tile, byteorder):
    result = outcome(rgb(kind, planar, compression=compression, tile=tile, byteorder=byteorder))
    if kind == "u1" or (kind == "u2" and (planar == "contig" or compression)):
        assert isinstance(result, Photo)
        assert np.array_equal(result.pixels, FACE)
    else:
        assert isinstance(result, PhotoRejected)
        assert result.reason == "unsupported_format"
        assert "8 or 16 bits" in result.hint


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_compressions_and_predictors_give_the_right_pixels(compression, predictor):
    data = encoded(Image.fromarray(FACE), "TIFF", compression=compression, tiffinfo={317: predictor})
    assert np.array_equal(photo(data).pixels, FACE)


@pytest.mark.parametrize("kind", ["f2", "f8", "i1"])
def test_grey_samples_that_are_not_read_are_refused(kind):
    array = (FACE[..., 1] / 255).astype(kind) if kind != "i1" else (FACE[..., 1] // 2).astype(kind)
    assert outcome(written(array, photometric="minisblack")).reason == "unsupported_format"


def pages(*images, thumbnail=(True, False), **options):
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        for image, reduced in zip(images, thumbnail, strict=True):
            writer.write(image, photometric="rgb", subfiletype=int(reduced), metadata=None, **options)
    return out.getvalue()


def test_a_thumbnail_before_the_photo_is_passed_over():
    result = photo(pages(FACE[::4, ::4], FACE))
    assert np.array_equal(result.pixels, FACE)
    assert result.notes == ()


def test_a_thumbnail_behind_the_photo_needs_no_note():
    result = photo(pages(FACE, FACE[::4, ::4], thumbnail=(False, True)))
    assert np.array_equal(result.pixels, FACE)
    assert result.notes == ()


def test_the_first_full_page_of_several_is_used():
    result = photo(pages(FACE[::4, ::4], FACE, FACE[::-1], thumbnail=(True, False, False)))
    assert np.array_equal(result.pixels, FACE)
    assert result.notes == ("first_frame_only",)


def test_a_thumbnail_alone_is_a_photo():
    assert photo(pages(FACE, thumbnail=(True,))).pixels.shape == FACE.shape


def test_a_page_behind_a_thumbnail_is_turned_by_its_own_orientation():
    result = photo(pages(FACE[::4, ::4], FACE, extratags=[(274, 3, 1, 6, True)]))
    assert np.array_equal(result.pixels, np.rot90(FACE, -1))


def test_the_thumbnail_page_from_the_field_is_passed_over():
    assert photo((CASES / "thumbnail_page_first.tif").read_bytes()).pixels.shape == (480, 480, 3)


def test_directories_in_a_circle_come_to_an_end():
    data = bytearray(pages(FACE[::4, ::4], thumbnail=(True,)))
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<I", data, at + 2 + 12 * count, at)
    assert isinstance(outcome(bytes(data)), Photo)


SIZE = [(256, 3, 1, 64), (257, 3, 1, 64)]
RAW = {
    "CR2": b"II*\0\x10\0\0\0CR\2\0" + bytes(4) + struct.pack("<HHHIIHHII", 2, 256, 3, 1, 64, 257, 3, 1, 64),
    "DNG": tiff([*SIZE, (50706, 1, 4, 0x0401)]),
    "NEF": tiff([(254, 4, 1, 1), *SIZE, (330, 4, 1, 200)], bytes(400)),
    "ARW": tiff([*SIZE, (259, 3, 1, 32767)]),
    "PEF": tiff([*SIZE, (259, 3, 1, 65535)]),
    "filter array": tiff([*SIZE, (262, 3, 1, 32803)]),
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "RAF": b"FUJIFILMCCD-RAW 0201",
    "ORF": b"IIRO\x08\0\0\0",
    "RW2": b"IIU\0\x18\0\0\0",
}


@pytest.mark.parametrize("name", RAW)
def test_every_raw_is_unsupported_and_called_raw(name):
    result = outcome(RAW[name] + bytes(200))
    assert result.reason == "unsupported_format"
    assert "RAW" in result.hint


def test_a_tiff_with_exif_is_no_raw():
    assert isinstance(outcome(encoded(Image.fromarray(FACE), "TIFF", exif=exif(1))), Photo)
