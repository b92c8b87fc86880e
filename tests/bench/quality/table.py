"""One row a measure: what was aimed at, ours, the original's."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

Statistic = Callable[[Sequence[float]], float]
NONE: Final = "-"


def p90(values: Sequence[float]) -> float:
    return float(np.percentile(values, 90))


def p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


mean, median, worst, spread = statistics.fmean, statistics.median, max, statistics.pstdev


@dataclass(frozen=True, slots=True)
class Row:
    """`missed` is true where ours does not reach the goal."""

    measure: str
    count: str
    goal: str
    ours: str
    original: str
    missed: bool = False


def figures(
    measure: str,
    ours: Sequence[float | None],
    original: Sequence[float | None],
    wanted: Sequence[tuple[Statistic, float | None]],
    form: str = ".2f",
    unit: str = "",
) -> Row:
    """Statistics of the values, each with the most that it may be (None: no goal). Values of None are left out."""
    own, other = ([value for value in values if value is not None] for values in (ours, original))
    goals = [f"<= {format(limit, form)}" if limit is not None else NONE for _, limit in wanted]
    missed = bool(own) and any(limit is not None and round(how(own), 6) > limit for how, limit in wanted)
    return Row(
        f"{measure}{', ' + unit if unit else ''}",
        str(len(own)) if len(own) == len(other) or not other else f"{len(own)}, {len(other)}",
        "; ".join(goals),
        _cell(own, wanted, form),
        _cell(other, wanted, form),
        missed,
    )


def _cell(values: list[float], wanted: Sequence[tuple[Statistic, float | None]], form: str) -> str:
    return "; ".join(format(how(values), form) for how, _ in wanted) if values else NONE


def hits(measure: str, ours: Sequence[bool], original: Sequence[bool], least: float) -> Row:
    """How many are right, and the share that should be."""
    missed = bool(ours) and sum(ours) / len(ours) < least - 1e-9
    return Row(measure, str(len(ours)), f">= {least:.0%}", _of(ours), _of(original), missed)


def _of(right: Sequence[bool]) -> str:
    return f"{sum(right)} of {len(right)}" if len(right) else NONE


def printed(rows: list[Row]) -> str:
    """Columns as wide as what stands in them; `x` marks a missed goal."""
    head = Row("measure", "n", "goal", "ours", "original")
    cells = [
        (row.measure, row.count, row.goal, row.ours, row.original, "x" if row.missed else "") for row in [head, *rows]
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(6)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
