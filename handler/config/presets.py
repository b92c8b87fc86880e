"""Presets: named sets of options, built-in ones and those of the file that FACECRAFT_PRESETS names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from handler.config.options import Presets, parse_all, read_toml
from pipeline.recipe import Value

_BUILT_IN: Final = Path(__file__).with_name("presets.toml")


class PresetsError(ValueError):
    """A presets file is not right; each of `lines` names the file, the preset, the option and the fix."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        super().__init__("\n".join(lines))


def built_in() -> Presets:
    return _read(_BUILT_IN)


def load(path: Path) -> Presets:
    """The built-in presets and those of the file; one with a built-in's name replaces it whole."""
    return {**built_in(), **_read(path)}


def _read(path: Path) -> Presets:
    try:
        tables = read_toml(path.read_bytes())
    except OSError as error:
        raise PresetsError([f"{path} cannot be read ({error.strerror}); give the path of a TOML file"]) from error
    except ValueError as error:
        raise PresetsError([f"{path} {error}"]) from error
    presets: dict[str, Mapping[str, Value]] = {}
    faults = []
    for name, table in tables.items():
        values, wrong = _preset(name, table, presets)
        faults += [f"{path}: {fault}" for fault in wrong]
        presets[name.lower()] = values
    if faults:
        raise PresetsError(faults)
    return presets


def _preset(name: str, table: object, earlier: Presets) -> tuple[Mapping[str, Value], list[str]]:
    if not isinstance(table, Mapping):
        return {}, [f"{name} stands outside of a preset; write it below a line such as [linkedin]"]
    if not name or "/" in name or name in (".", ".."):
        return {}, [f"[{name!r}] cannot be a folder's name; choose one such as [linkedin]"]
    if name.lower() in earlier:
        return {}, [f"[{name}] is there twice, capitals aside; give one of them another name"]
    values, faults = parse_all(table)
    return values, [f"[{name}] {fault}" for fault in faults]
