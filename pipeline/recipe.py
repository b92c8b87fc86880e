"""The options of one photo: types, ranges and defaults in one table, and the recipe that they make."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, Literal

FORMAT: Final = 1
"""Raise it whenever the same options give other pixels: the digest changes with it."""

Value = bool | int | float | str
Restore = Literal["auto", "on", "off"]
FacePolicy = Literal["largest", "center", "all", "reject"]


class OptionError(ValueError):
    """An option's name or value is wrong. `message` says which value, what is wrong and what to write instead."""

    def __init__(self, name: str, value: object, message: str) -> None:
        self.name = name
        self.value = value
        self.message = message
        super().__init__(name, value, message)

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `low` and `high` belong to numbers; a text without `choices` is a colour."""

    type: type[Value]
    example: str
    meaning: str
    low: int = 0
    high: int = 0
    choices: tuple[str, ...] = ()

    @property
    def wants(self) -> str:
        """What a right value is, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return {
            bool: "true or false",
            int: f"a whole number from {self.low} to {self.high}",
            float: f"a number from {self.low} to {self.high}",
        }.get(self.type, "a colour such as #F0F0F0, #FFF or 240,240,240")

    def parse(self, value: object) -> Value | None:
        """The value in the option's own type, from text too; None where it is not what the option wants."""
        if isinstance(value, str):
            value = value.strip()
        if self.choices:
            return _choice(value, self.choices)
        if self.type in (int, float):
            return self._within_limits(_float(value) if self.type is float else _int(value))
        return _bool(value) if self.type is bool else _colour(value)

    def _within_limits(self, value: float | None) -> Value | None:
        return value if value is not None and self.low <= value <= self.high else None


OPTIONS: Final[Mapping[str, Option]] = MappingProxyType(
    {
        "width": Option(int, "648", "Width of the portrait in pixels", 64, 4096),
        "height": Option(int, "648", "Height of the portrait in pixels", 64, 4096),
        "background": Option(str, "#F0F0F0", "Colour behind the person in the JPEG"),
        "face_margin": Option(float, "0.3", "Room around the face, as a share of the face's size", 0, 1),
        "oval_mask": Option(bool, "true", "Cut the portrait to an oval"),
        "photo_enhance": Option(bool, "true", "Correct exposure, colour cast and noise where they are off"),
        "restore": Option(
            str,
            "auto",
            "Restore faces: auto (small or soft ones, where the model is there), on (all; needs the model) or off",
            choices=("auto", "on", "off"),
        ),
        "enhance_fidelity": Option(float, "0.7", "Restored face: 0 looks best, 1 stays closest to the photo", 0, 1),
        "face_policy": Option(
            str,
            "largest",
            "Which of several faces: largest, center, all (a portrait each) or reject",
            choices=("largest", "center", "all", "reject"),
        ),
        "max_size_kb": Option(int, "99", "Largest size of the JPEG in KB (1 KB is 1,024 bytes)", 10, 1000),
        "dpi": Option(int, "300", "Resolution that the files declare, in dots per inch", 36, 2400),
    }
)


def parse_option(name: str, value: object) -> Value:
    """The value of an option in its canonical form.

    Args:
        name: The option's name.
        value: Text, or already typed.

    Raises:
        OptionError: The name or the value is wrong; says what to write instead.
    """
    option = OPTIONS.get(name)
    if option is None:
        raise OptionError(name, value, f"is not the name of an option; {nearest(name, OPTIONS)}")
    parsed = option.parse(value)
    if parsed is None:
        raise OptionError(name, value, f"{shown(value)} is not {option.wants}; for example {option.example}")
    return parsed


def nearest(name: str, known: Iterable[str]) -> str:
    """Advice for a wrong name: the one that it resembles, else all of them."""
    known = list(known)
    found = get_close_matches(name[:100].lower(), {each.lower(): each for each in known}, 1)
    similar = [each for each in known if each.lower() in found]
    return f"did you mean {similar[0]}?" if similar else f"known: {', '.join(sorted(known))}"


def shown(value: object) -> str:
    """A value for a message: short and on one line, whatever it is."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:57]}...")
    if isinstance(value, int) and abs(value) >= 10**15:
        return "a number of more than 15 digits"  # Python itself refuses to print more than 4,300
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float | None) else f"a value of type {type(value).__name__}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """The options of one photo. Every value is checked and brought to its canonical form; OptionError otherwise."""

    width: int = 648
    height: int = 648
    background: str = "#F0F0F0"
    face_margin: float = 0.3
    oval_mask: bool = True
    photo_enhance: bool = True
    restore: Restore = "auto"
    enhance_fidelity: float = 0.7
    face_policy: FacePolicy = "largest"
    max_size_kb: int = 99
    dpi: int = 300

    def __post_init__(self) -> None:
        for name, value in self.as_dict().items():
            object.__setattr__(self, name, parse_option(name, value))

    @property
    def background_rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0..255."""
        red, green, blue = bytes.fromhex(self.background[1:])
        return red, green, blue

    @property
    def digest(self) -> str:
        """sha256 in hex: equal for equal options, different if the pixels would differ."""
        text = json.dumps({"format": FORMAT, **self.as_dict()}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def as_dict(self) -> dict[str, Value]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


_BOOLEANS: Final = {
    **dict.fromkeys(("true", "1", "yes", "y", "on", "t"), True),
    **dict.fromkeys(("false", "0", "no", "n", "off", "f"), False),
}
_SPELLINGS: Final = {"centre": "center"}


def _bool(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return _BOOLEANS.get(value.lower()) if isinstance(value, str) else None


def _int(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,9}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(value: object) -> float | None:
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{0,9}\.?[0-9]{1,20}", value):
        return float(value) + 0.0  # "-0" becomes 0.0: equal values have one digest
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) + 0.0 if abs(value) < 1e9 else None


def _choice(value: object, choices: tuple[str, ...]) -> str | None:
    word = _SPELLINGS.get(value.lower(), value.lower()) if isinstance(value, str) else None
    return word if word in choices else None


def _colour(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    if re.fullmatch(r"#[0-9a-fA-F]{3}", value):
        value = "#" + "".join(2 * digit for digit in value[1:])
    if re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        return value.upper()
    return _rgb_colour(value)


def _rgb_colour(value: str) -> str | None:
    if not re.fullmatch(r"[0-9]{1,3} *, *[0-9]{1,3} *, *[0-9]{1,3}", value):
        return None
    parts = [int(part) for part in value.split(",")]
    return "#{:02X}{:02X}{:02X}".format(*parts) if max(parts) <= 255 else None
