"""What can be set: names, types, ranges, defaults and meanings of the service's settings."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from handler.config.fields import (
    AfterAction,
    Channel,
    Device,
    File,
    Host,
    Hours,
    Level,
    LocationValue,
    QueueUrl,
    Seconds,
    Sources,
    Token,
    Word,
    lower,
    presets_at,
)
from handler.config.options import DEFAULTS, Presets, ResolvedOptions, layered
from handler.config.presets import built_in
from handler.config.sources import Name, chosen, without_effect
from pipeline.recipe import OPTIONS, FacePolicy, Restore, parse_option
from pipeline.types import Limits
from sources.stores.location import Location
from sources.stores.s3 import S3Store

_RECIPE: Final = MappingProxyType(
    {
        name if name in ("restore", "face_policy") else f"default_{name}": name
        for name in OPTIONS
        if name != "background"
    }
)
"""The option that each field sets."""

_BACKGROUND: Final = tuple(f"default_background_{channel}" for channel in "rgb")


@dataclass(frozen=True, slots=True)
class About:
    """What a reader needs to know of a setting; `default` in words where the value itself would not do."""

    meaning: str
    example: str
    default: str = ""


def _of(option: str) -> About:
    return About(OPTIONS[option].meaning, OPTIONS[option].example)


_PREDICTOR = About(
    "File of the 68 landmarks model", "/models/68.dat", "`MODELS_DIR/shape_predictor_68_face_landmarks.dat`"
)
_CODEFORMER = About(
    "File of the restoration model",
    "/models/codeformer.pth",
    "`MODELS_DIR/codeformer/codeformer.pth`",
)
_PRESETS = About("TOML file with presets of your own", "/config/presets.toml", "the built-in presets")


_SOURCES = About(
    "What announces photos, a comma list: folder; for a bucket sqs, webhook, poll (looks every `RESCAN_SECONDS`)",
    "sqs,webhook",
    "folder; for a bucket sqs with a queue, webhook with a token, else poll",
)
_QUEUE = About(
    "Queue that the bucket's events go to",
    "https://sqs.eu-central-1.amazonaws.com/123456789012/photos",
    "(none)",
)
_CLEANUP = About("Hours after which portraits are deleted; reports, photos and originals stay", "720", "(never)")
_KEY = About(
    "What calls of the Lambda-compatible endpoint must bring as `X-API-Key`; without it only loopback is open",
    "9Kc4tZ",
    "(none)",
)
_TOKEN = About(
    "What `POST /events` must bring as `Authorization: Bearer ...`; required unless `HOST` is loopback",
    "7Hq2vX",
    "(none)",
)


_PLACE: Final = "`{}` where that folder is there, as in the image; else required"

VARIABLES: Final[ContextVar[Mapping[str, Any]]] = ContextVar("VARIABLES")
"""The variables' values by field, set by `handler.config.load`, which checks names and empty values."""


class _Variables(PydanticBaseSettingsSource):
    """The environment as `handler.config.load` read it; pydantic-settings' own reader ignores wrong names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  # its signature
        return VARIABLES.get({}).get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(VARIABLES.get({}))


class CommonSettings(BaseSettings):
    """Every setting but the two folders: for commands that process no photos. Paths come out absolute."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=True)

    models_dir: Annotated[File, About("Folder of the models", "/models", "./models")] = Path("models")
    predictor_path: Annotated[File | None, _PREDICTOR] = None
    codeformer_path: Annotated[File | None, _CODEFORMER] = None
    landmarks: Annotated[
        Literal["auto", "68", "5"], About("Landmark model: 68 points, 5, or auto: 68 where that is present", "auto")
    ] = "auto"
    device: Annotated[Device, About("Where the networks run: auto, cpu, cuda or cuda:N", "cpu")] = "auto"
    workers: Annotated[
        int, Field(ge=1, le=64), About("Worker processes, each with its own models: photos in work at once", "2")
    ] = 1
    host: Annotated[Host, About("Address of the HTTP server", "127.0.0.1")] = "0.0.0.0"  # noqa: S104 - a container's
    port: Annotated[int, Field(ge=0, le=65_535), About("Port of the HTTP server; 0 takes a free one", "8000")] = 8000
    log_level: Annotated[Level, About("Least severe log lines: DEBUG, INFO, WARNING, ERROR or CRITICAL", "INFO")] = (
        "INFO"
    )
    sources: Annotated[Sources, _SOURCES] = ()
    sqs_queue_url: Annotated[QueueUrl | None, _QUEUE] = None
    webhook_token: Annotated[Token | None, _TOKEN] = None
    max_concurrent_jobs: Annotated[
        int, Field(ge=1, le=256), About("Calls of the Lambda-compatible endpoint that may run or wait at once", "4")
    ] = 4
    api_key: Annotated[Word | None, _KEY] = None
    after: Annotated[
        AfterAction,
        BeforeValidator(lower),
        About(
            "What becomes of a done photo: keep, tag (objects only), move (to `originals` in the outbox) or delete",
            "move",
        ),
    ] = "keep"
    cleanup_age_hours: Annotated[Hours | None, _CLEANUP] = None
    rescan_seconds: Annotated[
        Seconds, Field(ge=1), About("Time between two looks for photos that no event told of", "60")
    ] = 60
    settle_seconds: Annotated[Seconds, About("How long a file must lie unchanged before it is read", "2")] = 2
    max_attempts: Annotated[
        int,
        Field(ge=1, le=100),
        About("Attempts at a photo before it is reported as failed; with a queue at most its `maxReceiveCount`", "3"),
    ] = 3
    photo_timeout_seconds: Annotated[Seconds, Field(ge=1), About("Time limit of one attempt at a photo", "120")] = 120
    max_upload_size_mb: Annotated[
        int, Field(ge=1, le=2048), About("Largest photo in MB (1 MB is 1,048,576 bytes)", "20")
    ] = 20
    max_pixels_mp: Annotated[int, Field(ge=1, le=1000), About("Largest photo in millions of pixels", "50")] = 50
    presets: Annotated[Presets, PlainValidator(presets_at), _PRESETS] = Field(default_factory=built_in)
    default_width: Annotated[int, _of("width")] = DEFAULTS.recipe.width
    default_height: Annotated[int, _of("height")] = DEFAULTS.recipe.height
    default_background_r: Annotated[Channel, About("Red of the background, 0 to 255", "240")] = 240
    default_background_g: Annotated[Channel, About("Green of the background, 0 to 255", "240")] = 240
    default_background_b: Annotated[Channel, About("Blue of the background, 0 to 255", "240")] = 240
    default_face_margin: Annotated[float, _of("face_margin")] = DEFAULTS.recipe.face_margin
    default_oval_mask: Annotated[bool, _of("oval_mask")] = DEFAULTS.recipe.oval_mask
    default_photo_enhance: Annotated[bool, _of("photo_enhance")] = DEFAULTS.recipe.photo_enhance
    restore: Annotated[Restore, _of("restore")] = DEFAULTS.recipe.restore
    default_enhance_fidelity: Annotated[float, _of("enhance_fidelity")] = DEFAULTS.recipe.enhance_fidelity
    identity_limit: Annotated[
        float,
        Field(ge=0, le=2, allow_inf_nan=False),
        About("A restored face farther than this from the photo's (dlib's distance) is dropped", "0.5"),
    ] = 0.5
    face_policy: Annotated[FacePolicy, _of("face_policy")] = DEFAULTS.recipe.face_policy
    default_max_size_kb: Annotated[int, _of("max_size_kb")] = DEFAULTS.recipe.max_size_kb
    default_dpi: Annotated[int, _of("dpi")] = DEFAULTS.recipe.dpi

    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # its signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command line is stronger than the environment; no other place is read."""
        return init_settings, _Variables(settings_cls)

    @field_validator(*_RECIPE, mode="before")
    @classmethod
    def _as_option(cls, value: object, info: ValidationInfo) -> object:
        return parse_option(_RECIPE[str(info.field_name)], value)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines for the log: what was set and changes nothing."""
        return self._warnings

    def recipe(self) -> ResolvedOptions:
        """The options that hold where no preset or sidecar says otherwise."""
        values = {option: getattr(self, field) for field, option in _RECIPE.items() if field in self.model_fields_set}
        if self.model_fields_set.intersection(_BACKGROUND):
            values["background"] = ",".join(str(getattr(self, field)) for field in _BACKGROUND)
        return layered(DEFAULTS, values, "settings")

    def limits(self) -> Limits:
        """What a photo may be before it is decoded."""
        return Limits(max_bytes=self.max_upload_size_mb * 1024 * 1024, max_pixels=self.max_pixels_mp * 1_000_000)

    def model_files(self) -> dict[str, Path]:
        """The models that a setting puts elsewhere than in the models folder, by the card's name."""
        files = {"landmarks_68": self.predictor_path, "codeformer": self.codeformer_path}
        return {name: path for name, path in files.items() if path is not None}


class Settings(CommonSettings):
    """All settings of the service."""

    inbox: Annotated[
        LocationValue,
        About("Where the photos are: a folder, or `s3://bucket/prefix`", "/inbox", _PLACE.format("/inbox")),
    ]
    outbox: Annotated[
        LocationValue,
        About("Where portraits and reports go: a folder, or `s3://bucket/prefix`", "/outbox", _PLACE.format("/outbox")),
    ]

    @field_validator("inbox", mode="after")
    @classmethod
    def _taggable(cls, value: Location, info: ValidationInfo) -> Location:
        if isinstance(value, Path) and info.data.get("after") == "tag":
            raise ValueError("is a folder, and files have no tags; write FACECRAFT_AFTER=keep, move or delete")
        return value

    @model_validator(mode="after")
    def _apart(self) -> "Settings":
        refuse_overlap(self.inbox, self.outbox)
        return self

    @model_validator(mode="after")
    def _sources_fit(self) -> "Settings":
        self.announcers()
        return self

    def announcers(self) -> tuple[Name, ...]:
        """The sources that are used."""
        queue, token = self.sqs_queue_url is not None, self.webhook_token is not None
        return chosen(self.sources, bucket=not isinstance(self.inbox, Path), queue=queue, token=token, host=self.host)

    @property
    def warnings(self) -> tuple[str, ...]:
        queue, token = self.sqs_queue_url is not None, self.webhook_token is not None
        return (*super().warnings, *without_effect(self.announcers(), queue=queue, token=token))


def refuse_overlap(inbox: Location, outbox: Location) -> None:
    """ValueError where one of the two lies in the other."""
    match inbox, outbox:
        case (Path(), Path()):
            overlap = _within(inbox, outbox) or _within(outbox, inbox)
            example = "two folders side by side, for example /photos/in and /photos/out"
        case (S3Store(), S3Store()):
            overlap = inbox.overlaps(outbox)
            example = "two prefixes side by side, for example s3://photos/in and s3://photos/out"
        case _:
            return
    if overlap:
        raise ValueError(f"overlap ({inbox} and {outbox}): portraits would be taken for photos; choose {example}")


def _within(one: Path, other: Path) -> bool:
    return any(_same(one, place) for place in (other, *other.parents))


def _same(one: Path, other: Path) -> bool:
    """One folder, also where two mounts show it under two names."""
    try:
        return one == other or one.samefile(other)
    except OSError:  # it is not there yet, or may not be looked at
        return False
