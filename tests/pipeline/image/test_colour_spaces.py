"""The same picture in other colours and containers comes out as the same picture."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.formats.colour_space import PRIMARIES, ColourSpace, to_linear_srgb
from tests.pipeline.image.picture_bytes import CASES, chunk, encoded, photo

FACE = np.asarray(Image.open(CASES / "reference.jpg").convert("RGB").resize((320, 320), Image.Resampling.LANCZOS))
P3, BT2020 = PRIMARIES[12], PRIMARIES[9]


def linear(pixels=FACE):
    code = pixels / 255
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def srgb_code(light):
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def power(exponent):
    return lambda light: np.clip(light, 0, 1) ** (1 / exponent)


def pq(light):
    power = (np.clip(light, 0, None) * 203 / 10_000) ** (2610 / 16384)
    return ((107 / 128 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(light):
    display = np.clip(light, 0, None) * 203 / 1000
    luminance = display @ [0.2627, 0.678, 0.0593]
    scene = display * np.maximum(luminance, 1e-6)[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c)


def in_space(primaries, curve, highest=255):
    """FACE as the numbers of another space."""
    light = linear() @ np.linalg.inv(to_linear_srgb(ColourSpace(primaries))).T
    return np.round(np.clip(curve(light), 0, 1) * highest).astype(np.uint8 if highest == 255 else np.uint16)


def png_with(pixels, *chunks):
    if pixels.dtype == np.uint8:
        data = encoded(Image.fromarray(pixels), "PNG")
    else:
        data = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    return data[:33] + b"".join(chunks) + data[33:]


def cicp(primaries, transfer):
    return chunk(b"cICP", bytes((primaries, transfer, 0, 1)))


def gama(value):
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chrm(primaries):
    white_first = (*primaries[6:], *primaries[:6])
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in white_first)))


def heif(pixels, primaries, transfer, **options):
    names = {"color_primaries": primaries, "transfer_characteristics": transfer, "full_range_flag": 1}
    out = io.BytesIO()
    if pixels.dtype == np.uint8:
        Image.fromarray(pixels).save(out, "HEIF", quality=-1, chroma=444, matrix_coefficients=0, **names)
    else:
        import pillow_heif

        size = pixels.shape[1], pixels.shape[0]
        deep = pillow_heif.from_bytes("RGB;16", size, pixels.tobytes())
        deep.save(out, quality=-1, chroma=444, matrix_coefficients=0, **names, **options)
    return out.getvalue()


def avif(pixels, primaries, transfer):
    """Pillow writes no nclx of one's own choice; its default is patched."""
    data = bytearray(encoded(Image.fromarray(pixels), "AVIF", quality=100, subsampling="4:4:4"))
    at = data.find(b"colrnclx")
    struct.pack_into(">HH", data, at + 8, primaries, transfer)
    return bytes(data)


def distance(data, note=None):
    result = photo(data)
    assert result.notes == (() if note is None else (note,))
    return np.abs(result.pixels.astype(int) - FACE)


SRGB = ColourSpace().primaries

SDR = {
    "PNG cICP P3": lambda: png_with(in_space(P3, srgb_code), cicp(12, 13)),
    "PNG cICP BT.2020": lambda: png_with(in_space(BT2020, srgb_code), cicp(9, 13)),
    "PNG cHRM P3": lambda: png_with(in_space(P3, srgb_code), chrm(P3)),
    "PNG cHRM and gAMA": lambda: png_with(in_space(P3, power(2.2)), gama(0.45455), chrm(P3)),
    "PNG gAMA 1.8": lambda: png_with(in_space(SRGB, power(1.8)), gama(1 / 1.8)),
    "PNG linear 16": lambda: png_with(in_space(SRGB, power(1.0), 65_535), gama(1.0)),
    "PNG cICP linear 16": lambda: png_with(in_space(P3, power(1.0), 65_535), cicp(12, 8)),
    "HEIF P3": lambda: heif(in_space(P3, srgb_code), 12, 13),
    "HEIF BT.2020": lambda: heif(in_space(BT2020, srgb_code), 9, 13),
    "AVIF P3": lambda: avif(in_space(P3, srgb_code), 12, 13),
    "AVIF BT.2020": lambda: avif(in_space(BT2020, srgb_code), 9, 13),
}

HDR = {
    "PNG PQ 16": lambda: png_with(in_space(BT2020, pq, 65_535), cicp(9, 16)),
    "PNG PQ 8": lambda: png_with(in_space(BT2020, pq), cicp(9, 16)),
    "PNG HLG 16": lambda: png_with(in_space(BT2020, hlg, 65_535), cicp(9, 18)),
    "PNG PQ P3": lambda: png_with(in_space(P3, pq, 65_535), cicp(12, 16)),
    "HEIF PQ": lambda: heif(in_space(BT2020, pq, 65_535), 9, 16),
    "HEIF HLG": lambda: heif(in_space(BT2020, hlg, 65_535), 9, 18),
    "AVIF PQ": lambda: avif(in_space(BT2020, pq), 9, 16),
    "AVIF HLG": lambda: avif(in_space(BT2020, hlg), 9, 18),
}


@pytest.mark.parametrize("how", SDR)
def test_named_colours_are_converted_in_every_container(how):
    assert distance(SDR[how]()).mean() <= 1.0


@pytest.mark.parametrize("how", HDR)
def test_hdr_is_tone_mapped_with_a_note(how):
    apart = distance(HDR[how](), "hdr_tone_mapped")
    assert apart.mean() <= 3.0
    assert np.quantile(apart, 0.99) <= 12


def test_highlights_brighter_than_white_keep_their_shades():
    ramp = np.tile(np.linspace(0, 5, 256), (64, 1))[..., None].repeat(3, axis=2)
    result = photo(png_with(np.round(pq(ramp) * 65_535).astype(np.uint16), cicp(9, 16)))
    row = result.pixels[0, :, 0].astype(int)
    assert (np.diff(row) >= 0).all()
    assert row[45] < row[55] < row[75] < row[120] < row[255] == 255
    assert row[25] == pytest.approx(srgb_code(25 / 51) * 255, abs=2)


@pytest.mark.parametrize("chunks", [(gama(0.45455),), (gama(0.45455), chrm(SRGB)), (cicp(1, 13),), (cicp(2, 2),)])
def test_names_that_mean_srgb_change_nothing(chunks):
    assert np.array_equal(photo(png_with(FACE, *chunks)).pixels, FACE)


def test_an_srgb_chunk_outweighs_gama():
    assert np.array_equal(photo(png_with(FACE, gama(0.9), chunk(b"sRGB", b"\0"))).pixels, FACE)


@pytest.mark.parametrize("broken", [gama(0), gama(9000), chunk(b"cHRM", bytes(32)), chunk(b"cICP", b"\x0c")])
def test_impossible_names_are_passed_over(broken):
    assert np.array_equal(photo(png_with(FACE, broken)).pixels, FACE)


@pytest.mark.parametrize(("space", "index"), [(2, "R98"), (65535, "R03")])
def test_adobe_rgb_named_by_exif_is_converted(space, index):
    block = Image.Exif()
    block.get_ifd(34665)[40961] = space
    block.get_ifd(34665)[40965] = {1: index}
    adobe = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.329)
    pixels = in_space(adobe, power(563 / 256))
    data = encoded(Image.fromarray(pixels), "JPEG", quality=100, subsampling=0, exif=block.tobytes())
    assert distance(data).mean() <= 1.0


@pytest.mark.parametrize("name", ["p3_cicp.png", "p3_nclx.avif", "hdr_pq_bt2020.heic"])
def test_colours_from_the_field(name):
    reference = photo((CASES / "reference.jpg").read_bytes()).pixels.astype(int)
    assert np.abs(photo((CASES / name).read_bytes()).pixels - reference).mean() <= 1.5
