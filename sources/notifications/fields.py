"""Reads single fields of a notification that may hold anything."""

from collections.abc import Mapping
from reprlib import Repr
from typing import Any, Final
from urllib.parse import unquote_plus

_SHORT: Final = Repr()
_SHORT.maxstring = _SHORT.maxother = 80


class MalformedNotification(ValueError):
    """What is wrong with a notification, or with a part of it."""


def short_repr(value: object) -> str:
    """A value for an error message; long strings and deep structures are cut."""
    return _SHORT.repr(value)


def get_field(value: object, *names: str) -> Any:  # noqa: ANN401 - a stranger wrote it
    """The value at this path of names; None where something is missing or is not a JSON object."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def require_text(value: object, *names: str) -> str:
    """The text at this path of names.

    Raises:
        MalformedNotification: It is missing, empty or not text.
    """
    text = get_field(value, *names)
    if isinstance(text, str) and text:
        return text
    raise MalformedNotification(f"{'.'.join(names)} is {short_repr(text)} and should be text, as in 'anna.jpg'")


def parse_key(text: str, *, encoded: bool) -> str:
    """The object's key, decoded once if it is `encoded`.

    Raises:
        MalformedNotification: It is not UTF-8, so no server can have this key.
    """
    try:
        key = unquote_plus(text, errors="strict") if encoded else text
        key.encode()
    except UnicodeError as error:
        raise MalformedNotification(f"the key {short_repr(text)} is not UTF-8") from error
    return key


def text_or_none(value: object) -> str | None:
    """A text without the quotes around it; None for anything else, and for an empty one."""
    return value.strip('"') or None if isinstance(value, str) else None


def version_or_none(value: object) -> str | None:
    """A versionId. Servers write `null` for an object that has none."""
    return None if value == "null" else text_or_none(value)


def sequencer_or_none(value: object) -> str | None:
    """A sequencer: hexadecimal digits."""
    text = text_or_none(value)
    return text if text and not set(text) - set("0123456789abcdefABCDEF") else None


def size_or_none(value: object) -> int | None:
    """A size in bytes."""
    return value if type(value) is int and value >= 0 else None
