"""Types of the settings' values: each parses a variable's text, or raises a ValueError that says what is wrong."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr

from handler.config.options import Presets, built_in_presets, load_presets
from sources.stores.location import Location
from sources.stores.s3 import S3Store

SourceName = Literal["folder", "sqs", "webhook", "poll"]
SOURCE_NAMES: Final[tuple[SourceName, ...]] = get_args(SourceName)

_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def parse_location(value: object) -> Location:
    """A folder or a bucket with an optional prefix."""
    text = str(value)
    if text.startswith("s3://"):
        return S3Store.at(text)
    if _URI.match(text):
        raise ValueError("is neither a folder nor a bucket; write a path, or s3://BUCKET/PREFIX")
    return _parse_folder(value)


def _parse_folder(value: object) -> Path:
    """Links stay: where one is pointed elsewhere while the service runs, the next rescan follows it."""
    resolved, given = _parse_path(value), Path(str(value)).expanduser()
    return resolved if ".." in given.parts else given.absolute()


def _parse_path(value: object) -> Path:
    text = str(value)
    if _URI.match(text):
        raise ValueError("is not the path of a file or folder; write a path")
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"cannot be resolved ({error}); write another path") from error


def parse_source_names(value: object) -> object:
    """A comma-separated list as a tuple in the order of SOURCE_NAMES, without repetitions."""
    if not isinstance(value, str):
        return value
    words = {word.strip().lower() for word in value.split(",")} - {""}
    if wrong := sorted(words.difference(SOURCE_NAMES)):
        raise ValueError(f"{wrong[0]!r} is not one of {', '.join(SOURCE_NAMES)}")
    return tuple(name for name in SOURCE_NAMES if name in words)


def parse_origins(value: object) -> object:
    """A comma-separated list of origins such as `https://www.example.com`, or `*` for all of them."""
    if not isinstance(value, str):
        return value
    words = tuple(dict.fromkeys(word.strip().lower().rstrip("/") for word in value.split(",") if word.strip()))
    wrong = [word for word in words if word != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s,*?#@]+", word)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not an origin such as https://www.example.com, and not *")
    if "*" in words and len(words) > 1:
        raise ValueError("has * beside other origins; write * alone, or only the others")
    return words


def parse_hosts(value: object) -> object:
    """A comma-separated list of host names or addresses, each with a port or without."""
    if not isinstance(value, str):
        return value
    words = tuple(dict.fromkeys(word.strip().lower() for word in value.split(",") if word.strip()))
    wrong = [word for word in words if not re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", word)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not a host such as hooks.example.com or 10.0.0.5:8080")
    return words


def _parse_presets(value: object) -> Presets:
    return load_presets(_parse_path(value)) if isinstance(value, str | Path) else built_in_presets()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address. `localhost` is the one name that is loopback everywhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _check_device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", value):
        raise ValueError("is not one of auto, cpu, cuda, cuda:N")
    return value


def _check_host(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z._:%-]+", value):
        raise ValueError("is not an address or a host name")
    return value


def _check_queue_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+/\S+", value):
        raise ValueError("is not the URL of a queue")
    return value


def _check_token(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+( [!-~]+)?", value.get_secret_value()):
        raise ValueError("is not one word of printable ASCII, or two separated by a space; servers send nothing else")
    return value


def _check_word(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", value.get_secret_value()):
        raise ValueError("is not one word of printable ASCII; an HTTP header reliably carries nothing else")
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


AfterAction = Literal["keep", "tag", "move", "delete"]
"""What happens to a photo that is done: FACECRAFT_AFTER."""

LocationValue = Annotated[Location, PlainValidator(parse_location)]
File = Annotated[Path, BeforeValidator(_parse_path)]
PresetsFile = Annotated[Presets, PlainValidator(_parse_presets)]
Device = Annotated[str, BeforeValidator(lower), AfterValidator(_check_device)]
Host = Annotated[str, AfterValidator(_check_host)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
Channel = Annotated[int, Field(ge=0, le=255)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Sources = Annotated[tuple[SourceName, ...], BeforeValidator(parse_source_names)]
Hours = Annotated[float, Field(gt=0, le=876_000, allow_inf_nan=False)]
Origins = Annotated[tuple[str, ...], BeforeValidator(parse_origins)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(parse_hosts)]
QueueUrl = Annotated[str, AfterValidator(_check_queue_url)]
Token = Annotated[SecretStr, AfterValidator(_check_token)]
Word = Annotated[SecretStr, AfterValidator(_check_word)]
