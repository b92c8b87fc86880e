"""Writes the contact sheet of an inbox, completely or not at all."""

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

_NOT_OPENED: Final = ("processing_crashed", "processing_timed_out")
"""Photos with these reasons are not opened for the sheet: they would crash or time out again."""


class Stopped(Exception):
    """The command was asked to end before the sheet is complete."""


def folders(settings: Settings) -> tuple[Path, Path]:
    """Inbox and outbox. Raises SettingsError if one of them is a bucket."""
    if isinstance(settings.inbox, Path) and isinstance(settings.outbox, Path):
        return settings.inbox, settings.outbox
    raise SettingsError(["--sheet needs an inbox and an outbox that are folders; copy them from the bucket first"])


def sheet_path(path: Path, inbox: Path) -> Path:
    """Where the sheet will be written, with links resolved.

    Raises:
        SettingsError: It must not be there, or cannot be written.
    """
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
        return f"its folder {printable(str(target.parent))} does not exist; make it"
    if target.is_dir():
        return "it is a folder"
    if any(folder.samefile(inbox) for folder in target.parents):
        return f"it is in the inbox {printable(str(inbox))} and would be taken for a photo"
    return None


def write(
    target: Path, settings: Settings, seconds: float, on_photo: Callable[[str], None], stopped: Callable[[], bool]
) -> None:
    """Write the sheet of all photos that are in the inbox, or were taken out by FACECRAFT_AFTER, from their reports.

    Args:
        target: The file. An older sheet there stays unless this one is complete.
        settings: Name the folders, and the limits for thumbnails.
        seconds: How long the run took.
        on_photo: Called with each photo's path.
        stopped: Whether to give up.

    Raises:
        OSError: The sheet cannot be written.
        Stopped: `stopped` returned True.
    """
    inbox, outbox = (FileStore(folder) for folder in folders(settings))
    counts: Counter[str] = Counter()
    portraits = 0
    # The cards are written to a temporary file first: the summary above them is known after the last one.
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", dir=target.parent) as body,
        ThumbnailPool(settings.workers, settings.photo_timeout_seconds) as pool,
    ):
        all_cards = cards_of(inbox.root, outbox, taken=settings.after != "keep")
        wanted = ((each, _wanted(each, inbox, outbox, settings)) for each in all_cards)
        for number, (each, thumbnails) in enumerate(pool.each(wanted), 1):
            if stopped():
                raise Stopped
            on_photo(each.path)
            counts[each.state] += 1
            portraits += len(each.portraits)
            body.write(cards.render_card(number, each, thumbnails))
        body.seek(0)
        summary = Summary(inbox.root.name, counts, portraits, seconds, datetime.now(UTC).astimezone())
        _publish(target, summary, body)


def cards_of(inbox: Path, outbox: FileStore, *, taken: bool = False) -> Iterator[Card]:
    """The cards of all photos in the inbox, by path; with `taken`, of photos that are done and left it too."""
    present = set(_photos(inbox))
    gone = {path for path, report, _ in reports(outbox) if report.get("outcome") == "done"} if taken else set()
    for path in sorted(present | gone, key=os.fsencode):
        try:
            report = read_report(outbox, path).content
        except OSError:  # too large for a report, or not readable
            yield Card(path)
        else:
            moved = None if path in present else moved_to(outbox, path, report)
            yield replace(cards.card_from(path, report), moved_to=moved)


def _photos(inbox: Path) -> Iterable[str]:
    batches = FolderScanner(os.fspath(inbox), lambda _folder: lambda _name, _changed: False).scan()
    return (path for batch in batches for path in batch.paths)


def _wanted(card: Card, inbox: FileStore, outbox: FileStore, settings: Settings) -> Wanted:
    photo = None if card.reason in _NOT_OPENED else card.moved_to or card.path
    portraits = tuple(files[0] for files in card.portraits)
    return Wanted(outbox if card.moved_to else inbox, photo, outbox, portraits, card.background, settings.limits())


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
