"""Reading the settings: FACECRAFT_ variables, once, here and nowhere else, with every fault named before a start."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError

from handler.config.presets import PresetsError
from handler.config.serverless import LambdaSettings
from handler.config.settings import VARIABLES, About, CommonSettings, Settings
from handler.config.sources import SourcesError
from pipeline.recipe import OptionError, nearest, shown

__all__ = [
    "CommonSettings",
    "SettingRow",
    "Settings",
    "SettingsError",
    "documented",
    "load",
    "load_common",
    "load_lambda",
    "settings_table",
]

PREFIX: Final = "FACECRAFT_"

OLDER_NAMES: Final = MappingProxyType({"UPLOAD_DIR": "INBOX", "OUTPUT_DIR": "OUTBOX"})

_NO_API: Final = "the HTTP API that it belonged to is not built"
WITHOUT_EFFECT: Final = MappingProxyType(
    {
        "BATCH_MAX_FILES": _NO_API,
        "CORS_ORIGINS": _NO_API,
        "DEBUG": _NO_API,
    }
)
"""Variables of `djok/facecraft` that are accepted with a warning, and why they change nothing."""

_SECRET: Final = ("api_key", "webhook_token")
"""Fields whose value no message shows."""

_KNOWN: Final = tuple(
    PREFIX + name for name in (*(field.upper() for field in Settings.model_fields), *OLDER_NAMES, *WITHOUT_EFFECT)
)

_KUBERNETES: Final = re.compile(r"FACECRAFT_(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)")
"""What Kubernetes sets in every container beside a Service named `facecraft`; also FACECRAFT_PORT=tcp://..."""

_PROBLEMS: Final = MappingProxyType({"int_parsing": "is not a whole number", "float_parsing": "is not a number"})

_INIT_SECONDS: Final = 8.0

_AnySettings = TypeVar("_AnySettings", bound=CommonSettings)


class SettingsError(Exception):
    """The settings are not right; each of `lines` names a variable, its value, what is wrong and what to write."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        super().__init__("\n".join(["The settings are not right:", *(f"  {line}" for line in lines)]))


class _Given(NamedTuple):
    """A value and the name to call it by in a message."""

    name: str
    value: object


class SettingRow(NamedTuple):
    """One setting for the reader: the variable's name, its default in words, what it means."""

    name: str
    default: str
    meaning: str


def load(environ: Mapping[str, str] | None = None, *, root: Path = Path("/"), **overrides: object) -> Settings:
    """The service's settings from these variables, by default the process's own.

    `overrides` (by field; None counts as not given) come from the command line and are stronger. The image makes its
    folders below `root`. SettingsError names every fault at once.
    """
    return _load(Settings, os.environ if environ is None else environ, overrides, _image_folders(root))


def load_lambda(environ: Mapping[str, str] | None = None) -> LambdaSettings:
    """As `load`, for Lambda."""
    return _load(LambdaSettings, os.environ if environ is None else environ, {})


def in_lambda(environ: Mapping[str, str] | None = None) -> bool:
    """Whether Lambda, or what plays it, waits for this process to ask for calls."""
    return bool((os.environ if environ is None else environ).get("AWS_LAMBDA_RUNTIME_API"))


def _image_folders(root: Path) -> dict[str, str]:
    """Inbox and outbox where nobody names others, by field."""
    return {name: str(root / name) for name in ("inbox", "outbox") if (root / name).is_dir()}


def init_seconds(environ: Mapping[str, str] | None = None) -> float:
    """How long a function's init phase may wait for its models: after 10 s Lambda begins it anew, as part of a call.
    To AWS' emulator it is always part of one, and it tells how long calls may take."""
    given = (os.environ if environ is None else environ).get("AWS_LAMBDA_FUNCTION_TIMEOUT", "")
    return min(_INIT_SECONDS, int(given) / 4) if given.isdecimal() else _INIT_SECONDS


def load_common(environ: Mapping[str, str] | None = None, **overrides: object) -> CommonSettings:
    """As `load`, for commands that need neither inbox nor outbox: both are left unread."""
    return _load(CommonSettings, os.environ if environ is None else environ, overrides)


def _load(
    kind: type[_AnySettings],
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    usual: Mapping[str, str] = MappingProxyType({}),
) -> _AnySettings:
    """`usual` holds what fields are where they are not given."""
    variables = _ours(environ)
    typed = {field: _Given(field, value) for field, value in overrides.items() if value is not None}
    given, faults = _by_field(variables, typed)
    given = {field: _Given(PREFIX + field.upper(), value) for field, value in usual.items()} | given
    wanted = {field: each for field, each in given.items() if field in kind.model_fields or field in typed}
    arguments: dict[str, Any] = {field: each.value for field, each in typed.items()}
    token = VARIABLES.set({field: each.value for field, each in wanted.items() if field not in typed})
    try:
        settings = kind(**arguments)
    except ValidationError as error:
        raise SettingsError(faults + _explained(error, wanted, kind)) from error
    finally:
        VARIABLES.reset(token)
    if faults:
        raise SettingsError(faults)
    settings._warnings = tuple(_without_effect(variables))
    return settings


def _ours(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that are meant for us; one that is empty counts as not set (compose files pass those)."""
    return {
        name: value.strip()
        for name, value in sorted(environ.items())
        if name.upper().startswith(PREFIX) and value.strip() and not _from_kubernetes(name, value)
    }


def _from_kubernetes(name: str, value: str) -> bool:
    return bool(_KUBERNETES.fullmatch(name)) or (name == "FACECRAFT_PORT" and value.startswith(("tcp://", "udp://")))


def _by_field(variables: Mapping[str, str], typed: Mapping[str, _Given]) -> tuple[dict[str, _Given], list[str]]:
    """Each field's value, and what is wrong with the names."""
    given: dict[str, _Given] = {}
    faults = []
    for variable, value in variables.items():
        name = variable.removeprefix(PREFIX)
        field = OLDER_NAMES.get(name, name).lower()
        if variable not in _KNOWN:
            faults.append(_unknown(variable))
        elif field in given and given[field].value != value and field not in typed:
            faults.append(_twice(_Given(variable, value), given[field]))
        elif name not in WITHOUT_EFFECT:
            given.setdefault(field, _Given(variable, value))
    return {**given, **typed}, faults


def _twice(older: _Given, newer: _Given) -> str:
    first, second = (f"{each.name}={shown(each.value)}" for each in (older, newer))
    return f"{first} is the older name of {second}; remove one of the two, or leave it empty"


def _unknown(variable: str) -> str:
    return f"{variable} is not a setting; {nearest(variable, _KNOWN)}"


def _without_effect(variables: Mapping[str, str]) -> list[str]:
    return [
        f"{PREFIX}{name} has no effect: {why}" for name, why in WITHOUT_EFFECT.items() if PREFIX + name in variables
    ]


def _explained(error: ValidationError, given: Mapping[str, _Given], kind: type[CommonSettings]) -> list[str]:
    return [line for fault in error.errors() for line in _fault_lines(dict(fault), given, kind)]


def _fault_lines(fault: dict[str, Any], given: Mapping[str, _Given], kind: type[CommonSettings]) -> list[str]:
    """Pydantic's finding in our words: variable, value, what is wrong, an example."""
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, SourcesError):
        return [str(cause)]
    if not fault["loc"]:
        return [f"FACECRAFT_INBOX and FACECRAFT_OUTBOX {cause}"]
    field = str(fault["loc"][0])
    name, value = given.get(field, _Given(PREFIX + field.upper(), None))
    example = f"; for example {name}={_about(field, kind).example}" if field in kind.model_fields else ""
    if fault["type"] == "missing":
        return [f"{name} is required{example}, or give both folders on the command line"]
    if isinstance(cause, PresetsError):
        return [f"{name}: {line}" for line in cause.lines]
    if isinstance(cause, OptionError):
        return [f"{name}: {cause.message}"]
    problem = cause or _PROBLEMS.get(fault["type"]) or fault["msg"].replace("Input should be", "should be")
    given_value = "its value" if field in _SECRET else shown(value)
    return [f"{name}: {given_value} {problem}{example}"]


def _about(field: str, kind: type[CommonSettings] = Settings) -> About:
    return next(each for each in kind.model_fields[field].metadata if isinstance(each, About))


def documented() -> list[SettingRow]:
    """Every variable that is accepted, in the order of a reader's interest."""
    folders = [name for name in Settings.model_fields if name not in CommonSettings.model_fields]
    rows = [_row(name) for name in (*folders, *CommonSettings.model_fields)]
    older = [SettingRow(PREFIX + name, "", f"Older name of `{PREFIX}{new}`") for name, new in OLDER_NAMES.items()]
    idle = [
        SettingRow(PREFIX + name, "", f"Accepted with a warning, without effect: {why}")
        for name, why in WITHOUT_EFFECT.items()
    ]
    return rows + older + idle


def _row(field: str) -> SettingRow:
    about = _about(field)
    default = Settings.model_fields[field].default
    words = str(default).lower() if isinstance(default, bool) else str(default)
    return SettingRow(PREFIX + field.upper(), about.default or words, about.meaning)


def settings_table() -> str:
    """The README's table of settings, in Markdown."""
    lines = ["| Variable | Default | Meaning |", "|---|---|---|"]
    lines += [f"| `{row.name}` | {row.default} | {row.meaning} |" for row in documented()]
    return "\n".join(lines) + "\n"
