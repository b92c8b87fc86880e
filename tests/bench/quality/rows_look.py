"""Rows about how the portrait looks: cut-out, skin, light, and whether it is still the same person."""

import cv2
import numpy as np

from pipeline.image.affine import apply
from tests.bench.quality.bench import Bench
from tests.bench.quality.inputs import copies
from tests.bench.quality.inputs.composites import Composite
from tests.bench.quality.inputs.photos import Shot, made
from tests.bench.quality.measures import colours, framing, matting
from tests.bench.quality.sides import Delivered
from tests.bench.quality.table import Row, figures, hits, mean, median, p90, worst

GROUPS = ("light", "medium", "dark")


def _truth(composite: Composite, delivered: Delivered) -> tuple[np.ndarray, np.ndarray]:
    """The true alpha (0..1) and colours (0..255) in the output's place; nobody is beyond the photo's edge."""
    high, wide = delivered.alpha.shape
    weighted = np.dstack([composite.colours * composite.alpha[:, :, None], composite.alpha]).astype(np.float32)
    seen = framing.seen_through(weighted, delivered.matrix, wide, high, cv2.BORDER_CONSTANT)
    alpha = np.clip(seen[:, :, 3], 0, 1)
    return alpha, 255 * np.clip(seen[:, :, :3] / np.maximum(alpha, 1e-3)[:, :, None], 0, 1)


def _scores(composite: Composite, delivered: Delivered | None) -> dict[str, float | None]:
    if delivered is None or not framing.shows(delivered.face, composite.shot.face):
        return {}
    true_alpha, true_colours = _truth(composite, delivered)
    left, top, right, bottom = delivered.seen
    seen = np.s_[top:bottom, left:right]  # padding is judged by the bars, not by the matte
    alpha, colour = delivered.alpha[seen] / 255.0, delivered.rgb[seen].astype(np.float64)
    both = alpha, true_alpha[seen]
    args = colour, *both, true_colours[seen]
    return {
        "matte": matting.error(*both),
        "band": matting.band_error(*both),
        "fringe": matting.fringe(*args),
        "fringe_colour": matting.fringe_colour(*args),
        "seam": matting.seam(*args),
        "bars": 100 * framing.bars(delivered.alpha, true_alpha),
    }


def cut(bench: Bench) -> list[Row]:
    large, small = ([_pair(bench, each) for each in group] for group in (bench.large, bench.small))

    def row(name: str, pairs: list, what: str, limit: float, form: str, unit: str = "") -> Row:
        values = ([pair[side].get(what) for pair in pairs] for side in (0, 1))
        return figures(name, *values, [(mean, limit)], form, unit)

    return [
        row("matte, MAE", large, "matte", 0.010, ".4f"),
        row("matte, 10 px band", large, "band", 0.095, ".3f"),
        row("matte, small persons, 10 px band", small, "band", 0.10, ".3f"),
        row("fringe colour", large, "fringe", 10, ".1f", "levels"),
        row("fringe colour, CIEDE2000", large, "fringe_colour", 4.5, ".1f"),
        row("seam on grey, 10 px band", large, "seam", 12.5, ".1f", "levels"),
        row("person cut by bars", large, "bars", 0.2, ".2f", "%"),
    ]


def _pair(bench: Bench, composite: Composite) -> list[dict[str, float | None]]:
    return [_scores(composite, side) for side in bench.both(composite.shot, plain=True)]


def _skins(
    bench: Bench, shot: Shot, given: np.ndarray, delivered: Delivered | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """CIELAB of the face's skin in the clean photo, in the photo as `given`, and in the portrait."""
    area = _face(bench, shot, delivered)
    if delivered is None or area is None:
        return None
    high, wide = delivered.alpha.shape
    clean, before = (framing.seen_through(each, delivered.matrix, wide, high) for each in (shot.pixels, given))
    return tuple(colours.skin(each, area) for each in (clean, before, delivered.flat))


def _face(bench: Bench, shot: Shot, delivered: Delivered | None) -> np.ndarray | None:
    """The face's skin in the portrait; None where this is not its face."""
    points = bench.points(shot)
    if delivered is None or points is None:
        return None
    area = colours.face_area(apply(delivered.matrix, points), delivered.alpha.shape) & (delivered.alpha > 240)
    return area if np.count_nonzero(area) > 2000 else None


def skin(bench: Bench) -> list[Row]:
    moved: dict[str, tuple[list, list]] = {group: ([], []) for group in GROUPS}
    for shot, pair in bench.all([shot for shot in bench.faced if shot.well_lit]):
        for number, delivered in enumerate(pair):
            seen = _skins(bench, shot, shot.pixels, delivered)
            if seen:
                group = shot.skin or colours.group(seen[0])
                moved[group][number].append(colours.difference(seen[0], seen[2]))
    every = [[value for group in GROUPS for value in moved[group][number]] for number in (0, 1)]
    means = [[mean(moved[group][number]) for group in GROUPS if moved[group][number]] for number in (0, 1)]
    apart = ([max(each) - min(each)] if each else [] for each in means)
    between = figures("skin, well lit: groups apart", *apart, [(mean, 1.5)])
    rows = [figures(f"skin, well lit, CIEDE2000: {group}", *moved[group], [(mean, 4)]) for group in GROUPS]
    return [*rows, figures("skin, well lit: worst", *every, [(worst, 8)]), between]


def relit(bench: Bench) -> list[Row]:
    rows = []
    for light, gains in copies.LIGHTS.items():
        nearer: tuple[list, list] = ([], [])
        for shot in bench.chosen("relit"):
            small = made(f"{shot.name} small", copies.reduced(shot.pixels), face=_scaled(shot))
            given = copies.relit(small.pixels, gains)
            for side, delivered in zip(nearer, bench.fresh(made("relit", given).data), strict=True):
                seen = _skins(bench, small, given, delivered)
                side.append(
                    seen is not None and colours.difference(seen[0], seen[2]) < colours.difference(seen[0], seen[1])
                )
        rows.append(hits(f"relit, nearer to the clean photo: {light}", *nearer, 0.8))
    return rows


def _scaled(shot: Shot) -> tuple[float, float, float] | None:
    scale = min(1.0, copies.MOST / max(shot.pixels.shape[:2]))
    return None if shot.face is None else tuple(value * scale for value in shot.face)


def blown(bench: Bench) -> list[Row]:
    """A face counts as blown out where more than 1 % of its skin is."""
    sides: tuple[list, list] = ([], [])
    for shot, pair in bench.all(bench.faced):
        for side, delivered in zip(sides, pair, strict=True):
            area = _face(bench, shot, delivered)
            if area is not None:
                high, wide = area.shape
                before = framing.seen_through(shot.pixels, delivered.matrix, wide, high)
                side.append(colours.blown(before, delivered.flat, area) <= 0.01)
    return [hits("nothing blown out (<= 1 % of the skin)", *sides, 1.0)]


def stays_grey(bench: Bench) -> list[Row]:
    sides: tuple[list, list] = ([], [])
    for shot in bench.chosen("relit")[:6]:
        pair = bench.fresh(made("grey", copies.grey(copies.reduced(shot.pixels))).data)
        for side, delivered in zip(sides, pair, strict=True):
            if delivered is not None:
                side.append(colours.chroma(delivered.flat, delivered.alpha > 240))
    return [figures("grey stays grey: chroma p95, worst", *sides, [(worst, 1.0)])]


def identity(bench: Bench) -> list[Row]:
    if not bench.reader.knows_identity:
        return [Row("identity", "0", "-", "not measured: dlib_face_recognition_resnet_model_v1.dat is missing", "-")]
    shots = bench.all(bench.faced)
    apart = ([_apart(bench, shot, pair[side]) for shot, pair in shots] for side in (0, 1))
    first = figures("identity distance, median; p90", *apart, [(median, 0.10), (p90, 0.20)])
    return [first, _of_degraded(bench)]


def _of_degraded(bench: Bench) -> Row:
    """How much further from the clean face than the degraded photo was; negative: nearer."""
    sides: tuple[list, list] = ([], [])
    for shot in bench.chosen("relit")[:8]:
        small = made(f"{shot.name} small", copies.reduced(shot.pixels), face=_scaled(shot))
        worse = copies.degraded(small.pixels)
        points = bench.points(small)
        if points is None:
            continue
        clean, given = (bench.reader.identity(each, points) for each in (small.pixels, worse))
        for side, delivered in zip(sides, bench.fresh(made("degraded", worse).data), strict=True):
            found = delivered and bench.reader.face(delivered.flat)
            if found:
                after = bench.reader.identity(delivered.flat, found.points)
                side.append(float(np.linalg.norm(after - clean) - np.linalg.norm(given - clean)))
    return figures("degraded: further from the clean face, mean", *sides, [(mean, 0.0)])


def _apart(bench: Bench, shot: Shot, delivered: Delivered | None) -> float | None:
    points = bench.points(shot)
    found = bench.reader.face(delivered.flat) if delivered is not None else None
    if points is None or found is None or _face(bench, shot, delivered) is None:
        return None
    one, other = bench.reader.identity(shot.pixels, points), bench.reader.identity(delivered.flat, found.points)
    return float(np.linalg.norm(one - other))


ROWS = {
    "cut": cut,
    "skin": skin,
    "relit": relit,
    "blown": blown,
    "grey": stays_grey,
    "identity": identity,
}
