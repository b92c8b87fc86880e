"""What an event says of an object that was created, and how its fields are read. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import Repr
from typing import Any, Final
from urllib.parse import unquote_plus

_SHOWN: Final = Repr()
_SHOWN.maxstring = _SHOWN.maxother = 80


@dataclass(frozen=True, slots=True)
class ObjectCreated:
    """An object that was created, as its event has it. `key` is decoded; `size` is in bytes; None: not told."""

    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None
    sequencer: str | None = None
    size: int | None = None

    @property
    def version(self) -> str:
        """The etag, else the versionId, else nothing."""
        return self.etag or self.version_id or ""


@dataclass(frozen=True, slots=True)
class Announcements:
    """All that one body told: created objects, and by name what was ignored (`ObjectRemoved:Delete`)."""

    created: tuple[ObjectCreated, ...] = ()
    ignored: tuple[str, ...] = ()


class NotificationError(ValueError):
    """What is wrong with a body, or with a part of it; `understood` holds what the rest of it told."""

    def __init__(self, wrong: str, understood: Announcements | None = None) -> None:
        super().__init__(wrong)
        self.understood = understood or Announcements()


def is_older(one: str | None, other: str | None) -> bool:
    """Whether the first sequencer of a key was given before the second one; False where that cannot be told."""
    if one is None or other is None:
        return False
    width = max(len(one), len(other))
    return one.upper().rjust(width, "0") < other.upper().rjust(width, "0")


def shown(value: object) -> str:
    """A value as an error message shows it: the beginning of what is long or deep."""
    return _SHOWN.repr(value)


def field(value: object, *names: str) -> Any:  # noqa: ANN401 - it is what a stranger wrote
    """What lies under these names, one below the other; None where something is missing or is no JSON object."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def needed_text(value: object, *names: str) -> str:
    """A field that must hold text."""
    text = field(value, *names)
    if isinstance(text, str) and text:
        return text
    raise NotificationError(f"{'.'.join(names)} is {shown(text)} and should be text, as in 'anna.jpg'")


def key_of(text: str, *, encoded: bool) -> str:
    """The object's key, decoded at most once; EnvelopeError where no server can have such a key."""
    try:
        key = unquote_plus(text, errors="strict") if encoded else text
        key.encode()
    except UnicodeError as error:
        raise NotificationError(f"the key {shown(text)} is not UTF-8") from error
    return key


def text_or_none(value: object) -> str | None:
    return value.strip('"') or None if isinstance(value, str) else None


def version_or_none(value: object) -> str | None:
    """`null` is what servers call the version of an object that has none."""
    return None if value == "null" else text_or_none(value)


def sequencer_or_none(value: object) -> str | None:
    text = text_or_none(value)
    return text if text and not set(text) - set("0123456789abcdefABCDEF") else None


def size_or_none(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
