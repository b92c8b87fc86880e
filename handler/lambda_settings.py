"""The settings as they are in Lambda: buckets only, or none."""

from typing import Annotated

from pydantic import AfterValidator, model_validator

from handler.settings import About, CommonSettings, refuse_overlap
from handler.stores import Place
from handler.values import PlaceValue
from sources.s3 import S3Store


def _bucket(value: Place) -> S3Store:
    if not isinstance(value, S3Store):
        raise ValueError("is a folder, and in Lambda nothing stays in one; write s3://BUCKET/PREFIX, or leave it out")
    return value


_Bucket = Annotated[PlaceValue, AfterValidator(_bucket)]


class LambdaSettings(CommonSettings):
    """Without inbox and outbox only photos that come in base64 are taken."""

    inbox: Annotated[_Bucket | None, About("Where the photos are", "s3://photos/in", "(none)")] = None
    outbox: Annotated[_Bucket | None, About("Where the results go", "s3://photos/out", "(none)")] = None

    @model_validator(mode="after")
    def _fit(self) -> "LambdaSettings":
        if (self.inbox is None) != (self.outbox is None):
            raise ValueError("go together: set both, for example to s3://photos/in and s3://photos/out, or neither")
        if isinstance(self.inbox, S3Store) and isinstance(self.outbox, S3Store):
            refuse_overlap(self.inbox, self.outbox)
        return self
