"""What a bucket's listing says of a report beyond its name and date: two hidden channels, both here and nowhere else.

A listing tells an object's name, size and date, and nothing of its content; to ask for each report by name would cost a
request for each. So a report is padded with spaces until its size modulo 4 is a flag. And because the scanner keeps one
number for each of a million reports, the flag then travels in the last bit of the date. Pure.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

REPLAY: Final = "replay"
"""The key in a report that puts its photo back to work; the next report is without it."""

UNDECIDED: Final = 0
"""The packed date of a report whose listing decides nothing: it is to be asked for by name."""

_SIZES: Final = 4
_SECOND: Final = 1_000_000_000


class ReportFlag(IntEnum):
    """A report's size in bytes modulo 4."""

    WITHOUT_SIDECAR = 0
    TO_REPLAY = 1
    WITH_SIDECAR = 2
    UNUSED = 3


def flag_of(report: Mapping[str, Any]) -> ReportFlag:
    """The flag that belongs to this content."""
    if REPLAY in report:
        return ReportFlag.TO_REPLAY
    source = report.get("source")
    had_sidecar = isinstance(source, Mapping) and source.get("sidecar_sha256")
    return ReportFlag.WITH_SIDECAR if had_sidecar else ReportFlag.WITHOUT_SIDECAR


def padded(text: str, flag: ReportFlag) -> str:
    """The ASCII text with spaces and a line's end, so that its size carries the flag."""
    return f"{text}{' ' * ((flag - len(text) - 1) % _SIZES)}\n"


def packed_date(size: int, changed_ns: int) -> int:
    """A listed report's date in ns, whose last bit is set where the photo had a sidecar; UNDECIDED where it is to be
    replayed, or its size says nothing."""
    match ReportFlag(size % _SIZES):
        case ReportFlag.WITHOUT_SIDECAR:
            return changed_ns // 2 * 2
        case ReportFlag.WITH_SIDECAR:
            return changed_ns // 2 * 2 + 1
    return UNDECIDED


def had_sidecar(packed: int) -> bool:
    """Whether the photo had a sidecar when its report was written."""
    return packed % 2 == 1


def is_later(packed: int, changed_ns: int) -> bool:
    """Whether the report is of a later second than what changed then: servers keep whole seconds."""
    return packed // _SECOND > changed_ns // _SECOND
