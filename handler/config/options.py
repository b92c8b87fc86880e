"""The options of one photo, from weakest to strongest: defaults, settings, the preset of its folder, its object's
metadata, its sidecar."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeline.errors import PhotoRejected
from pipeline.recipe import OPTIONS, OptionError, Recipe, Value, parse_option

Presets = Mapping[str, Mapping[str, Value]]
"""Options by the preset's name, in lower case."""

SIDECAR_BYTES: Final = 64 * 1024
"""A longer sidecar is refused: eleven options are shorter."""

_SHOWN_FAULTS: Final = 3


@dataclass(frozen=True, slots=True)
class ResolvedOptions:
    """A recipe, and for each option where it came from: `default`, `settings`, `preset:linkedin`, `metadata`,
    `sidecar` or `invocation`."""

    recipe: Recipe
    origins: Mapping[str, str]


DEFAULTS: Final = ResolvedOptions(Recipe(), dict.fromkeys(OPTIONS, "default"))


def layered(base: ResolvedOptions, values: Mapping[str, Value], origin: str) -> ResolvedOptions:
    """`base` with some options replaced."""
    recipe = replace(base.recipe, **values)  # type: ignore[arg-type]  # Recipe checks each value itself
    return ResolvedOptions(recipe, {**base.origins, **dict.fromkeys(values, origin)})


def parse_all(values: Mapping[str, object]) -> tuple[dict[str, Value], list[OptionError]]:
    """The right ones of these options, and what is wrong with the others."""
    right: dict[str, Value] = {}
    faults = []
    for name, value in values.items():
        try:
            right[name] = parse_option(name, value)
        except OptionError as error:
            faults.append(error)
    return right, faults


def read_toml(data: bytes) -> dict[str, Any]:
    """The table in these bytes; ValueError says in a few words why there is none."""
    try:
        return tomllib.loads(data.decode("utf-8-sig"))  # Windows' editor begins files with a byte order mark
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8: save it with that encoding") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError, and Python's own refusal of numbers with thousands of digits
        raise ValueError(f"is not TOML: {error}; write lines such as width = 800") from error


def preset_of(path: str, presets: Presets) -> str | None:
    """The preset named by the deepest folder of `path` (`/` between its parts) that bears one's name, in any case."""
    folders = path.split("/")[:-1]
    return next((name for folder in reversed(folders) if (name := folder.lower()) in presets), None)


def resolve(
    base: ResolvedOptions,
    path: str,
    presets: Presets,
    sidecar: bytes | None = None,
    metadata: Mapping[str, str] | None = None,
) -> ResolvedOptions:
    """The options of the photo at `path` below the inbox; `metadata` are those that its object carries.

    PhotoRejected where its metadata or its sidecar are not right.
    """
    preset = preset_of(path, presets)
    if preset is not None:
        base = layered(base, presets[preset], f"preset:{preset}")
    if metadata:
        base = layered(base, _right(metadata, "the object's metadata"), "metadata")
    return base if sidecar is None else layered(base, _from_sidecar(sidecar), "sidecar")


def invoked(base: ResolvedOptions, options: Mapping[str, object]) -> ResolvedOptions:
    """`base` with the options of a photo that came with its call. PhotoRejected where they are not right."""
    return layered(base, _right(options, "the invocation"), "invocation") if options else base


def recipe_facts(resolved: ResolvedOptions) -> dict[str, Any]:
    """The report's `recipe`: digest, every option, and `from`, where each one came from."""
    recipe = resolved.recipe
    return {"digest": recipe.digest, **recipe.as_dict(), "from": dict(resolved.origins)}


def _from_sidecar(sidecar: bytes) -> dict[str, Value]:
    if len(sidecar) > SIDECAR_BYTES:
        raise _refused("the sidecar", f"has {len(sidecar):,} bytes, the limit is {SIDECAR_BYTES:,}")
    try:
        table = read_toml(sidecar)
    except ValueError as error:
        raise _refused("the sidecar", str(error)) from error
    return _right(table, "the sidecar")


def _right(table: Mapping[str, object], where: str) -> dict[str, Value]:
    values, faults = parse_all(table)
    if faults:
        more = len(faults) - _SHOWN_FAULTS
        shown = "; ".join(str(fault) for fault in faults[:_SHOWN_FAULTS])
        raise _refused(where, f"says {shown}{f'; and {more} more' if more > 0 else ''}")
    return values


def _refused(where: str, what: str) -> PhotoRejected:
    return PhotoRejected("invalid_options", f"{where} {what}")
