"""What can be set: names, types, ranges, defaults and meanings of the settings, and which of them fit together."""

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from handler.config.fields import (
    AfterAction,
    Channel,
    Device,
    File,
    Host,
    Hosts,
    Hours,
    Level,
    LocationValue,
    Origins,
    PresetsFile,
    QueueUrl,
    Seconds,
    SourceName,
    Sources,
    Token,
    Word,
    is_loopback,
    lower,
    parse_location,
)
from handler.config.options import DEFAULTS, ResolvedOptions, built_in_presets, layered
from pipeline.recipe import OPTIONS, FacePolicy, Restore, parse_option
from pipeline.types import Limits
from sources.stores.location import Location
from sources.stores.s3 import S3Store

PREFIX: Final = "FACECRAFT_"
_QUEUE_URL: Final = "FACECRAFT_SQS_QUEUE_URL"
_WEBHOOK_TOKEN: Final = "FACECRAFT_WEBHOOK_TOKEN"  # noqa: S105 - the name of a setting

_RECIPE: Final = MappingProxyType(
    {
        name if name in ("restore", "face_policy") else f"default_{name}": name
        for name in OPTIONS
        if name != "background"
    }
)
"""The option that each setting sets, by field."""

_BACKGROUND: Final = tuple(f"default_background_{channel}" for channel in "rgb")


@dataclass(frozen=True, slots=True)
class About:
    """A setting for the reader. `default` says in words what the field's own default does not show."""

    meaning: str
    example: str
    default: str = ""


def _of(option: str) -> About:
    return About(OPTIONS[option].meaning, OPTIONS[option].example)


_PREDICTOR = About(
    "File of the 68-point landmark model", "/models/68.dat", "`MODELS_DIR/shape_predictor_68_face_landmarks.dat`"
)
_CODEFORMER = About(
    "File of the restoration model",
    "/models/codeformer.pth",
    "`MODELS_DIR/codeformer/codeformer.pth`",
)
_PRESETS = About("TOML file with your own presets", "/config/presets.toml", "the built-in presets")
_SOURCES = About(
    "What announces photos, comma-separated: folder; for a bucket sqs, webhook, poll (lists it every `RESCAN_SECONDS`)",
    "sqs,webhook",
    "folder; for a bucket sqs with a queue, webhook with a token, else poll",
)
_QUEUE = About(
    "URL of the queue that receives the bucket's events",
    "https://sqs.eu-central-1.amazonaws.com/123456789012/photos",
    "(none)",
)
_CLEANUP = About("Hours after which portraits are deleted; reports, photos and originals stay", "720", "(never)")
_KEY = About(
    "Key that calls to the HTTP API and to the Lambda-compatible endpoint must send as `X-API-Key`; the API also takes "
    "`Authorization: Bearer`. Without a key only loopback may call",
    "9Kc4tZ",
    "(none)",
)
_OPEN = About("Opens the HTTP API to everybody who reaches the port, without a key; nothing else is opened", "true")
_CORS = About(
    "Web pages that may use the HTTP API: comma-separated origins, or `*` for all",
    "https://www.example.com",
    "(none)",
)
_CALLBACKS = About(
    "Hosts that `callback_url` may name, comma-separated, with a port or without", "hooks.example.com", "(none)"
)
_TOKEN = About(
    "Token that `POST /events` must send as `Authorization: Bearer ...`; required unless `HOST` is loopback",
    "7Hq2vX",
    "(none)",
)
_FOLDER_DEFAULT: Final = "`{}` if that folder exists, as in the image; else required"


class CommonSettings(BaseSettings):
    """Every setting but the two folders, for commands that process no photos. Paths come out absolute.

    `handler.config.load` constructs it from the environment and reports faults.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        enable_decoding=False,  # values are plain text and not JSON
        frozen=True,
        extra="forbid",
        validate_default=True,
    )

    models_dir: Annotated[File, About("Folder of the models", "/models", "./models")] = Path("models")
    predictor_path: Annotated[File | None, _PREDICTOR] = None
    codeformer_path: Annotated[File | None, _CODEFORMER] = None
    landmarks: Annotated[
        Literal["auto", "68", "5"], About("Landmark model: 68 or 5 (points), or auto (68 if its file exists)", "auto")
    ] = "auto"
    device: Annotated[Device, About("Where the networks run: auto, cpu, cuda or cuda:N", "cpu")] = "auto"
    workers: Annotated[
        int,
        Field(ge=1, le=64),
        About("Worker processes, each with its own models; as many photos are processed at once", "2"),
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
        int,
        Field(ge=1, le=256),
        About("Jobs of the HTTP API, and calls to the Lambda-compatible endpoint, that may run or wait at once", "4"),
    ] = 4
    api_key: Annotated[Word | None, _KEY] = None
    open: Annotated[bool, _OPEN] = False
    cors_origins: Annotated[Origins, _CORS] = ()
    batch_max_files: Annotated[int, Field(ge=1, le=1000), About("Most photos in one batch of the HTTP API", "50")] = 50
    job_hours: Annotated[Hours, About("Hours after which a job of the HTTP API is deleted, with its images", "24")] = 24
    callback_hosts: Annotated[Hosts, _CALLBACKS] = ()
    debug: Annotated[bool, About("Log level DEBUG, and answers 500 of the HTTP API say what went wrong", "true")] = (
        False
    )
    after: Annotated[
        AfterAction,
        BeforeValidator(lower),
        About(
            "What happens to a done photo: keep, tag (objects only), move (to `originals` in the outbox) or delete",
            "move",
        ),
    ] = "keep"
    cleanup_age_hours: Annotated[Hours | None, _CLEANUP] = None
    rescan_seconds: Annotated[
        Seconds, Field(ge=1), About("Seconds between scans for photos that no event announced", "60")
    ] = 60
    settle_seconds: Annotated[Seconds, About("Seconds for which a file must not change before it is read", "2")] = 2
    max_attempts: Annotated[
        int,
        Field(ge=1, le=100),
        About("Attempts at a photo before it is reported as failed; with a queue at most its `maxReceiveCount`", "3"),
    ] = 3
    photo_timeout_seconds: Annotated[
        Seconds, Field(ge=1), About("Time limit of one attempt at a photo, in seconds", "120")
    ] = 120
    max_upload_size_mb: Annotated[
        int, Field(ge=1, le=2048), About("Largest photo in MB (1 MB is 1,048,576 bytes)", "20")
    ] = 20
    max_pixels_mp: Annotated[int, Field(ge=1, le=1000), About("Largest photo in millions of pixels", "50")] = 50
    presets: Annotated[PresetsFile, _PRESETS] = Field(default_factory=built_in_presets)
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
        About("A restored face is dropped if its distance (dlib's) from the photo's face is larger", "0.5"),
    ] = 0.5
    face_policy: Annotated[FacePolicy, _of("face_policy")] = DEFAULTS.recipe.face_policy
    default_max_size_kb: Annotated[int, _of("max_size_kb")] = DEFAULTS.recipe.max_size_kb
    default_dpi: Annotated[int, _of("dpi")] = DEFAULTS.recipe.dpi

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        *_others: PydanticBaseSettingsSource,
        **_named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `handler.config.load` passes: it reads the environment itself, to name every wrong variable."""
        return (init_settings,)

    @field_validator(*_RECIPE, mode="before")
    @classmethod
    def _as_option(cls, value: object, info: ValidationInfo) -> object:
        return parse_option(_RECIPE[str(info.field_name)], value)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Lines for the log: settings that are set and have no effect."""
        return ()

    @property
    def least_level(self) -> str:
        """The level of the log: that of `log_level`, or DEBUG with `debug`."""
        return "DEBUG" if self.debug else self.log_level

    def recipe(self) -> ResolvedOptions:
        """The options of a photo without preset, metadata or sidecar."""
        values = {option: getattr(self, field) for field, option in _RECIPE.items() if field in self.model_fields_set}
        if self.model_fields_set.intersection(_BACKGROUND):
            values["background"] = ",".join(str(getattr(self, field)) for field in _BACKGROUND)
        return layered(DEFAULTS, values, "settings")

    def limits(self) -> Limits:
        """How large a photo may be; checked before it is decoded."""
        return Limits(max_bytes=self.max_upload_size_mb * 1024 * 1024, max_pixels=self.max_pixels_mp * 1_000_000)

    def model_files(self) -> dict[str, Path]:
        """The files of models that a setting places outside the models folder, by model name."""
        files = {"landmarks_68": self.predictor_path, "codeformer": self.codeformer_path}
        return {name: path for name, path in files.items() if path is not None}


class Settings(CommonSettings):
    """All settings of the service."""

    inbox: Annotated[
        LocationValue,
        About("Where the photos are: a folder, or `s3://bucket/prefix`", "/inbox", _FOLDER_DEFAULT.format("/inbox")),
    ]
    outbox: Annotated[
        LocationValue,
        About(
            "Where portraits and reports go: a folder, or `s3://bucket/prefix`",
            "/outbox",
            _FOLDER_DEFAULT.format("/outbox"),
        ),
    ]

    @field_validator("inbox", mode="after")
    @classmethod
    def _taggable(cls, value: Location, info: ValidationInfo) -> Location:
        if isinstance(value, Path) and info.data.get("after") == "tag":
            raise ValueError("is a folder, and files have no tags; write FACECRAFT_AFTER=keep, move or delete")
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        refuse_overlap(self.inbox, self.outbox)
        self.source_names()
        return self

    def source_names(self) -> tuple[SourceName, ...]:
        """The sources that announce photos: FACECRAFT_SOURCES, or the default for the other settings."""
        return choose_sources(
            self.sources,
            bucket=not isinstance(self.inbox, Path),
            queue=self.sqs_queue_url is not None,
            token=self.webhook_token is not None,
            host=self.host,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        names = self.source_names()
        unused = []
        if self.sqs_queue_url is not None and "sqs" not in names:
            unused.append((_QUEUE_URL, "sqs"))
        if self.webhook_token is not None and "webhook" not in names:
            unused.append((_WEBHOOK_TOKEN, "webhook"))
        lines = [
            f"{variable} has no effect: {name} is not among the sources ({', '.join(names)})"
            for variable, name in unused
        ]
        return (*super().warnings, *lines)


_WITHOUT_EFFECT_IN_LAMBDA: Final = (
    "cleanup_age_hours",
    "workers",
    "host",
    "port",
    "sources",
    "sqs_queue_url",
    "webhook_token",
    "rescan_seconds",
    "settle_seconds",
    "open",
    "cors_origins",
    "batch_max_files",
    "job_hours",
    "callback_hosts",
)


def _parse_bucket(value: object) -> S3Store | None:
    location = None if value is None else parse_location(value)
    if isinstance(location, Path):
        raise ValueError("is a folder, and folders do not last in Lambda; name a bucket or leave it out")
    return location


class LambdaSettings(CommonSettings):
    """The settings of a Lambda function: two buckets, or none. Without them it takes only photos in base64."""

    inbox: Annotated[S3Store | None, PlainValidator(_parse_bucket), About("Where the photos are", "s3://photos/in")] = (
        None
    )
    outbox: Annotated[
        S3Store | None, PlainValidator(_parse_bucket), About("Where portraits and reports go", "s3://photos/out")
    ] = None

    @field_validator("workers", mode="after")
    @classmethod
    def _one_worker(cls, _: int) -> int:
        """Lambda sends an environment one call at a time, and its only process holds the models."""
        return 1

    @model_validator(mode="after")
    def _fit_together(self) -> "LambdaSettings":
        match self.inbox, self.outbox:
            case S3Store() as inbox, S3Store() as outbox:
                refuse_overlap(inbox, outbox)
            case None, None:
                pass
            case _:
                raise ValueError("belong together: set both, as to s3://photos/in and s3://photos/out, or neither")
        return self

    @property
    def warnings(self) -> tuple[str, ...]:
        idle = [name for name in _WITHOUT_EFFECT_IN_LAMBDA if name in self.model_fields_set]
        return (*super().warnings, *(f"{PREFIX}{name.upper()} has no effect in Lambda" for name in idle))


class SourcesError(ValueError):
    """Settings that do not fit together; the message names them and the fix."""


def choose_sources(
    named: tuple[SourceName, ...], *, bucket: bool, queue: bool, token: bool, host: str
) -> tuple[SourceName, ...]:
    """The sources that announce photos.

    Args:
        named: FACECRAFT_SOURCES; empty for the default.
        bucket: Whether the inbox is a bucket.
        queue: Whether the URL of a queue is set.
        token: Whether a webhook token is set.
        host: The address of the HTTP server.

    Raises:
        SourcesError: The settings do not fit together.
    """
    if not bucket:
        instead = "remove it, or write a bucket such as FACECRAFT_INBOX=s3://photos/in"
        wrong = [f"FACECRAFT_SOURCES: {name}" for name in named if name != "folder"] + [_QUEUE_URL] * queue
        if wrong:
            raise SourcesError(f"{wrong[0]} announces objects of a bucket, and FACECRAFT_INBOX is a folder; {instead}")
        return ("folder",)
    by_setting: dict[SourceName, bool] = {"sqs": queue, "webhook": token}
    names = named or tuple(name for name, is_set in by_setting.items() if is_set) or ("poll",)
    if "folder" in names:
        raise SourcesError(
            "FACECRAFT_SOURCES: folder needs a folder as FACECRAFT_INBOX, but it is a bucket; write poll, for example"
        )
    if "sqs" in names and not queue:
        raise SourcesError(f"FACECRAFT_SOURCES: sqs needs {_QUEUE_URL}; set it, or write poll, for example")
    if "webhook" in names and not token and not is_loopback(host):
        raise SourcesError(
            f"{_WEBHOOK_TOKEN} is required if FACECRAFT_SOURCES has webhook and FACECRAFT_HOST={host} can be reached "
            "by others; set it to a long random word, or write FACECRAFT_HOST=127.0.0.1"
        )
    return names


def refuse_overlap(inbox: Location, outbox: Location) -> None:
    """Raises ValueError if one of the two contains the other."""
    match inbox, outbox:
        case (Path(), Path()):
            overlap = _is_within(inbox, outbox) or _is_within(outbox, inbox)
            example = "two folders side by side, for example /photos/in and /photos/out"
        case (S3Store(), S3Store()):
            overlap = inbox.overlaps(outbox)
            example = "two prefixes side by side, for example s3://photos/in and s3://photos/out"
        case _:
            return
    if overlap:
        raise ValueError(f"overlap ({inbox} and {outbox}): portraits would be taken for photos; choose {example}")


def _is_within(one: Path, other: Path) -> bool:
    real = other.resolve()
    return any(_is_same(one, folder) for folder in (real, *real.parents))


def _is_same(one: Path, other: Path) -> bool:
    """Whether both are one folder, even if two mounts show it under two names."""
    try:
        return one == other or one.samefile(other)
    except OSError:  # it does not exist yet, or may not be read
        return False
