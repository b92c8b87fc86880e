"""The settings as they are in Lambda: buckets only, or none, and what belongs to a server has no effect."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import PlainValidator, field_validator, model_validator

from handler.config.fields import place
from handler.config.settings import About, CommonSettings, refuse_overlap
from sources.stores.s3 import S3Store

_IDLE: Final = (
    "cleanup_age_hours",
    "workers",
    "host",
    "port",
    "sources",
    "sqs_queue_url",
    "webhook_token",
    "rescan_seconds",
    "settle_seconds",
)


def _bucket(value: object) -> S3Store | None:
    found = None if value is None else place(value)
    if isinstance(found, Path):
        raise ValueError("is a folder, and in Lambda none lasts; name a bucket or leave it out")
    return found


class LambdaSettings(CommonSettings):
    """Without inbox and outbox only photos that come in base64 are taken."""

    inbox: Annotated[S3Store | None, PlainValidator(_bucket), About("Where the photos are", "s3://photos/in")] = None
    outbox: Annotated[
        S3Store | None, PlainValidator(_bucket), About("Where portraits and reports go", "s3://photos/out")
    ] = None

    @field_validator("workers", mode="after")
    @classmethod
    def _alone(cls, _: int) -> int:
        """Lambda gives an environment one call at a time, and the models are in its only process."""
        return 1

    @model_validator(mode="after")
    def _fit(self) -> "LambdaSettings":
        match self.inbox, self.outbox:
            case S3Store() as inbox, S3Store() as outbox:
                refuse_overlap(inbox, outbox)
            case None, None:
                pass
            case _:
                raise ValueError("go together: set both, as to s3://photos/in and s3://photos/out, or neither")
        return self

    @property
    def warnings(self) -> tuple[str, ...]:
        idle = [name for name in _IDLE if name in self.model_fields_set]
        return (*super().warnings, *(f"FACECRAFT_{name.upper()} has no effect in Lambda" for name in idle))
