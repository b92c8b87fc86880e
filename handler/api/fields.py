"""The fields of forms: parsed and checked by pydantic, in the ranges that the options have everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, create_model

from handler.api.errors import ApiError, field_error, invalid
from handler.config.options import Presets, ResolvedOptions, layered
from pipeline.recipe import OPTIONS, Option, OptionError, Value, nearest, parse_option

ENHANCE_IGNORED: Final = "enhance_face_ignored"
"""Added to the notes of a report, where FACECRAFT_RESTORE=off."""

_RENAMED: Final = MappingProxyType({"use_oval_mask": "oval_mask"})
"""The original's fields whose options have other names."""

_CHANNELS: Final = ("background_r", "background_g", "background_b")
_Channel = Annotated[int | None, Field(ge=0, le=255)]


def _parsed(name: str, value: object) -> object:
    """ValueError, as pydantic wants it."""
    try:
        return None if value is None else parse_option(name, value)
    except OptionError as error:
        raise ValueError(error.message) from error


def _kind(name: str, option: Option) -> Any:  # noqa: ANN401  # a type
    if option.choices:
        schema = {"enum": [*option.choices, None]}
        return Annotated[str | None, BeforeValidator(partial(_parsed, name)), Field(json_schema_extra=schema)]  # type: ignore[arg-type]
    if option.type is int:
        return Annotated[int | None, Field(ge=option.low, le=option.high)]
    if option.type is float:
        return Annotated[float | None, Field(ge=option.low, le=option.high, allow_inf_nan=False)]
    return bool | None if option.type is bool else Annotated[str | None, BeforeValidator(partial(_parsed, name))]


def _options(*without: str) -> dict[str, Any]:
    return {
        name: (_kind(name, option), Field(None, description=f"{option.meaning}. Default: the service's own"))
        for name, option in OPTIONS.items()
        if name not in without
    }


_OWN: Final[dict[str, Any]] = {
    "use_oval_mask": (bool | None, Field(None, description=OPTIONS["oval_mask"].meaning)),
    "enhance_face": (
        bool | None,
        Field(None, description="Restore the face where it helps; false is the same as restore=off"),
    ),
    "preset": (str | None, Field(None, description="The name of a preset; single fields are stronger")),
    **{name: (_Channel, Field(None, description="The background's colour, 0 to 255")) for name in _CHANNELS},
}
_BASE64: Final[Any] = (bool | None, Field(None, description="Put the images into the answer, in base64"))
_CALLBACK: Final[Any] = (str | None, Field(None, description="Where the answer is posted to when the job has ended"))

ProcessFields = create_model(
    "Body_process_single_photo_api_v1_process_post",
    **_options(),
    **_OWN,
    return_base64=_BASE64,
    callback_url=_CALLBACK,
)
_SIZE: Final[Any] = (
    Annotated[int | None, Field(ge=OPTIONS["width"].low, le=OPTIONS["width"].high)],
    Field(None, description="Width and height of the portrait in pixels"),
)
QuickFields = create_model("Body_process_quick_api_v1_process_quick_post", size=_SIZE, **_options(), **_OWN)
BatchFields = create_model(
    "Body_process_batch_api_v1_process_batch_post",
    **_options(),
    **_OWN,
    return_base64=_BASE64,
    callback_url=_CALLBACK,
)


class _Query(BaseModel):
    async_: Annotated[bool, Field(alias="async")] = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form asks for."""

    options: ResolvedOptions
    notes: tuple[str, ...]
    base64: bool
    callback_url: str | None


def asked(kind: type[BaseModel], fields: Mapping[str, str], base: ResolvedOptions, presets: Presets) -> Asked:
    """The options of a form: a field before the preset before the settings.

    Raises:
        ApiError: 422, with one entry for each wrong field.
    """
    given = parse_fields(kind, "body", fields)
    preset = given.pop("preset", None)
    if preset is not None:
        name = str(preset).lower()
        if name not in presets:
            why = f"Value error, is not the name of a preset; {nearest(name, presets)}"
            raise invalid(field_error("body", "preset", "value_error", why, preset))
        base, own = layered(base, presets[name], f"preset:{name}"), base
    else:
        own = base
    values: dict[str, Value] = {_RENAMED.get(name, name): value for name, value in given.items() if name in _RENAMED}
    values |= {name: value for name, value in given.items() if name in OPTIONS}
    if "size" in given:
        values = {"width": given["size"], "height": given["size"]} | values
    if any(name in given for name in _CHANNELS):
        values["background"] = _background(given, base)
    notes = []
    if "restore" not in given and "enhance_face" in given:
        if not given["enhance_face"]:
            values["restore"] = "off"
        elif base.recipe.restore == "off":
            values["restore"] = own.recipe.restore
            notes += [ENHANCE_IGNORED] if own.recipe.restore == "off" else []
    options = layered(base, values, "form")
    return Asked(options, tuple(notes), bool(given.get("return_base64")), given.get("callback_url"))


def wants_async(query: Mapping[str, str]) -> bool:
    """Whether the answer is to come before the work."""
    return bool(parse_fields(_Query, "query", {name: query[name] for name in query if name == "async"}).get("async_"))


def parse_fields(kind: type[BaseModel], place: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """The fields that were sent with a value, in their types; an empty one counts as not sent. ApiError: 422."""
    try:
        parsed = kind.model_validate({name: value for name, value in fields.items() if value != ""})
    except ValidationError as error:
        raise _refused(place, error) from error
    return {name: getattr(parsed, name) for name in parsed.model_fields_set if getattr(parsed, name) is not None}


def _refused(place: str, error: ValidationError) -> ApiError:
    errors = []
    for each in error.errors(include_url=False):
        entry: dict[str, Any] = {
            "type": each["type"],
            "loc": [place, *each["loc"]],
            "msg": each["msg"],
            "input": each["input"],
        }
        if context := each.get("ctx"):
            entry["ctx"] = {name: {} if isinstance(value, Exception) else value for name, value in context.items()}
        errors.append(entry)
    return invalid(*errors)


def _background(given: Mapping[str, Any], base: ResolvedOptions) -> str:
    channels = [given.get(name, part) for name, part in zip(_CHANNELS, base.recipe.background_rgb, strict=True)]
    colour = "#{:02X}{:02X}{:02X}".format(*channels)
    if given.get("background", colour) != colour:
        why = f"Value error, disagrees with background_r, background_g and background_b ({colour}); send one of them"
        raise invalid(field_error("body", "background", "value_error", why, given["background"]))
    return colour
