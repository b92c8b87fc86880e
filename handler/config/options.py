"""The options of one photo and where they come from, from weakest to strongest: defaults, settings, the preset of its
folder, its object's metadata, its sidecar or its call."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pipeline.errors import PhotoRejected
from pipeline.recipe import OPTIONS, OptionError, Recipe, Value, parse_option

Presets = Mapping[str, Mapping[str, Value]]
"""Options by the preset's name, in lower case."""

SIDECAR_BYTES: Final = 64 * 1024
"""A longer sidecar is rejected: eleven options need far less."""

_SHOWN_FAULTS: Final = 3
_MAX_OPTIONS: Final = 1000
_MAX_DOTS: Final = 200
"""In one line. `tomllib` keeps each prefix of a dotted key: 64 KB of `a.a.a...` would take 5 GB and 20 s."""

_BUILT_IN_PRESETS: Final = Path(__file__).with_name("presets.toml")


class PresetsError(ValueError):
    """A presets file is wrong; each of `lines` names the file, the preset, the option and the fix."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class ResolvedOptions:
    """A recipe, and where each option comes from: `default`, `settings`, `preset:linkedin`, `metadata`, `sidecar` or
    `invocation`."""

    recipe: Recipe
    origins: Mapping[str, str]


DEFAULTS: Final = ResolvedOptions(Recipe(), dict.fromkeys(OPTIONS, "default"))


def layered(base: ResolvedOptions, values: Mapping[str, Value], origin: str) -> ResolvedOptions:
    """`base` with some options replaced."""
    recipe = replace(base.recipe, **values)  # type: ignore[arg-type]  # Recipe checks each value itself
    return ResolvedOptions(recipe, {**base.origins, **dict.fromkeys(values, origin)})


def resolve(
    base: ResolvedOptions,
    path: str,
    presets: Presets,
    sidecar: bytes | None = None,
    metadata: Mapping[str, str] | None = None,
) -> ResolvedOptions:
    """The options of one photo.

    Args:
        base: Defaults and settings.
        path: The photo's path below the inbox, with `/` between its parts.
        presets: The presets that a folder's name can choose.
        sidecar: The content of the photo's sidecar, if it has one.
        metadata: The options in the metadata of the photo's object, without their prefix.

    Raises:
        PhotoRejected: Metadata or sidecar are wrong.
    """
    preset = preset_of(path, presets)
    if preset is not None:
        base = layered(base, presets[preset], f"preset:{preset}")
    if metadata:
        base = layered(base, _parse_or_reject(metadata, "the object's metadata"), "metadata")
    return base if sidecar is None else layered(base, _parse_sidecar(sidecar), "sidecar")


def invoked(base: ResolvedOptions, options: Mapping[str, object]) -> ResolvedOptions:
    """`base` with the options of a call. Raises PhotoRejected if they are wrong."""
    return layered(base, _parse_or_reject(options, "the invocation"), "invocation") if options else base


def recipe_facts(resolved: ResolvedOptions) -> dict[str, Any]:
    """The report's `recipe`: digest, every option, and `from`, where each one comes from."""
    recipe = resolved.recipe
    return {"digest": recipe.digest, **recipe.as_dict(), "from": dict(resolved.origins)}


def preset_of(path: str, presets: Presets) -> str | None:
    """The preset with the name of a folder in `path`, in any case; the deepest such folder wins."""
    folders = path.split("/")[:-1]
    return next((name for folder in reversed(folders) if (name := folder.lower()) in presets), None)


def built_in_presets() -> Presets:
    return _read_presets(_BUILT_IN_PRESETS)


def load_presets(path: Path) -> Presets:
    """The built-in presets and those of the file; one with a built-in name replaces that preset as a whole.

    Raises:
        PresetsError: The file cannot be read, or is wrong.
    """
    return {**built_in_presets(), **_read_presets(path)}


def _read_presets(path: Path) -> Presets:
    try:
        tables = _parse_toml(path.read_bytes())
    except OSError as error:
        raise PresetsError([f"{path} cannot be read ({error.strerror}); give the path of a TOML file"]) from error
    except ValueError as error:
        raise PresetsError([f"{path} {error}"]) from error
    presets: dict[str, Mapping[str, Value]] = {}
    faults = []
    for name, table in tables.items():
        values, wrong = _parse_preset(name, table, presets)
        faults += [f"{path}: {fault}" for fault in wrong]
        presets[name.lower()] = values
    if faults:
        raise PresetsError(faults)
    return presets


def _parse_preset(name: str, table: object, earlier: Presets) -> tuple[Mapping[str, Value], list[str]]:
    if not isinstance(table, Mapping):
        return {}, [f"{name} is outside of a preset; write it below a line such as [linkedin]"]
    if not name or "/" in name or name in (".", ".."):
        return {}, [f"[{name!r}] cannot be a folder's name; choose one such as [linkedin]"]
    if name.lower() in earlier:
        return {}, [f"[{name}] is there twice, in upper or lower case; give one of them another name"]
    values, faults = _parse_options(table)
    return values, [f"[{name}] {fault}" for fault in faults]


def _parse_sidecar(sidecar: bytes) -> dict[str, Value]:
    if len(sidecar) > SIDECAR_BYTES:
        raise _rejected("the sidecar", f"has {len(sidecar):,} bytes, the limit is {SIDECAR_BYTES:,}")
    try:
        table = _parse_toml(sidecar)
    except ValueError as error:
        raise _rejected("the sidecar", str(error)) from error
    return _parse_or_reject(table, "the sidecar")


def _parse_toml(data: bytes) -> dict[str, Any]:
    """Raises a ValueError whose message continues a sentence that begins with the file's name."""
    try:
        text = data.decode("utf-8-sig")  # Windows' editor begins files with a byte order mark
        if any(line.count(".") > _MAX_DOTS for line in text.splitlines() if not line.lstrip().startswith("#")):
            raise ValueError(f"has more than {_MAX_DOTS} dots in one line")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8: save it with that encoding") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError, and Python's own refusal of numbers with thousands of digits
        raise ValueError(f"is not TOML: {error}; write lines such as width = 800") from error


def _parse_or_reject(table: Mapping[str, object], where: str) -> dict[str, Value]:
    if len(table) > _MAX_OPTIONS:
        raise _rejected(where, f"has {len(table):,} options; there are only {len(OPTIONS)}")
    values, faults = _parse_options(table)
    if faults:
        more = len(faults) - _SHOWN_FAULTS
        shown = "; ".join(str(fault) for fault in faults[:_SHOWN_FAULTS])
        raise _rejected(where, f"says {shown}{f'; and {more} more' if more > 0 else ''}")
    return values


def _parse_options(values: Mapping[str, object]) -> tuple[dict[str, Value], list[OptionError]]:
    """The valid options, and the errors of the others."""
    valid: dict[str, Value] = {}
    faults = []
    for name, value in values.items():
        try:
            valid[name] = parse_option(name, value)
        except OptionError as error:
            faults.append(error)
    return valid, faults


def _rejected(where: str, what: str) -> PhotoRejected:
    return PhotoRejected("invalid_options", f"{where} {what}")
