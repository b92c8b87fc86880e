"""The contact sheet's HTML, piece by piece. Pure; whatever a name or a report says, it stays text."""

import base64
import html
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from string import Template
from typing import Any, Final

from handler import __version__
from handler.telemetry.terminal import printable
from handler.web.thumbnails import Thumbnails
from pipeline.image.decode import Colour
from pipeline.image.thumbnail import STRONG
from pipeline.reasons import NOTES
from pipeline.recipe import OptionError, Recipe, parse_option

STATES: Final = {"done": "Done", "rejected": "Rejected", "failed": "Failed", "waiting": "Not processed"}
"""An entry's state, and the word for it; `waiting` has no report."""

_WAITING: Final = "There is no report about this photo yet: run Facecraft again."
_LONGEST_ERROR: Final = 300
_HEAD, _FOOT = Path(__file__).with_name("cards.html").read_text(encoding="utf-8").split("<!-- cards -->\n")


@dataclass(frozen=True, slots=True)
class Card:
    """What the sheet says of one photo. `portraits`: the names of each portrait's files, the PNG first; `moved_to`:
    where in the outbox the photo lies, if it is no longer in the inbox."""

    path: str
    state: str = "waiting"
    reason: str = ""
    hint: str = _WAITING
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
    """The top of the sheet: `counts` by state, the run's `seconds`."""

    inbox: str
    counts: Mapping[str, int]
    portraits: int
    seconds: float
    when: datetime


def entry(path: str, report: Mapping[str, Any] | None) -> Card:
    """The photo at `path` as its report tells it, be that report ours, an older one's or changed by hand."""
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
        error=_text(report.get("error")),
        faces=_number(_table(report.get("faces")).get("count")),
        cutout=_text(report.get("cutout")),
        restoration=_text(report.get("restoration")),
        notes=tuple(filter(None, map(_text, _items(report.get("notes"))))),
        background=_colour(_table(report.get("recipe")).get("background")),
        portraits=tuple(filter(None, portraits)),
        stages_ms=_times(report.get("stages_ms")),
    )


def head(summary: Summary) -> str:
    """Everything above the first card."""
    return Template(_HEAD).substitute(
        inbox=text(summary.inbox),
        tiles="\n".join(_tiles(summary)),
        iso=text(summary.when.isoformat(timespec="seconds")),
        when=text(f"{summary.when:%Y-%m-%d %H:%M %Z}".strip()),
        version=text(__version__),
    )


def card(number: int, shown: Card, pictures: Thumbnails) -> str:
    """One photo: its pictures, and what there is to know. `number` is its own within the page."""
    folder, slash, name = shown.path.rpartition("/")
    return "\n".join(
        (
            f'<article class="card {shown.state}" aria-labelledby="photo-{number}">',
            f'<header><h2 id="photo-{number}"><bdi><span class="folder">{text(folder + slash)}</span>{text(name)}</bdi>'
            f'</h2><p class="state">{STATES[shown.state]}</p></header>',
            '<div class="pictures">',
            *_pictures(shown, pictures),
            "</div>",
            *_facts(shown),
            "</article>\n",
        )
    )


def foot() -> str:
    """Everything below the last card."""
    return _FOOT


def text(value: str) -> str:
    """Any string as HTML text or the value of a quoted attribute: one line, without bytes that are not UTF-8."""
    return html.escape(printable(value))


def duration(seconds: float) -> str:
    """`4.2 s`, `12 min 5 s`, `3 h 7 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _tiles(summary: Summary) -> Iterator[str]:
    yield _tile("photos", "Photos", str(sum(summary.counts.values())))
    for state, word in STATES.items():
        if (count := summary.counts.get(state, 0)) or state != "waiting":
            yield _tile(state if count else "none", word, str(count))
    yield _tile("photos", "Portraits", str(summary.portraits))
    yield _tile("photos", "Time of this run", duration(summary.seconds))


def _tile(kind: str, word: str, value: str) -> str:
    return f'<div class="tile {kind}"><dt>{word}</dt><dd>{text(value)}</dd></div>'


def _pictures(shown: Card, pictures: Thumbnails) -> Iterator[str]:
    name = text(shown.path)
    yield _figure(pictures.before, f"Photo {name}", "Photo", "before")
    if shown.state != "done":
        yield _said(shown)
    for files, after in zip(shown.portraits, pictures.after, strict=False):
        label = text(files[0])
        for data, colour, kind in zip(after or (None, None), (shown.background, STRONG), ("on", "strong"), strict=True):
            ground = "#{:02X}{:02X}{:02X}".format(*colour)
            yield _figure(data, f"Portrait {label} on {ground}", f"Portrait on {ground}", kind)


def _figure(data: bytes | None, alt: str, caption: str, kind: str) -> str:
    """`alt` and `caption` are HTML."""
    if data is None:
        picture = f'<div class="missing" role="img" aria-label="{alt}: cannot be shown">cannot be shown</div>'
    else:
        picture = f'<img alt="{alt}" decoding="async" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">'
    return f'<figure class="{kind}">{picture}<figcaption>{caption}</figcaption></figure>'


def _said(shown: Card) -> str:
    """Why there is no portrait, and what to do."""
    reason = f"<strong>{text(_words(shown.reason))}</strong> " if shown.reason else ""
    last = (shown.error.strip().splitlines() or [""])[-1][:_LONGEST_ERROR]
    error = f"<p><code>{text(last)}</code></p>" if last else ""
    return f'<div class="said"><p>{reason}{text(shown.hint)}</p>{error}</div>'


def _facts(shown: Card) -> Iterator[str]:
    facts = {
        "Faces": "" if shown.faces is None else str(shown.faces),
        "Cut-out": text(_words(shown.cutout)),
        "Restoration": text(_words(shown.restoration)),
        "Files": "".join(_file(name) for files in shown.portraits for name in files),
        "Notes": "".join(f"<span>{text(_sentence(NOTES.get(note, _words(note))))}</span>" for note in shown.notes),
        "Time": _time(shown.stages_ms or {}),
    }
    rows = [f'<div class="{name.lower()}"><dt>{name}</dt><dd>{said}</dd></div>' for name, said in facts.items() if said]
    if rows:
        yield from ('<dl class="facts">', *rows, "</dl>")


def _file(name: str) -> str:
    return f'<span class="file"><bdi>{text(name)}</bdi></span>'


def _time(stages_ms: Mapping[str, float]) -> str:
    if not stages_ms:
        return ""
    stages = "".join(
        f"<li>{text(_words(stage).lower())} <b>{spent:,.0f}</b></li>" for stage, spent in stages_ms.items()
    )
    return f'<span class="total">{sum(stages_ms.values()):,.0f} ms</span><ul class="stages">{stages}</ul>'


def _words(identifier: str) -> str:
    return _sentence(identifier.replace("_", " "))


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


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


def _times(value: object) -> dict[str, float]:
    return {stage: ms for stage, ms in _table(value).items() if isinstance(ms, int | float) and 0 <= ms < math.inf}
