"""The commands. Each returns its exit code."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from handler.cli.console import Console
from handler.cli.replay import Replay, Selection
from handler.cli.signals import on_signals
from handler.config.load import SettingsError, load, load_common
from handler.config.settings import CommonSettings, Settings
from handler.http.server import ServerThread, make_app
from handler.models import fetch
from handler.models.select import check as check_models
from handler.service.service import Service
from handler.telemetry import log
from handler.telemetry.terminal import printable, say
from pipeline.errors import ModelError
from sources.stores import aws
from sources.stores.location import store_at

OK: Final = 0
NOT_ALL_DONE: Final = 1
WRONG_USE: Final = 2

_log = logging.getLogger(__name__)


def watch(make: Callable[[Settings], Service] = Service) -> int:
    """Runs the service until SIGTERM or SIGINT, then finishes the current photos. A second signal exits at once."""
    settings = load()
    _prepare(settings, settings.least_level)
    service = make(settings)
    app = make_app(service, service.events(), service.invoke(), service.install_api)
    server = ServerThread(app, settings.host, settings.port)
    server.start()
    stop = threading.Event()
    on_signals(stop.set)
    service.start()
    _log.info("service.started", extra={"inbox": str(settings.inbox), "port": server.port})
    stop.wait()
    _log.info("service.draining", extra={"next": "current photos are finished; a second signal exits at once"})
    service.drain()
    server.stop()
    return OK


def function() -> NoReturn:
    """Handles Lambda invocations until Lambda ends this process."""
    from awslambdaric.__main__ import main  # noqa: PLC0415  # only Lambda needs it

    main([sys.argv[0], "handler.aws.lambda_handler"])
    raise SystemExit(WRONG_USE)


def once(inbox: str | Path | None, outbox: str | Path | None, sheet: Path | None = None) -> int:
    """Processes the photos in the inbox that have no report yet, then writes the contact sheet of all photos there."""
    settings = load(inbox=inbox, outbox=outbox)
    _prepare(settings, "ERROR" if settings.log_level in ("INFO", "WARNING") else settings.log_level)
    if isinstance(settings.inbox, Path) and not settings.inbox.is_dir():
        raise SettingsError([f"{settings.inbox} is not a folder; name one that contains photos, for example ./photos"])
    target = _sheet_path(sheet, settings) if sheet else None
    started = time.monotonic()
    with Console() as console:
        service = Service(settings, once=True, progress=console)
        signals = on_signals(service.source.stop)
        service.start()
        if reason := service.wait_started():
            service.drain()
            console.error(reason)
            return WRONG_USE
        while not service.wait_finished(0.2):
            console.waiting(service.waiting())
        healthy, _ = service.health()
        service.finish()
        unlisted = None if signals else service.source.attached()
        if unlisted:
            console.error(unlisted)
        written = target is None or _write_sheet(target, settings, time.monotonic() - started, console, signals)
    console.summary()
    succeeded = healthy and written and not unlisted and console.all_accepted() and not signals
    return OK if succeeded else NOT_ALL_DONE


def _sheet_path(sheet: Path, settings: Settings) -> Path:
    from handler.web import contact_sheet  # noqa: PLC0415  # it imports the image decoders, which `watch` does not need

    inbox, _ = contact_sheet.folders(settings)
    return contact_sheet.sheet_path(sheet, inbox)


def _write_sheet(target: Path, settings: Settings, seconds: float, console: Console, signals: list[int]) -> bool:
    """Writes the contact sheet.

    Returns:
        Whether it was written; if not, the reason is printed.
    """
    from handler.web import contact_sheet  # noqa: PLC0415  # as above

    try:
        contact_sheet.write(target, settings, seconds, console.showing, lambda: bool(signals))
    except contact_sheet.Stopped:
        console.error(
            f"stopped before the sheet was written; run the same command again to write {printable(str(target))}"
        )
        return False
    except OSError as error:
        console.error(f"the sheet could not be written: {error}; free some space or name another file")
        return False
    say(f"sheet     {printable(str(target))}")
    return True


def check() -> int:
    """Checks settings and models; prints each error, and each model that is replaced or unavailable, with the fix."""
    settings = load_common()
    for line in settings.warnings:
        print(f"note: {line}", file=sys.stderr)
    try:
        warnings = check_models(settings)
    except ModelError as error:
        say(f"error: {error}")
        return NOT_ALL_DONE
    for line in warnings:
        say(f"warning: {line}")
    say(f"ok{', with the warnings above' if warnings else ''}: settings, and models in {settings.models_dir}")
    return OK


def doctor(files: Sequence[str]) -> int:
    """Prints what will happen to each of these files, or why nothing will."""
    from handler.cli.doctor import Doctor  # noqa: PLC0415  # it imports the image decoders, which `watch` does not need

    settings = load()
    if not isinstance(settings.inbox, Path):
        raise SettingsError([f"{settings.inbox} is a bucket: doctor examines files only; see the report of the object"])
    one = Doctor(settings)
    verdicts = [one.examine(file) for file in files]
    for file, verdict in zip(files, verdicts, strict=True):
        say(f"{printable(file)} {printable(verdict.text)}")
    return OK if all(verdict.ok for verdict in verdicts) else NOT_ALL_DONE


def replay(selection: Selection) -> int:
    """Queues processed photos again."""
    settings = _with_folders(load())
    counts = {"replay": 0, "waits": 0, "left": 0}
    try:
        work = Replay(settings)
        for each in work.run(selection):
            counts[each.fate] += 1
            say(f"{each.fate:<9} {printable(each.path)}: {printable(each.why)}")
        services = work.attempts.services()
    except OSError as error:
        print(f"replay: {error}; fix that and run the command again", file=sys.stderr)
        return WRONG_USE
    say(f"{counts['replay']} put back to work, {counts['waits']} waiting for their photos, {counts['left']} left")
    if counts["replay"] and not services:
        say("no service runs on this outbox: start `facecraft watch`, or use `once`")
    return NOT_ALL_DONE if counts["left"] or (selection.name and not any(counts.values())) else OK


def _with_folders(settings: Settings) -> Settings:
    """Raises SettingsError if a folder does not exist: a folder that is not mounted must not look empty."""
    folders = [place for place in (settings.inbox, settings.outbox) if isinstance(place, Path)]
    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        raise SettingsError(
            [f"{folder} does not exist; mount or create it, or name another folder" for folder in missing]
        )
    return settings


def models(action: str, names: Sequence[str]) -> int:
    """Runs `models fetch`, `models verify` or `models list`."""
    settings = load_common()
    run = {"fetch": fetch.run_fetch, "verify": fetch.run_verify, "list": fetch.run_list}[action]
    return run(names, settings.models_dir, settings.model_files())


def _prepare(settings: Settings, level: str) -> None:
    """Sets up logging, logs warnings and creates the outbox. The inbox may be mounted later, so it is not created.

    Raises:
        SettingsError: The outbox cannot be created.
        AwsSettingsError: boto3's own settings are not sufficient for the buckets.
    """
    log.setup(level)
    _warn(settings)
    if any(store_at(place).is_remote for place in (settings.inbox, settings.outbox)):
        aws.client("s3")
    if not isinstance(settings.outbox, Path):
        return
    try:
        settings.outbox.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise SettingsError([f"{settings.outbox} is not a folder; name one for the results"]) from error
    except OSError as error:
        raise SettingsError([f"{settings.outbox} cannot be created ({error.strerror}); name another outbox"]) from error


def _warn(settings: CommonSettings) -> None:
    for line in settings.warnings:
        _log.warning(line)
