"""Names in the outbox, from the photo's path alone. Pure: two photos never share a report, nothing leads out."""

import os
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_to_bytes

MAX_PART: Final = 200
"""Bytes of one name that need no shortening."""

MAX_PATH: Final = 800
"""Bytes of a whole path that need no shortening: S3 takes keys of 1,024 bytes, with all that we add."""

ATTEMPTS: Final = ".facecraft/attempts"
"""The folder of the attempts' markers."""

JOBS: Final = "jobs"
"""The folder of the HTTP API's jobs."""

INVOCATIONS: Final = "invocations"
"""The folder of images that the answers of direct calls cannot hold."""

_HEAD: Final = 150
_ODD_PARTS: Final = {"": "%", ".": "%2E", "..": "%2E%2E"}
_LOOKS_ODD: Final = re.compile(r"%(?=(25)*(2E(%2E)?)?\Z)")
_LOOKS_NUL: Final = re.compile(r"%(?=(25)*00)")
_LOOKS_SHORTENED: Final = re.compile(r"~[0-9a-f]{16}\Z")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_ ()+-][A-Za-z0-9_. ()+-]{0,150}")
_LOOKS_REPORT: Final = re.compile(r"\.json%*\Z")
_OUR_FOLDERS: Final = frozenset({"reports", "originals", INVOCATIONS, JOBS, ".facecraft"})


def safe_path(path: str) -> str:
    """The photo's path as it may stand in the outbox; no two photos share one (but for equal halves of a sha256).

    Parts that are empty, `.` or `..` and NULs are percent-encoded. A part of more than 200 bytes keeps its first 150
    and gets `~` and 16 hex digits of the sha256 of the path up to it; what looks like that already gets them too.
    """
    parts = path.split("/")
    safe = [_safe_part(part, "/".join(parts[: depth + 1])) for depth, part in enumerate(parts)]
    if _size("/".join(safe)) <= MAX_PATH:
        return "/".join(safe)
    while len(safe) > 1 and _size("/".join(safe[:-1])) > MAX_PATH - MAX_PART:
        del safe[-2]
    return "/".join([*safe[:-1], _shortened(_encoded(parts[-1]), path)])


def report_path(path: str) -> str:
    """Where the report of a photo lies: `reports/sales/anna.jpg.json`."""
    folders, name = _split(safe_path(path))
    return f"reports/{_below([_report_folder(part) for part in folders], name)}.json"


def report_folder(folder: str) -> str:
    """Where the reports lie of a folder's photos (`""`: the inbox itself), all but those with very long paths."""
    return os.path.dirname(report_path(f"{folder}/_" if folder else "_"))  # noqa: PTH120 - paths are plain str


def report_paths(folder: str) -> Callable[[str], str]:
    """`report_path` by the names of one folder's photos: quick, for those who ask for 100,000 of them."""
    place, short = report_folder(folder), _size(folder) <= 150

    def path(name: str) -> str:
        if short and _PLAIN.fullmatch(name):
            return f"{place}/{name}.json"
        return report_path(f"{folder}/{name}" if folder else name)

    return path


def attempt_path(path: str) -> str:
    """Where the marker of a running or failed attempt lies: all in one folder, so that one listing finds them."""
    return f"{ATTEMPTS}/{_digest(path, 32)}.json"


def reported_path(place: str, uri: object = None) -> str | None:
    """The photo whose report lies at `place`; `uri` is what the report says, of use where the name was changed for it.

    None where no photo's does. Whatever the URI says, it is believed only where it leads to this place.
    """
    parts = os.fsdecode(unquote_to_bytes(uri)).split("/") if isinstance(uri, str) else []
    plain = place.removeprefix("reports/").removesuffix(".json")
    said = ("/".join(parts[depth:]) for depth in range(len(parts)))
    return next((path for path in (plain, *said) if report_path(path) == place), None)


def original_path(path: str) -> str:
    """Where a photo lies once it was moved; see `renamed_original`."""
    return f"originals/{safe_path(path)}"


def renamed_original(place: str, content: str) -> str:
    """Where a content with that sha256 lies if another one has the place: `originals/anna~<16 hex digits>.jpg`."""
    stem, ending = os.path.splitext(place)  # noqa: PTH122 - paths are plain str
    return f"{stem}~{content[:16]}{ending}"


def portrait_stems(path: str) -> Iterator[str]:
    """Where a photo's portraits may lie, without ending, best first; whoever finds all of them taken is blocked.

    `sales/anna`, `sales/anna.heic`, `sales/anna.heic~<hash>`; and, where the folder itself cannot be made because
    something else has its name, `anna.heic~<hash>` in the outbox itself.
    """
    folders, name = _split(safe_path(path))
    # what a photo's folder is called must not lead its portraits among our reports
    folders[:1] = [f"{part}~" if part in _OUR_FOLDERS else part for part in folders[:1]]
    stem = os.path.splitext(path.rpartition("/")[2])[0]  # noqa: PTH122 - paths are plain str
    full = name if _LOOKS_SHORTENED.search(name) else f"{name}~{_digest(path)}"
    stems = (_below(folders, _stem(stem, path)), _below(folders, name), _below(folders, full), full)
    return iter(dict.fromkeys(stems))


def _stem(stem: str, path: str) -> str:
    stem = _ODD_PARTS.get(stem, stem.replace("\0", "%00"))
    return _shortened(stem, path) if _size(stem) > MAX_PART else stem


def _safe_part(part: str, path: str) -> str:
    part = _encoded(part)
    return _shortened(part, path) if _size(part) > MAX_PART or _LOOKS_SHORTENED.search(part) else part


def _encoded(part: str) -> str:
    """Injective: a literal `%2E` becomes `%252E`, a literal `%252E` becomes `%25252E`, and so on."""
    if part in _ODD_PARTS:
        return _ODD_PARTS[part]
    part = _LOOKS_NUL.sub("%25", part).replace("\0", "%00")
    return _LOOKS_ODD.sub("%25", part, count=1) if _LOOKS_ODD.match(part) else part


def _report_folder(part: str) -> str:
    """Injective too, and never the name of a report: the photo `a` and the folder `a.json` beside it need both."""
    return f"{part}%" if _LOOKS_REPORT.search(part) else part


def _shortened(part: str, path: str) -> str:
    return f"{_head(part)}~{_digest(path)}"


def _head(part: str) -> str:
    """The first 150 bytes, less the beginning of a character that they would cut."""
    head = os.fsencode(part)[:_HEAD].decode("utf-8", "surrogateescape")
    while not part.startswith(head):
        head = head[:-1]
    return head


def _digest(path: str, digits: int = 16) -> str:
    return sha256(os.fsencode(path)).hexdigest()[:digits]


def _size(text: str) -> int:
    return len(os.fsencode(text))


def _split(path: str) -> tuple[list[str], str]:
    *folders, name = path.split("/")
    return folders, name


def _below(folders: list[str], name: str) -> str:
    return "/".join([*folders, name])
