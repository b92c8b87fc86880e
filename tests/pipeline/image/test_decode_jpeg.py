"""Damage in JPEGs is rejected or noted; the habits of cameras and programs are neither."""

import struct

import numpy as np
import pytest
from PIL import Image

from pipeline.types import Photo
from tests.pipeline.image.picture_bytes import CASES, PORTRAITS, encoded, exif, outcome

NAMES = ["grace_hopper.jpg", "portrait_bokeh.jpg", "portrait_glasses_scarf.jpg"]
CODINGS = {
    "baseline": {},
    "optimised": {"optimize": True, "subsampling": 0},
    "progressive": {"progressive": True},
    "restart marks": {"restart_marker_rows": 1},
}


def jpeg(name, **options):
    image = Image.open(PORTRAITS / name).convert("RGB")
    image.thumbnail((600, 600))
    return encoded(image, "JPEG", **({"quality": 88} | options))


def scan_start(data):
    at = data.index(b"\xff\xda")
    return at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")


def damaged(data, how, random):
    start, end = scan_start(data), len(data) - 2
    changed = bytearray(data)
    if how == "cut":
        return bytes(changed[: int(random.integers(start + (end - start) // 8, end - 64))]) + b"\xff\xd9"
    length = {"zeros": int(random.choice([512, 2048, 4096])), "byte": 1}[how]
    place = int(random.integers(start, end - length))
    changed[place : place + length] = (
        bytes(length) if how == "zeros" else [changed[place] ^ int(random.integers(1, 256))]
    )
    return bytes(changed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("how", ["zeros", "cut"])
def test_zeros_and_cuts_are_never_handed_over_in_silence(name, coding, how):
    data = jpeg(name, **CODINGS[coding])
    sound, random = outcome(data).pixels.astype(int), np.random.default_rng(3)
    silent = []
    for _ in range(20):
        result = outcome(damaged(data, how, random))
        if isinstance(result, Photo) and result.notes == () and np.abs(result.pixels - sound).mean() > 3:
            silent.append(round(float(np.abs(result.pixels - sound).mean()), 1))
    assert len(silent) <= (1 if how == "zeros" else 0), silent


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("coding", CODINGS)
def test_most_changed_bytes_that_matter_are_seen(name, coding):
    data = jpeg(name, **CODINGS[coding])
    sound, random = outcome(data).pixels.astype(int), np.random.default_rng(4)
    results = [outcome(damaged(data, "byte", random)) for _ in range(40)]
    silent = [
        result
        for result in results
        if isinstance(result, Photo) and result.notes == () and np.abs(result.pixels - sound).mean() > 3
    ]
    assert len(silent) <= 4


@pytest.mark.parametrize(
    "name", ["damaged_block_of_zeros.jpg", "damaged_second_half_zeros.jpg", "damaged_cut_at_45_with_end_mark.jpg"]
)
def test_damage_from_the_field_is_rejected(name):
    assert outcome((CASES / name).read_bytes()).reason == "damaged"


def inserted(data, *segments):
    return data[:2] + b"".join(segments) + data[2:]


def segment(code, content):
    return bytes((0xFF, code)) + struct.pack(">H", len(content) + 2) + content


BASE = jpeg("portrait_bokeh.jpg")
HEADER_END = BASE.index(b"\xff\xdb")
HABITS = {
    "extraneous bytes before a table": BASE[:HEADER_END] + b"\1\2\3\4" + BASE[HEADER_END:],
    "fill bytes before a table": BASE[:HEADER_END] + b"\xff" * 9 + BASE[HEADER_END:],
    "zeros before the end mark": BASE[:-2] + bytes(16) + b"\xff\xd9",
    "fill bytes before the end mark": BASE[:-2] + b"\xff" * 16 + b"\xff\xd9",
    "zeros behind the end": BASE + bytes(4096),
    "a film behind the end": BASE + b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 20,
    "a second JPEG behind the end": BASE + BASE,
    "text behind the end": BASE + b"SEFH\0trailer SEFT",
    "no end mark": BASE[:-2],
    "a thumbnail in EXIF": inserted(BASE, segment(0xE1, b"Exif\0\0" + exif(1)[6:] + BASE[:20_000])),
    "MPF": inserted(BASE, segment(0xE2, b"MPF\0II*\0\x08\0\0\0\0\0\0\0\0\0")),
    "XMP": inserted(BASE, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")),
    "an unknown APP": inserted(BASE, segment(0xEB, bytes(3000))),
    "a comment": inserted(BASE, segment(0xFE, b"made by somebody")),
    "a profile in wrong pieces": inserted(BASE, segment(0xE2, b"ICC_PROFILE\0\2\1" + bytes(50))),
    "a newer JFIF": BASE.replace(b"JFIF\0\1\1", b"JFIF\0\3\1", 1),
    "Adobe's mark": jpeg("portrait_bokeh.jpg", keep_rgb=True),
    **{f"quality {quality}": jpeg("portrait_bokeh.jpg", quality=quality) for quality in (5, 30, 60, 75, 95, 100)},
    **{f"sampling {each}": jpeg("portrait_bokeh.jpg", subsampling=each) for each in ("4:4:4", "4:2:2", "4:2:0")},
    **{f"restart {each}": jpeg("grace_hopper.jpg", restart_marker_blocks=each) for each in (1, 7, 100)},
    "restart rows": jpeg("grace_hopper.jpg", restart_marker_rows=2),
    "progressive": jpeg("grace_hopper.jpg", progressive=True),
    "progressive, zeros before the end mark": jpeg("grace_hopper.jpg", progressive=True)[:-2] + bytes(9) + b"\xff\xd9",
    "progressive with restarts": jpeg("grace_hopper.jpg", progressive=True, restart_marker_rows=1),
    "grey": encoded(Image.open(PORTRAITS / "portrait_bokeh.jpg").convert("L"), "JPEG"),
    "grey, progressive": encoded(Image.open(PORTRAITS / "portrait_bokeh.jpg").convert("L"), "JPEG", progressive=True),
    "CMYK": encoded(Image.open(PORTRAITS / "portrait_bokeh.jpg").convert("CMYK"), "JPEG"),
    "odd size": encoded(Image.open(PORTRAITS / "portrait_bokeh.jpg").crop((0, 0, 333, 501)), "JPEG"),
    "one pixel": encoded(Image.new("RGB", (1, 1)), "JPEG"),
}


@pytest.mark.parametrize("habit", HABITS)
def test_habits_of_cameras_and_programs_are_no_damage(habit):
    result = outcome(HABITS[habit])
    assert isinstance(result, Photo), str(result)
    assert "damaged" not in result.notes
