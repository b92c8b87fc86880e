"""Reads the settings: FACECRAFT_ variables, here and nowhere else. Every fault is reported before anything starts."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from handler.config.options import PresetsError
from handler.config.settings import PREFIX, About, CommonSettings, LambdaSettings, Settings, SourcesError
from pipeline.recipe import OptionError, nearest, shown

OLDER_NAMES: Final = MappingProxyType({"UPLOAD_DIR": "INBOX", "OUTPUT_DIR": "OUTBOX"})

_SECRETS: Final = ("api_key", "webhook_token")
"""Fields whose value no message shows."""

_VARIABLES: Final = tuple(PREFIX + name for name in (*(field.upper() for field in Settings.model_fields), *OLDER_NAMES))

_KUBERNETES: Final = re.compile(r"FACECRAFT_(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)")
"""What Kubernetes sets in every container of a namespace with a Service named `facecraft`; also FACECRAFT_PORT=tcp://..."""

_PROBLEMS: Final = MappingProxyType({"int_parsing": "is not a whole number", "float_parsing": "is not a number"})

_INIT_SECONDS: Final = 8.0

_AnySettings = TypeVar("_AnySettings", bound=CommonSettings)


class SettingsError(Exception):
    """The settings are wrong; each of `lines` names a variable, its value, what is wrong and what to write."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        super().__init__("\n".join(["Invalid settings:", *(f"  {line}" for line in lines)]))


class _Given(NamedTuple):
    """A value, and what messages call it: its variable, or the argument on the command line."""

    name: str
    value: object


class SettingHelp(NamedTuple):
    """A variable for the reader: its name, its default in words, what it means."""

    name: str
    default: str
    meaning: str


def load(environ: Mapping[str, str] | None = None, *, root: Path = Path("/"), **overrides: object) -> Settings:
    """The settings of the service.

    Args:
        environ: The variables; by default those of the process.
        root: Inbox and outbox default to the folders `inbox` and `outbox` in here, if they exist. The image has them.
        overrides: Values by field, from the command line. They win over variables; None counts as not given.

    Raises:
        SettingsError: Names all faults at once.
    """
    folders = {field: str(root / field) for field in ("inbox", "outbox") if (root / field).is_dir()}
    return _load(Settings, os.environ if environ is None else environ, overrides, folders)


def load_common(environ: Mapping[str, str] | None = None, **overrides: object) -> CommonSettings:
    """Like `load`, for commands that need neither inbox nor outbox; these two are not read."""
    return _load(CommonSettings, os.environ if environ is None else environ, overrides)


def load_lambda(environ: Mapping[str, str] | None = None) -> LambdaSettings:
    """Like `load`, for AWS Lambda."""
    return _load(LambdaSettings, os.environ if environ is None else environ, {})


def in_lambda(environ: Mapping[str, str] | None = None) -> bool:
    """Whether AWS Lambda, or an emulator, expects this process to ask its runtime API for calls."""
    return bool((os.environ if environ is None else environ).get("AWS_LAMBDA_RUNTIME_API"))


def init_seconds(environ: Mapping[str, str] | None = None) -> float:
    """Seconds that a function's init phase may wait for its models.

    Lambda restarts an init phase after 10 s, then as part of a call. In AWS' emulator init is always part of a call,
    and a variable says how long calls may take.
    """
    timeout = (os.environ if environ is None else environ).get("AWS_LAMBDA_FUNCTION_TIMEOUT", "")
    return min(_INIT_SECONDS, int(timeout) / 4) if timeout.isdecimal() else _INIT_SECONDS


def _load(
    kind: type[_AnySettings],
    environ: Mapping[str, str],
    overrides: Mapping[str, object],
    defaults: Mapping[str, str] = MappingProxyType({}),
) -> _AnySettings:
    """`overrides` win over `environ`, and that over `defaults`; both of these are by field."""
    variables = _own_variables(environ)
    arguments = {field: value for field, value in overrides.items() if value is not None}
    given, faults = _by_field(variables, arguments)
    given = {field: _Given(PREFIX + field.upper(), value) for field, value in defaults.items()} | given
    environment = EnvSettingsSource(kind)
    environment.env_vars = {f"{PREFIX}{field}".lower(): str(each.value) for field, each in given.items()}
    try:
        settings = kind(**environment() | arguments)
    except ValidationError as error:
        explained = [line for fault in error.errors() for line in _explain(dict(fault), given, kind)]
        raise SettingsError(faults + explained) from error
    if faults:
        raise SettingsError(faults)
    return settings


def _own_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The FACECRAFT_ variables, sorted; an empty one counts as not set, because compose files pass those."""
    return {
        name: value.strip()
        for name, value in sorted(environ.items())
        if name.upper().startswith(PREFIX) and value.strip() and not _is_from_kubernetes(name, value)
    }


def _is_from_kubernetes(name: str, value: str) -> bool:
    return bool(_KUBERNETES.fullmatch(name)) or (name == "FACECRAFT_PORT" and value.startswith(("tcp://", "udp://")))


def _by_field(variables: Mapping[str, str], arguments: Mapping[str, object]) -> tuple[dict[str, _Given], list[str]]:
    """The value of each field, and what is wrong with the variables' names."""
    given: dict[str, _Given] = {}
    faults = []
    for variable, value in variables.items():
        name = variable.removeprefix(PREFIX)
        field = OLDER_NAMES.get(name, name).lower()
        if variable not in _VARIABLES:
            faults.append(f"{variable} is not a setting; {nearest(variable, _VARIABLES)}")
        elif field in given and given[field].value != value and field not in arguments:
            newer = given[field]
            faults.append(
                f"{variable}={shown(value)} is the older name of {newer.name}={shown(newer.value)}; "
                "remove one of the two, or leave it empty"
            )
        else:
            given.setdefault(field, _Given(variable, value))
    return given | {field: _Given(field, value) for field, value in arguments.items()}, faults


def _explain(fault: dict[str, Any], given: Mapping[str, _Given], kind: type[CommonSettings]) -> list[str]:
    """A fault that pydantic found, in our words: variable, value, what is wrong, an example."""
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, SourcesError):
        return [str(cause)]
    if not fault["loc"]:
        return [f"FACECRAFT_INBOX and FACECRAFT_OUTBOX {cause}"]
    field = str(fault["loc"][0])
    name, value = given.get(field, _Given(PREFIX + field.upper(), None))
    example = f"; for example {name}={_about(field, kind).example}" if field in kind.model_fields else ""
    if fault["type"] == "missing":
        return [f"{name} is required{example}"]
    if isinstance(cause, PresetsError):
        return [f"{name}: {line}" for line in cause.lines]
    if isinstance(cause, OptionError):
        return [f"{name}: {cause.message}"]
    problem = cause or _PROBLEMS.get(fault["type"]) or fault["msg"].replace("Input should be", "should be")
    given_value = "its value" if field in _SECRETS else shown(value)
    return [f"{name}: {given_value} {problem}{example}"]


def _about(field: str, kind: type[CommonSettings] = Settings) -> About:
    return next(each for each in kind.model_fields[field].metadata if isinstance(each, About))


def all_settings() -> list[SettingHelp]:
    """Every variable that is accepted: the two folders first, names of the original last."""
    folders = [name for name in Settings.model_fields if name not in CommonSettings.model_fields]
    current = []
    for field in (*folders, *CommonSettings.model_fields):
        about, default = _about(field), Settings.model_fields[field].default
        words = str(default).lower() if isinstance(default, bool) else str(default)
        current.append(SettingHelp(PREFIX + field.upper(), about.default or words, about.meaning))
    older = [SettingHelp(PREFIX + name, "", f"Older name of `{PREFIX}{new}`") for name, new in OLDER_NAMES.items()]
    return current + older


def settings_table() -> str:
    """The documentation's table of settings, in Markdown."""
    lines = ["| Variable | Default | Meaning |", "|---|---|---|"]
    lines += [f"| `{each.name}` | {each.default} | {each.meaning} |" for each in all_settings()]
    return "\n".join(lines) + "\n"
