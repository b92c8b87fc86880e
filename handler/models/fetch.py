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
class Fetched:
    """What became of one model. `detail` is where it came from, or each origin's error."""

    card: ModelCard
    path: Path
    state: Literal["present", "fetched", "failed"]
    detail: str = ""

    def __str__(self) -> str:
        words = {"present": "already there, verified", "fetched": f"verified, from {self.detail}"}
        return f"{self.card.name}: {words.get(self.state, f'could not be had: {self.detail}')}"


def fetch(
    cards: Sequence[ModelCard], models_dir: Path, reports: Reporter, overrides: Mapping[str, Path] = NO_OVERRIDES
) -> list[Fetched]:
    """Bring each model that is missing or wrong from the first origin that has it; every byte is verified.

    OSError where the models folder cannot be written.
    """
    models_dir.mkdir(parents=True, exist_ok=True)
    with _alone(models_dir, reports), tempfile.TemporaryDirectory(prefix=".fetch-", dir=models_dir) as folder:
        origins = (Server(reports), Packages(Path(folder), reports))
        return [
            obtain(each, locate(models_dir, each, overrides), origins, reports, keep=each.name in overrides)
            for each in cards
        ]


def obtain(
    wanted: ModelCard, path: Path, origins: Sequence[Origin], reports: Reporter, *, keep: bool = False
) -> Fetched:
    """The model at `path`, verified. With `keep` a wrong file that is there already is left as it is."""
    try:
        check(wanted, path)
    except ModelError as error:
        if keep and path.exists():
            return Fetched(wanted, path, "failed", f"{error} It lies where a setting names it, so it was left alone.")
    else:
        return Fetched(wanted, path, "present")
    path.parent.mkdir(parents=True, exist_ok=True)
    errors = []
    for origin in origins:
        if name := origin.offers(wanted):
            try:
                _bring(wanted, path, origin)
            except (SourceError, ModelError) as error:
                errors.append(f"{name}: {error}")
                reports.say(f"{wanted.name}: {errors[-1]}")
            else:
                return Fetched(wanted, path, "fetched", name)
    return Fetched(wanted, path, "failed", "; ".join(errors))


def _bring(wanted: ModelCard, path: Path, origin: Origin) -> None:
    part = path.with_name(f"{path.name}.part")
    resumed = part.exists()
    try:
        _bring_once(wanted, part, origin)
    except ModelError:
        if not resumed:
            raise
        # What an earlier run left may have been the wrong beginning; it is gone now.
        _bring_once(wanted, part, origin)
    part.replace(path)


def _bring_once(wanted: ModelCard, part: Path, origin: Origin) -> None:
    origin.bring(wanted, part)
    try:
        check(wanted, part)
    except ModelError:
        part.unlink()
        raise
    with part.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _alone(models_dir: Path, reports: Reporter) -> Iterator[None]:
    """Two fetches into one folder would write the same `.part`: the second waits, and finds all there."""
    handle = os.open(models_dir, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reports.say(f"{models_dir}: another fetch is at work here; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def run_fetch(names: Sequence[str], models_dir: Path, overrides: Mapping[str, Path] = NO_OVERRIDES) -> int:
    """Fetch the named models, or all that the service needs; 0, or 1 where one that matters could not be had."""
    reports = reporter()
    try:
        results = fetch([card(name) for name in names or _NEEDED], models_dir, reports, overrides)
        if not names:
            results += fetch([card(name) for name in _after(results)], models_dir, reports, overrides)
    except OSError as error:
        reports.say(f"error: {error.filename or models_dir} cannot be written: {error.strerror}.")
        return 1
    for result in results:
        say(str(result))
    code, lines = judge(results, strict=bool(names))
    for line in lines:
        reports.say(line)
    return code


def judge(results: Sequence[Fetched], *, strict: bool) -> tuple[int, list[str]]:
    """The exit code, and a line for each failure with what follows from it; `strict` where each model was named."""
    troubles = [_trouble(result, results, strict=strict) for result in results if result.state == "failed"]
    return int(any(serious for serious, _ in troubles)), [line for _, line in troubles]


def _after(results: Sequence[Fetched]) -> list[str]:
    """What else a service needs: the cut-out's substitute, if it must be, and the largest model last."""
    missing = {result.card.name for result in results if result.state == "failed"}
    return [*([_FALLBACK] if _CUTOUT in missing else []), "codeformer"]


def _trouble(failed: Fetched, results: Sequence[Fetched], *, strict: bool) -> tuple[bool, str]:
    """Whether this failure is the command's failure, and the line that says what follows from it."""
    name = failed.card.name
    got = {result.card.name for result in results if result.state != "failed"}
    if strict:
        return True, f"error: {name} is not there."
    if name in _OPTIONAL:
        return False, f"warning: without {name} {_OPTIONAL[name]}. Run `facecraft models fetch` again later."
    if name == _CUTOUT and _FALLBACK in got:
        return False, f"warning: without {name} the cut-out uses {_FALLBACK}, which knows people less well."
    return True, f"error: without {name} ({failed.card.purpose}) the service cannot start: see the errors above."


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One line of `models list`. `problem` is empty where the file is the published one."""

    card: ModelCard
    path: Path
    state: Literal["ok", "missing", "wrong"]
    problem: str = ""


def inspect(
    cards: Sequence[ModelCard], models_dir: Path, overrides: Mapping[str, Path] = NO_OVERRIDES
) -> list[ModelRow]:
    """The state of each model's file; every byte is read."""
    return [_row(each, locate(models_dir, each, overrides)) for each in cards]


def _row(wanted: ModelCard, path: Path) -> ModelRow:
    try:
        check(wanted, path)
    except ModelError as error:
        return ModelRow(wanted, path, "wrong" if path.exists() else "missing", str(error))
    return ModelRow(wanted, path, "ok")


def table(rows: Sequence[ModelRow]) -> str:
    """The rows as text, a line each, under a head."""
    lines = [("NAME", "FILE", "MB", "STATE", "LICENCE", "PURPOSE")]
    for row in rows:
        size = f"{row.card.bytes / 1e6:.1f}"
        lines.append((row.card.name, str(row.path), size, row.state, row.card.licence, row.card.purpose))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def run_list(names: Sequence[str], models_dir: Path, overrides: Mapping[str, Path] = NO_OVERRIDES) -> int:
    """Print the named models, or all."""
    cards = [card(name) for name in names] or REGISTRY
    say(table(inspect(cards, models_dir, overrides)))
    return 0


def run_verify(names: Sequence[str], models_dir: Path, overrides: Mapping[str, Path] = NO_OVERRIDES) -> int:
    """Read every byte of the named models, or of all; 1 where a named or needed one is missing, or any is wrong."""
    rows = inspect([card(name) for name in names] or REGISTRY, models_dir, overrides)
    have = {row.card.name for row in rows if row.state == "ok"}
    bad = [row for row in rows if row.state == "wrong" or (row.state == "missing" and _must(row, names, have))]
    for row in rows:
        say(f"{row.card.name}: {row.state}")
    for row in bad:
        sys.stderr.write(f"error: {row.problem}\n")
    return int(bool(bad))


def _must(row: ModelRow, names: Sequence[str], have: set[str]) -> bool:
    """Whether the service, or whoever named it, cannot do without this missing model."""
    name = row.card.name
    optional = name in _OPTIONAL or name not in _NEEDED or (name == _CUTOUT and _FALLBACK in have)
    return name in names or not optional
