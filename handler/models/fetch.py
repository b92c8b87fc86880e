"""`models fetch`, `models verify` and `models list`: results on stdout, progress and errors on stderr."""

import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from handler.models.download import Origin, Packages, Server, SourceError
from handler.telemetry.progress import Reporter, reporter
from handler.telemetry.terminal import say
from pipeline.errors import ModelError
from pipeline.models.catalog import NO_OVERRIDES, REGISTRY, ModelCard, card, check, locate

_NEEDED: Final = ("landmarks_68", "landmarks_5", "mmod", "identity", "u2net_human_seg")
_CUTOUT: Final = "u2net_human_seg"
_FALLBACK: Final = "u2net"
_OPTIONAL: Final = {
    "codeformer": "face restoration is unavailable",
    "identity": "a restored face is not compared with the photo's",
}


@dataclass(frozen=True, slots=True)
class FetchResult:
    """The result of fetching one model. `detail` says where it came from, or each origin's error."""

    card: ModelCard
    path: Path
    state: Literal["present", "fetched", "failed"]
    detail: str = ""

    def __str__(self) -> str:
        words = {"present": "already there, verified", "fetched": f"verified, from {self.detail}"}
        return f"{self.card.name}: {words.get(self.state, f'could not be fetched: {self.detail}')}"


def fetch(
    cards: Sequence[ModelCard], models_dir: Path, reports: Reporter, overrides: Mapping[str, Path] = NO_OVERRIDES
) -> list[FetchResult]:
    """Fetch each model that is missing or wrong from the first origin that has it, and verify every byte.

    Args:
        cards: The models.
        models_dir: The folder for the models; made if need be.
        reports: Shows the progress.
        overrides: Files that settings name, by model; a wrong one of these is never replaced.

    Raises:
        OSError: The folder cannot be written.
    """
    models_dir.mkdir(parents=True, exist_ok=True)
    with _locked(models_dir, reports), tempfile.TemporaryDirectory(prefix=".fetch-", dir=models_dir) as folder:
        origins = (Server(reports), Packages(Path(folder), reports))
        return [
            obtain(each, locate(models_dir, each, overrides), origins, reports, keep=each.name in overrides)
            for each in cards
        ]


def obtain(
    wanted: ModelCard, path: Path, origins: Sequence[Origin], reports: Reporter, *, keep: bool = False
) -> FetchResult:
    """Fetch one model to `path` unless it is there already. With `keep`, a wrong file there is left as it is."""
    try:
        check(wanted, path)
    except ModelError as error:
        if keep and path.exists():
            return FetchResult(wanted, path, "failed", f"{error} A setting names this file, so it was not replaced.")
    else:
        return FetchResult(wanted, path, "present")
    path.parent.mkdir(parents=True, exist_ok=True)
    errors = []
    for origin in origins:
        if name := origin.offers(wanted):
            try:
                _fetch_from(wanted, path, origin)
            except (SourceError, ModelError) as error:
                errors.append(f"{name}: {error}")
                reports.say(f"{wanted.name}: {errors[-1]}")
            else:
                return FetchResult(wanted, path, "fetched", name)
    return FetchResult(wanted, path, "failed", "; ".join(errors))


def _fetch_from(wanted: ModelCard, path: Path, origin: Origin) -> None:
    part = path.with_name(f"{path.name}.part")
    resumed = part.exists()
    try:
        _fetch_once(wanted, part, origin)
    except ModelError:
        if not resumed:
            raise
        # The part that an earlier run left may have been wrong; it is deleted now.
        _fetch_once(wanted, part, origin)
    part.replace(path)


def _fetch_once(wanted: ModelCard, part: Path, origin: Origin) -> None:
    origin.fetch(wanted, part)
    try:
        check(wanted, part)
    except ModelError:
        part.unlink()
        raise
    with part.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _locked(models_dir: Path, reports: Reporter) -> Iterator[None]:
    """Two fetches into one folder would write the same `.part`: the second waits, and finds all models there."""
    handle = os.open(models_dir, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reports.say(f"{models_dir}: another fetch is running here; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def run_fetch(names: Sequence[str], models_dir: Path, overrides: Mapping[str, Path] = NO_OVERRIDES) -> int:
    """`models fetch`: the named models, or all that the service needs.

    Returns:
        The exit code: 1 if a model that matters could not be fetched.
    """
    reports = reporter()
    try:
        results = fetch([card(name) for name in names or _NEEDED], models_dir, reports, overrides)
        if not names:
            results += fetch([card(name) for name in _remaining(results)], models_dir, reports, overrides)
    except OSError as error:
        reports.say(f"error: {error.filename or models_dir} cannot be written: {error.strerror}.")
        return 1
    for result in results:
        say(str(result))
    code, lines = summarize(results, strict=bool(names))
    for line in lines:
        reports.say(line)
    return code


def summarize(results: Sequence[FetchResult], *, strict: bool) -> tuple[int, list[str]]:
    """The exit code, and a line for each failure with its consequence. `strict`: every failure is an error."""
    failures = [_consequence(result, results, strict=strict) for result in results if result.state == "failed"]
    return int(any(is_error for is_error, _ in failures)), [line for _, line in failures]


def _remaining(results: Sequence[FetchResult]) -> list[str]:
    """What else a service needs: the fallback for the cut-out if that failed, and the largest model last."""
    missing = {result.card.name for result in results if result.state == "failed"}
    return [*([_FALLBACK] if _CUTOUT in missing else []), "codeformer"]


def _consequence(failed: FetchResult, results: Sequence[FetchResult], *, strict: bool) -> tuple[bool, str]:
    """Whether the failure makes the command fail, and a line that says what follows from it."""
    name = failed.card.name
    fetched = {result.card.name for result in results if result.state != "failed"}
    if strict:
        return True, f"error: {name} is not there."
    if name in _OPTIONAL:
        return False, f"warning: without {name} {_OPTIONAL[name]}. Run `facecraft models fetch` again later."
    if name == _CUTOUT and _FALLBACK in fetched:
        return False, f"warning: without {name} the cut-out uses {_FALLBACK}, which is less good with people."
    return True, f"error: without {name} ({failed.card.purpose}) the service cannot start: see the errors above."


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The state of one model's file. `problem` says what is wrong with it; empty if nothing is."""

    card: ModelCard
    path: Path
    state: Literal["ok", "missing", "wrong"]
    problem: str = ""


def inspect(
    cards: Sequence[ModelCard], models_dir: Path, overrides: Mapping[str, Path] = NO_OVERRIDES
) -> list[ModelStatus]:
    """The state of each model's file; every byte is read."""
    return [_status(each, locate(models_dir, each, overrides)) for each in cards]


def _status(wanted: ModelCard, path: Path) -> ModelStatus:
    try:
        check(wanted, path)
    except ModelError as error:
        return ModelStatus(wanted, path, "wrong" if path.exists() else "missing", str(error))
    return ModelStatus(wanted, path, "ok")


def table(models: Sequence[ModelStatus]) -> str:
    """A text table with a line for each model under a header."""
    lines = [("NAME", "FILE", "MB", "STATE", "LICENCE", "PURPOSE")]
    for each in models:
        size = f"{each.card.bytes / 1e6:.1f}"
        lines.append((each.card.name, str(each.path), size, each.state, each.card.licence, each.card.purpose))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def run_list(names: Sequence[str], models_dir: Path, overrides: Mapping[str, Path] = NO_OVERRIDES) -> int:
    """`models list`: the named models, or all. Returns the exit code, 0."""
    cards = [card(name) for name in names] or REGISTRY
    say(table(inspect(cards, models_dir, overrides)))
    return 0


def run_verify(names: Sequence[str], models_dir: Path, overrides: Mapping[str, Path] = NO_OVERRIDES) -> int:
    """`models verify`: read every byte of the named models, or of all.

    Returns:
        The exit code: 1 if a model is wrong, or one that is named or needed is missing.
    """
    models = inspect([card(name) for name in names] or REGISTRY, models_dir, overrides)
    present = {each.card.name for each in models if each.state == "ok"}
    for each in models:
        say(f"{each.card.name}: {each.state}")
    problems = [
        each.problem
        for each in models
        if each.state == "wrong" or (each.state == "missing" and _is_required(each.card.name, names, present))
    ]
    for problem in problems:
        sys.stderr.write(f"error: {problem}\n")
    return int(bool(problems))


def _is_required(name: str, names: Sequence[str], present: set[str]) -> bool:
    """Whether a missing model was named, or the service cannot run without it."""
    optional = name in _OPTIONAL or name not in _NEEDED or (name == _CUTOUT and _FALLBACK in present)
    return name in names or not optional
