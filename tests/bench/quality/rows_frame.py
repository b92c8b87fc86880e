"""Rows about the face: found, counted, upright, level, centred, and where the report says it is."""

import cv2
import numpy as np

from pipeline.image.affine import apply
from tests.bench.quality.bench import Bench, Pair, enlargement
from tests.bench.quality.inputs import copies
from tests.bench.quality.inputs.photos import Shot, made
from tests.bench.quality.measures import colours, files, framing
from tests.bench.quality.reader import Found, described
from tests.bench.quality.sides import Delivered
from tests.bench.quality.table import Row, figures, hits, mean, median, p90, spread, worst


def right_face(bench: Bench) -> list[Row]:
    """Labelled photos, and composites of one and of two people."""
    shots = bench.all(bench.faced) if bench.labelled else []
    shots += bench.all([each.shot for each in (*bench.large, *bench.small)], plain=True)
    shots += bench.all(bench.pairs, plain=True)
    ours, theirs = ([_verdict(shot, pair[side]) for shot, pair in shots] for side in (0, 1))
    cells = [f"{each.count('right')}, {each.count('lost')}, {each.count('wrong')}" for each in (ours, theirs)]
    missed = ours.count("wrong") > 0 or ours.count("right") < 0.98 * len(ours)
    return [Row("right face, lost, wrong", str(len(ours)), ">= 98 %, 0, 0", *cells, missed)]


def _verdict(shot: Shot, delivered: Delivered | None) -> str:
    if delivered is None:
        return "lost"
    return "right" if framing.shows(delivered.face, shot.face) else "wrong"


def counted(bench: Bench) -> list[Row]:
    shots = bench.all([shot for shot in bench.shots if shot.faces is not None])
    shots += bench.all([*(each.shot for each in (*bench.large, *bench.small)), *bench.pairs], plain=True)
    right = [[(pair[side].faces if pair[side] else 0) == shot.faces for shot, pair in shots] for side in (0, 1)]
    return [hits("faces counted exactly", *right, 0.94)]


def turned(bench: Bench) -> list[Row]:
    ours, theirs = [], []
    for shot in bench.chosen("turn"):
        for quarters in (1, 2, 3):
            pixels = np.ascontiguousarray(np.rot90(copies.reduced(shot.pixels), quarters))
            for side, delivered in zip((ours, theirs), bench.fresh(made("turned", pixels).data), strict=True):
                found = _reading(bench, delivered)
                side.append(found is not None and framing.upright(found.level, found.off_centre))
    return [hits("turned 90, 180, 270: upright", ours, theirs, 11 / 12)]


def _reading(bench: Bench, delivered: Delivered | None) -> Found | None:
    return None if delivered is None else bench.reader.face(delivered.flat)


def framed(bench: Bench) -> list[Row]:
    """Level, centred, repeating: read by dlib in the finished pictures."""
    readings = [[_reading(bench, side) for side in pair] for _, pair in bench.all(bench.faced)]
    ours, theirs = ([pair[side] for pair in readings if pair[side]] for side in (0, 1))

    def row(name: str, what: str, *wanted: tuple, factor: float = 1.0, form: str = ".2f", unit: str = "") -> Row:
        values = ([factor * abs(getattr(found, what)) for found in side] for side in (ours, theirs))
        return figures(name, *values, wanted, form, unit)

    return [
        row("eyes level, mean", "level", (mean, 0.7), unit="degrees"),
        row("off centre, median; p90", "off_centre", (median, 0.5), (p90, 1.5), factor=100, unit="% of width"),
        row("eye line, deviation", "eye_line", (spread, 0.010), form=".3f", unit="of height"),
        row("eye distance, deviation", "eye_distance", (spread, 0.015), form=".3f", unit="of width"),
    ]


def tilted(bench: Bench) -> list[Row]:
    levels: tuple[list, list] = ([], [])
    repeats: tuple[list, list] = ([], [])
    for shot in bench.chosen("tilt"):
        upright = made(f"{shot.name} as it is", copies.reduced(shot.pixels))
        straight = bench.both(upright)
        own = described(bench.points(shot), 1, 1).level  # people hold their heads at an angle already
        for angle in (round(wanted - own) for wanted in copies.ANGLES):
            pair = bench.fresh(made("tilted", copies.tilted(upright.pixels, angle)[0]).data)
            for number, delivered in enumerate(pair):
                found = _reading(bench, delivered)
                levels[number].append(abs(found.level) if found else None)
                repeats[number].append(_remaining(straight[number], delivered, angle))
    return [
        figures("tilted: eyes level, p90; worst", *levels, [(p90, 1.0), (worst, 3.0)], unit="degrees"),
        figures("tilted: against the upright copy, p90; worst", *repeats, [(p90, None), (worst, None)], unit="degrees"),
    ]


def _remaining(straight: Delivered | None, delivered: Delivered | None, angle: float) -> float | None:
    """Degrees by which the known tilt was not taken out, by the transforms alone."""
    if straight is None or delivered is None:
        return None
    left = framing.matrix_tilt(delivered.matrix) + angle - framing.matrix_tilt(straight.matrix)
    return abs((left + 180) % 360 - 180)


def matrices(bench: Bench) -> list[Row]:
    shots = bench.all(bench.faced)
    values = ([_misplaced(bench, shot, pair[side]) for shot, pair in shots] for side in (0, 1))
    return [figures("source_to_output off the pixels, p90", *values, [(p90, 0.5)], unit="px")]


def _misplaced(bench: Bench, shot: Shot, delivered: Delivered | None) -> float | None:
    points = bench.points(shot)
    if delivered is None or points is None:
        return None
    high, wide = delivered.alpha.shape
    area = colours.face_area(apply(delivered.matrix, points), (high, wide))
    if np.count_nonzero(area) < 2000:
        return None
    area = cv2.morphologyEx(area.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((99, 99), np.uint8)) > 0
    return framing.misplaced(framing.seen_through(shot.pixels, delivered.matrix, wide, high), delivered.flat, area)


def enlarged(bench: Bench) -> list[Row]:
    def said(pairs: list[tuple[Shot, Pair]], side: int) -> list[bool]:
        made_of = [pair[side] for _, pair in pairs if pair[side] is not None]
        return ["enlarged" in each.notes for each in made_of if enlargement(each) > 2]

    pairs = bench.all(bench.faced) + bench.all([each.shot for each in bench.small], plain=True)
    return [hits("enlarged more than 2x: said", said(pairs, 0), said(pairs, 1), 1.0)]


def in_files(bench: Bench) -> list[Row]:
    """Every file of every sample."""
    pairs = bench.all(bench.faced)
    right = (
        [files.in_order(data) for _, pair in pairs if (one := pair[side]) for data in (one.png, one.jpeg)]
        for side in (0, 1)
    )
    return [hits("<= 99 KB, 300 dpi, sRGB, no EXIF", *right, 1.0)]


def same_pixels(bench: Bench) -> list[Row]:
    same: tuple[list, list] = ([], [])
    for shot in bench.chosen("turn")[:1]:
        small = copies.reduced(shot.pixels, 640)
        base = bench.fresh(made("base", small).data)
        for data in copies.same_pixels(small).values():
            for side, first, second in zip(same, base, bench.fresh(data), strict=True):
                side.append(first is not None and second is not None and np.array_equal(first.flat, second.flat))
    return [hits("same pixels, other format or EXIF: identical", *same, 1.0)]


def saved_again(bench: Bench) -> list[Row]:
    moves: tuple[list, list] = ([], [])
    differences: tuple[list, list] = ([], [])
    for shot in bench.chosen("turn")[:3]:
        small = copies.reduced(shot.pixels)
        base = bench.fresh(made("base", small).data)
        for data in copies.saved_again(small).values():
            for number, (first, second) in enumerate(zip(base, bench.fresh(data), strict=True)):
                if first is not None and second is not None:
                    size = 0.5 * first.alpha.shape[1] / enlargement(first)
                    moves[number].append(framing.moved(first.matrix, second.matrix, first.face, size))
                    differences[number].append(files.apart(first.flat, second.flat))
    return [
        figures("saved again: face moves, p90; worst", *moves, [(p90, None), (worst, 2.0)], unit="px"),
        figures("saved again: mean difference, worst", *differences, [(worst, 2.5)], unit="levels"),
    ]


ROWS = {
    "right-face": right_face,
    "counted": counted,
    "turned": turned,
    "framed": framed,
    "tilted": tilted,
    "matrices": matrices,
    "enlarged": enlarged,
    "files": in_files,
    "same-pixels": same_pixels,
    "saved-again": saved_again,
}
