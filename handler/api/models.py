"""What the API answers, and what it remembers of a job: their keys and types. The original's names are kept."""

from typing import Any, Literal

from pydantic import BaseModel, Field

Status = Literal["queued", "running", "done", "failed", "expired"]
UPLOAD_BASE64 = "bare base64, without a data: prefix"


class HealthResponse(BaseModel):
    """The process is alive."""

    status: str = "healthy"


class ReadyResponse(BaseModel):
    """Whether photos can be processed now, and else why not."""

    ready: bool
    models_loaded: bool
    reasons: list[str] = []


class DeviceInfo(BaseModel):
    """What the networks run on."""

    type: str
    name: str | None = None
    cuda_version: str | None = None


class ModelStatus(BaseModel):
    """One model by its role."""

    loaded: bool
    type: str


class Statistics(BaseModel):
    """Of all photos since the start, whatever way they came."""

    total_processed: int
    success_rate: float
    avg_processing_ms: float


class StatusResponse(BaseModel):
    """The original's keys; ours stand beside them."""

    status: str
    version: str
    uptime_seconds: int
    device: DeviceInfo
    models: dict[str, ModelStatus]
    statistics: Statistics


class FacePosition(BaseModel):
    """The face in pixels of the upright photo."""

    x: int
    y: int
    width: int
    height: int


class ProcessResult(BaseModel):
    """What was found and made."""

    face_detected: bool
    face_count: int
    face_position: FacePosition | None = None
    output_size: dict[str, int]
    file_size_bytes: int


class FacePortrait(BaseModel):
    """One of several portraits of one photo (`face_policy=all`), from left to right."""

    result: ProcessResult
    png_url: str | None = None
    jpg_url: str | None = None
    png_base64: str | None = None
    jpg_base64: str | None = None


class ProcessResponse(BaseModel):
    """The answer to one photo. `success` is false, with the status 200, where there is no portrait."""

    success: bool
    job_id: str
    processing_time_ms: int
    result: ProcessResult | None = None
    download_url: str | None = None
    png_url: str | None = None
    jpg_url: str | None = None
    png_base64: str | None = Field(None, description=UPLOAD_BASE64)
    jpg_base64: str | None = Field(None, description=UPLOAD_BASE64)
    error: str | None = None
    error_message: str | None = None
    status: Status = "done"
    report: dict[str, Any] | None = None
    more: list[FacePortrait] = []


class BatchResultItem(BaseModel):
    """One photo of a batch. The two base64 keys are there where `return_base64=true` was sent."""

    filename: str
    success: bool
    download_url: str | None = None
    error: str | None = None
    error_message: str | None = None
    png_base64: str | None = None
    jpg_base64: str | None = None
    report: dict[str, Any] | None = None


class BatchResponse(BaseModel):
    """The answer to a batch, in the order that was sent."""

    job_id: str
    total: int
    successful: int
    failed: int
    processing_time_ms: int
    results: list[BatchResultItem]
    status: Status = "done"


class AcceptedResponse(BaseModel):
    """A job that is worked on after the answer; `status_url` tells how it ends."""

    job_id: str
    status: Status
    status_url: str


class MessageResponse(BaseModel):
    """What was done."""

    message: str


class Failure(BaseModel):
    """Why there is no answer."""

    detail: str


class ValidationError(BaseModel):
    """What is wrong with one field."""

    type: str
    loc: list[str | int]
    msg: str
    input: Any = None
    ctx: dict[str, Any] | None = None


class HTTPValidationError(BaseModel):
    """What is wrong with the fields."""

    detail: list[ValidationError]


# What lies in the outbox: jobs/<id>/job.json


class Item(BaseModel):
    """One photo of a job. `report` and `error` are None until it was worked on."""

    number: int
    filename: str
    stem: str
    error: str | None = None
    error_message: str | None = None
    report: dict[str, Any] | None = None

    @property
    def success(self) -> bool:
        return self.report is not None and self.report["outcome"] == "done"


class Job(BaseModel):
    """A job as it lies in the outbox.

    Attributes:
        nonce: Makes the token of its links one of this job, though ids of eight digits may come again.
        owner: The service that works on it.
        lasting: Whether its uploads lie in the outbox, so that another service can take it up.
        png: Whether PNGs are kept.
        base64: Whether answers hold the images.
        recipe: The options of its photos, and where they come from.
        notes: What every report is given beside its own notes.
        key: The sha256 of its Idempotency-Key, and of what was sent with it.
    """

    id: str
    kind: Literal["process", "batch"]
    created: float
    nonce: str
    owner: str
    status: Status = "queued"
    lasting: bool = False
    attempts: int = 0
    finished: float | None = None
    milliseconds: int = 0
    png: bool = True
    base64: bool = False
    recipe: dict[str, Any] = {}
    origins: dict[str, str] = {}
    notes: list[str] = []
    callback_url: str | None = None
    key: tuple[str, str] | None = None
    items: list[Item]

    @property
    def was_interrupted(self) -> bool:
        """Whether its service died, and nothing came of it."""
        return self.status == "failed" and any(item.error == "interrupted" for item in self.items)

    @property
    def is_open(self) -> bool:
        return self.status in ("queued", "running")
