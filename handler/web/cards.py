"""What the contact sheet says about each photo, as HTML. Pure; text from names and reports is escaped."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from handler import __version__
from handler.telemetry.terminal import printable
from handler.web.thumbnails import Thumbnails
from pipeline.image.decode import Colour
from pipeline.image.thumbnail import STRONG
from pipeline.reasons import NOTES
from pipeline.recipe import OptionError, Recipe, parse_option

STATES: Final = {"done": "Done", "rejected": "Rejected", "failed": "Failed", "waiting": "Not processed"}
"""A card's state and its label; `waiting` means that there is no report."""

_NO_REPORT: Final = "There is no report about this photo yet: run Facecraft again."
_MAX_ERROR_LENGTH: Final = 300
_MAX_MS: Final = 1e12
"""Larger numbers in a report are not durations, and may be too large for a float."""


@dataclass(frozen=True, slots=True)
class Card:
    """What the sheet says about one photo.

    Attributes:
        error: One line.
        portraits: The names of each portrait's files, the PNG first.
        moved_to: The photo's path in the outbox; None if it was not moved there.
    """

    path: str
    state: str = "waiting"
    reason: str = ""
    hint: str = _NO_REPORT
    error: str = ""
    faces: int | None = None
    cutout: str = ""
    restoration: str = ""
    notes: tuple[str, ...] = ()
    background: Colour = Recipe().background_rgb
    portraits: tuple[tuple[str, ...], ...] = ()
    stages_ms: Mapping[str, float] | None = None
    moved_to: str | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """The top of the sheet: photos by state, their portraits, the run's duration in seconds."""

    inbox: str
    counts: Mapping[str, int]
    portraits: int
    seconds: float
    when: datetime


def card_from(path: str, report: Mapping[str, Any] | None) -> Card:
    """The card of the photo at `path`. Its report may be of any version, edited by hand, or missing."""
    report = report or {}
    if report.get("outcome") not in ("done", "rejected", "failed"):
        return Card(path)
    parts = [report, *(_table(each) for each in _items(report.get("more")))]
    portraits = tuple(_names(part.get("outputs")) for part in parts)
    return Card(
        path,
        state=report["outcome"],
        reason=_text(report.get("reason")),
        hint=_text(report.get("hint")),
        error=(_text(report.get("error")).strip().splitlines() or [""])[-1][:_MAX_ERROR_LENGTH],
        faces=_number(_table(report.get("faces")).get("count")),
        cutout=_text(report.get("cutout")),
        restoration=_text(report.get("restoration")),
        notes=tuple(filter(None, map(_text, _items(report.get("notes"))))),
        background=_colour(_table(report.get("recipe")).get("background")),
        portraits=tuple(filter(None, portraits)),
        stages_ms=_durations(report.get("stages_ms")),
    )


def render_card(number: int, card: Card, thumbnails: Thumbnails) -> str:
    """One photo's HTML. `number` is unique on the page."""
    grounds = ["#{:02X}{:02X}{:02X}".format(*colour) for colour in (card.background, STRONG)]
    portraits = [
        (files[0], zip(jpegs or (None, None), grounds, ("on", "strong"), strict=True))
        for files, jpegs in zip(card.portraits, thumbnails.after, strict=False)
    ]
    return _CARD.render(number=number, card=card, thumbnails=thumbnails, portraits=portraits)


def render_page(summary: Summary, cards: Iterable[str]) -> Iterator[str]:
    """The whole page, piece by piece.

    Args:
        summary: what is said above the cards.
        cards: HTML from `render_card`, in pieces of any length; taken one by one, so that they need not fit in memory.
    """
    return _PAGE.generate(summary=summary, cards=cards)


def duration(seconds: float) -> str:
    """`4.2 s`, `12 min 5 s`, `3 h 7 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _finalize(value: object) -> object:
    """jinja applies this to each value before it escapes it: one line, without bytes that are not UTF-8."""
    return printable(value) if type(value) is str else value  # markupsafe.Markup, a subclass, is HTML already


def _words(identifier: str) -> str:
    return _sentence(identifier.replace("_", " "))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"states": STATES, "version": __version__}
    environment.filters |= {
        "base64": lambda data: base64.b64encode(data).decode(),
        "duration": duration,
        "ms": "{:,.0f}".format,
        "note": lambda note: _sentence(NOTES.get(note, _words(note))),
        "words": _words,
    }
    return environment


_TEMPLATES: Final = _environment()
_CARD: Final = _TEMPLATES.get_template("card.html")
_PAGE: Final = _TEMPLATES.get_template("contact_sheet.html")


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1e6 else None


def _names(outputs: object) -> tuple[str, ...]:
    return tuple(filter(None, (_text(_table(file).get("name")) for file in _items(outputs))))


def _colour(value: object) -> Colour:
    try:
        return Recipe(background=str(parse_option("background", value))).background_rgb
    except OptionError:
        return Recipe().background_rgb


def _durations(value: object) -> dict[str, float]:
    return {stage: ms for stage, ms in _table(value).items() if isinstance(ms, int | float) and 0 <= ms < _MAX_MS}
