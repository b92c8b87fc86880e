"""What the value of a setting may be: types that read a variable's text, and ValueErrors that say what is wrong."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr

from handler.config.options import Presets
from handler.config.presets import built_in, load
from handler.config.sources import Name, parsed
from sources.stores.location import Location
from sources.stores.s3 import S3Store

_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def place(value: object) -> Location:
    """ValueError where it is neither a folder nor a bucket."""
    text = str(value)
    if text.startswith("s3://"):
        return S3Store.at(text)
    if _URI.match(text):
        raise ValueError("is neither a folder nor a bucket; write a path, or s3://BUCKET/PREFIX")
    return _path(value)


def _path(value: object) -> Path:
    text = str(value)
    if _URI.match(text):
        raise ValueError("names no folder or file; write a path")
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"cannot be followed to its end ({error}); write another path") from error


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", value):
        raise ValueError("is not one of auto, cpu, cuda, cuda:N")
    return value


def _host(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z._:%-]+", value):
        raise ValueError("is not an address or a host name")
    return value


def _names(value: object) -> object:
    return parsed(value) if isinstance(value, str) else value


def _queue_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+/\S+", value):
        raise ValueError("is not the URL of a queue")
    return value


def _token(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+( [!-~]+)?", value.get_secret_value()):
        raise ValueError("is not one word of plain ASCII, or two with a space between, which is all that servers send")
    return value


def _word(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", value.get_secret_value()):
        raise ValueError("is not one word of plain ASCII, which is all that a header is sure to carry")
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def presets_at(value: object) -> Presets:
    return load(_path(value)) if isinstance(value, str | Path) else built_in()


AfterAction = Literal["keep", "tag", "move", "delete"]
"""What becomes of a photo that is done: FACECRAFT_AFTER."""

LocationValue = Annotated[Location, PlainValidator(place)]
File = Annotated[Path, BeforeValidator(_path)]
Device = Annotated[str, BeforeValidator(lower), AfterValidator(_device)]
Host = Annotated[str, AfterValidator(_host)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
Channel = Annotated[int, Field(ge=0, le=255)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Sources = Annotated[tuple[Name, ...], BeforeValidator(_names)]
Hours = Annotated[float, Field(gt=0, le=876_000, allow_inf_nan=False)]
QueueUrl = Annotated[str, AfterValidator(_queue_url)]
Token = Annotated[SecretStr, AfterValidator(_token)]
Word = Annotated[SecretStr, AfterValidator(_word)]
