"""Writes the contact sheet of an inbox: row by row, whole or not at all."""

import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from handler.config.load import SettingsError
from handler.config.settings import Settings
from handler.outbox.originals import moved_to
from handler.outbox.reports import read_report, reports
from handler.telemetry.terminal import printable
from handler.web import cards
from handler.web.cards import Card, Summary
from handler.web.thumbnails import ThumbnailPool, Wanted
from sources.folder.scanner import FolderScanner
from sources.stores.local import FileStore

_UNSHOWABLE: Final = ("processing_crashed", "processing_timed_out")
"""Photos of these reasons are not opened again for the sheet's sake."""


class Stopped(Exception):
    """Someone wants the command to end before the sheet is whole."""


def folders(settings: Settings) -> tuple[Path, Path]:
    """Inbox and outbox; SettingsError where one of them is a bucket."""
    if isinstance(settings.inbox, Path) and isinstance(settings.outbox, Path):
        return settings.inbox, settings.outbox
    raise SettingsError(["--sheet needs an inbox and an outbox that are folders; copy them from the bucket first"])


def place(path: Path, inbox: Path) -> Path:
    """Where the sheet will lie, links followed. SettingsError where it must not lie, or cannot be written."""
    try:
        target = path.expanduser().resolve()
        fault = _fault(target, inbox)
        if fault is None:
            with tempfile.TemporaryFile(dir=target.parent):
                return target
    except (OSError, RuntimeError, ValueError) as error:
        fault = f"it cannot be written there ({error})"
    shown = printable(str(path))
    raise SettingsError([f"--sheet {shown}: {fault}; name another file, for example --sheet ./sheet.html"])


def _fault(target: Path, inbox: Path) -> str | None:
    if target.suffix.lower() not in (".html", ".htm"):
        return "its name does not end in .html"
    if not target.parent.is_dir():
        return f"its folder {printable(str(target.parent))} is not there; make it"
    if target.is_dir():
        return "it is a folder"
    if any(folder.samefile(inbox) for folder in target.parents):
        return f"it lies in the inbox {printable(str(inbox))} and would be taken for a photo"
    return None


def write(
    target: Path, settings: Settings, seconds: float, told: Callable[[str], None], stopped: Callable[[], bool]
) -> None:
    """The sheet of all photos that lie in the inbox or were taken out by FACECRAFT_AFTER, from their reports.

    `seconds` is what the run took.

    `told` hears each photo's path. OSError where the sheet cannot be written, Stopped once `stopped` says so; then
    what stood there before still stands.
    """
    inbox, outbox = (FileStore(folder) for folder in folders(settings))
    counts: Counter[str] = Counter()
    portraits = 0
    # the cards first, aside: the summary above them is known when the last one is made
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", dir=target.parent) as body,
        ThumbnailPool(settings.workers, settings.photo_timeout_seconds) as pool,
    ):
        shown = cards_of(inbox.root, outbox, taken=settings.after != "keep")
        wanted = ((each, _wanted(each, inbox, outbox, settings)) for each in shown)
        for number, (each, pictures) in enumerate(pool.each(wanted), 1):
            if stopped():
                raise Stopped
            told(each.path)
            counts[each.state] += 1
            portraits += len(each.portraits)
            body.write(cards.render_card(number, each, pictures))
        body.seek(0)
        summary = Summary(inbox.root.name, counts, portraits, seconds, datetime.now(UTC).astimezone())
        _publish(target, summary, body)


def cards_of(inbox: Path, outbox: FileStore, *, taken: bool = False) -> Iterator[Card]:
    """All photos in the inbox, by path, as their reports tell them; with `taken` also the done ones that left it."""
    there = set(_photos(inbox))
    left = {path for path, report, _ in reports(outbox) if report.get("outcome") == "done"} if taken else set()
    for path in sorted(there | left, key=os.fsencode):
        try:
            report = read_report(outbox, path).content
        except OSError:  # it is too large to be a report, or may not be read
            yield Card(path)
        else:
            moved = None if path in there else moved_to(outbox, path, report)
            yield replace(cards.card_from(path, report), moved_to=moved)


def _photos(inbox: Path) -> Iterable[str]:
    batches = FolderScanner(os.fspath(inbox), lambda _folder: lambda _name, _changed: False).scan()
    return (path for batch in batches for path in batch.paths)


def _wanted(shown: Card, inbox: FileStore, outbox: FileStore, settings: Settings) -> Wanted:
    photo = None if shown.reason in _UNSHOWABLE else shown.moved_to or shown.path
    portraits = tuple(files[0] for files in shown.portraits)
    return Wanted(outbox if shown.moved_to else inbox, photo, outbox, portraits, shown.background, settings.limits())


def _publish(target: Path, summary: Summary, body: IO[str]) -> None:
    beside = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with beside.open("x", encoding="utf-8") as page:
            page.writelines(cards.render_page(summary, body))
            page.flush()
            os.fsync(page.fileno())
        beside.replace(target)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
