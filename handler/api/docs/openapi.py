"""The API as OpenAPI 3.1. Schemas come from the models that answers are made of, operation ids from the original."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from handler import __version__
from handler.api import models
from handler.api.fields import BatchFields, ProcessFields, QuickFields

Json = dict[str, Any]

_ANSWERS: Final[tuple[type[BaseModel], ...]] = (
    models.HealthResponse,
    models.ReadyResponse,
    models.StatusResponse,
    models.ProcessResponse,
    models.BatchResponse,
    models.AcceptedResponse,
    models.MessageResponse,
    models.Failure,
    models.HTTPValidationError,
)
_WHY: Final[Mapping[int, str]] = {
    400: "The form cannot be read, or holds no picture",
    401: "The key is missing or wrong",
    403: "A page of a site that FACECRAFT_CORS_ORIGINS does not list",
    404: "There is no such job or file",
    408: "The body did not come in time",
    409: "The job of this Idempotency-Key has just begun",
    413: "The photo, the batch or the number of files is over its limit",
    429: "Too many jobs; Retry-After says when to come again",
    500: "A fault of the service",
    503: "Not ready; Retry-After says when to come again",
}
_POST: Final = (400, 401, 403, 408, 409, 413, 429, 500, 503)
_READ: Final = (401, 403, 404, 429, 500, 503)


def _parameter(place: str, name: str, schema: Json, **more: str) -> Json:
    return {"name": name, "in": place, "required": place == "path", **more, "schema": schema}


_TEXT: Final[Json] = {"type": "string"}
_ID: Final = _parameter("path", "job_id", _TEXT, example="3188cc75")
_STEM: Final = _parameter("path", "stem", _TEXT, example="anna")
_FORMAT: Final = _parameter("path", "format", _TEXT, example="png")
_TOKEN: Final = _parameter("query", "t", _TEXT, description="The token of the job's own links; stands for the key")
_FACE: Final = _parameter("query", "face", _TEXT, description="Which of several portraits, from 1")
_ASYNC: Final = _parameter(
    "query",
    "async",
    {"type": "boolean", "default": False},
    description="Answer 202 at once; `status_url` tells how the job ends",
)
_ONCE: Final = _parameter(
    "header",
    "Idempotency-Key",
    {**_TEXT, "minLength": 1, "maxLength": 255},
    description="The same key with the same form gives the same job",
)


@cache
def document() -> Json:
    """The whole document."""
    kinds = [(kind, "serialization") for kind in _ANSWERS]
    _, schemas = models_json_schema(kinds, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    definitions: Json = schemas["$defs"]
    for kind, field, many in (
        (ProcessFields, "file", False),
        (QuickFields, "file", False),
        (BatchFields, "files", True),
    ):
        definitions[kind.__name__] = _form(kind, field, many=many)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Facecraft API", "version": __version__, "description": "Portraits from photos of people"},
        "paths": _paths(),
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _form(kind: type[BaseModel], field: str, *, many: bool) -> Json:
    file: Json = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    one: Json = {"type": "array", "items": file, "minItems": 1} if many else file
    what = "The photos" if many else "The photo: JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF"
    properties = {field: {**one, "description": what}} | {
        name: _without_null(each) for name, each in schema["properties"].items()
    }
    return {"type": "object", "title": kind.__name__, "required": [field], "properties": properties}


def _without_null(schema: Json) -> Json:
    """A form has no null: what is not sent is left out."""
    kept = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    for each in schema.get("anyOf", ()):
        if each != {"type": "null"}:
            kept |= each
    if "enum" in kept:
        kept["enum"] = [word for word in kept["enum"] if word is not None]
    return kept


def _paths() -> Json:
    return {
        "/health": {"get": _get("Health Check", "health_check_health_get", "health", "HealthResponse", {503: None})},
        "/ready": {"get": _get("Readiness Check", "readiness_check_ready_get", "health", "ReadyResponse", {503: None})},
        "/status": {"get": _get("Detailed Status", "detailed_status_status_get", "health", "StatusResponse", {})},
        "/api/v1/process": {
            "post": _post(
                "Process Single Photo", "process_single_photo_api_v1_process_post", ProcessFields, "ProcessResponse"
            )
        },
        "/api/v1/process/quick": {
            "post": _post("Process Quick", "process_quick_api_v1_process_quick_post", QuickFields, None)
        },
        "/api/v1/process/batch": {
            "post": _post("Process Batch", "process_batch_api_v1_process_batch_post", BatchFields, "BatchResponse")
        },
        "/api/v1/download/{job_id}/{format}": {
            "get": _download(
                "Download Processed Photo",
                "download_processed_photo_api_v1_download__job_id___format__get",
                [_ID, _FORMAT],
            )
        },
        "/api/v1/download/{job_id}/{stem}/{format}": {
            "get": _download(
                "Download Photo Of Batch",
                "download_photo_of_batch_api_v1_download__job_id___stem___format__get",
                [_ID, _STEM, _FORMAT],
            )
        },
        "/api/v1/jobs/{job_id}": {
            "get": _job("Job Status", "job_status_api_v1_jobs__job_id__get", [_ID, _TOKEN], _either()),
            "delete": _job("Cleanup Job", "cleanup_job_api_v1_jobs__job_id__delete", [_ID], _ref("MessageResponse")),
        },
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _either() -> Json:
    return {"anyOf": [_ref("ProcessResponse"), _ref("BatchResponse")]}


def _content(schema: Json, description: str = "Successful Response") -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _failures(statuses: tuple[int, ...]) -> Json:
    return {str(status): _content(_ref("Failure"), _WHY[status]) for status in statuses}


def _get(summary: str, name: str, tag: str, schema: str, others: Mapping[int, None]) -> Json:
    responses = {"200": _content(_ref(schema))} | {str(status): _content(_ref(schema), "Not now") for status in others}
    return {"tags": [tag], "summary": summary, "operationId": name, "responses": responses}


def _secured(summary: str, name: str, parameters: list[Json], responses: Json) -> Json:
    return {
        "tags": ["processing"],
        "summary": summary,
        "operationId": name,
        "parameters": parameters,
        "security": [{}, {"key": []}, {"bearer": []}],
        "responses": responses,
    }


def _post(summary: str, name: str, form: type[BaseModel], answer: str | None) -> Json:
    if answer is None:
        done: Json = {"200": {"description": "The portrait", "content": {"image/png": {"schema": {"type": "string"}}}}}
        parameters: list[Json] = []
    else:
        done = {"200": _content(_ref(answer)), "202": _content(_ref("AcceptedResponse"), "Accepted (async=true)")}
        parameters = [_ASYNC, _ONCE]
    wrong = {"422": _content(_ref("HTTPValidationError"), "Validation Error")}
    body = {"required": True, "content": {"multipart/form-data": {"schema": _ref(form.__name__)}}}
    return {**_secured(summary, name, parameters, done | wrong | _failures(_POST)), "requestBody": body}


def _download(summary: str, name: str, parameters: list[Json]) -> Json:
    image = {"schema": {"type": "string"}}
    images = {"content": {"image/png": image, "image/jpeg": image}}
    responses = {
        "200": {"description": "The image", **images},
        "206": {"description": "The part that Range names", **images},
        "304": {"description": "Not changed (If-None-Match)"},
        "416": {"description": "The image has no such part"},
    }
    return _secured(summary, name, [*parameters, _FACE, _TOKEN], responses | _failures((400, *_READ)))


def _job(summary: str, name: str, parameters: list[Json], schema: Json) -> Json:
    return _secured(summary, name, parameters, {"200": _content(schema)} | _failures(_READ))
