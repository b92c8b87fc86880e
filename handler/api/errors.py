"""What is answered instead of a result: a status, and `detail` as FastAPI spells it."""

from collections.abc import Mapping
from http import HTTPStatus

SOON = "1"
LATER = "5"


class ApiError(Exception):
    """Is answered as `{"detail": ...}`. `detail` is a sentence, or a list of what is wrong with the fields."""

    def __init__(self, status: HTTPStatus, detail: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(detail))
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


def field_error(place: str, field: str, kind: str, message: str, given: object = None) -> dict[str, object]:
    """One entry of a 422's `detail`; `place` is body or query."""
    return {"type": kind, "loc": [place, field], "msg": message, "input": given}


def invalid(*errors: Mapping[str, object]) -> ApiError:
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, list(errors))


def not_now(why: str) -> ApiError:
    """503: come again."""
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {why}", {"Retry-After": LATER})
