"""A call of the function: what it brings, and how it fails."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Answer = dict[str, Any]
"""JSON: the report of a photo, what became of the photos of an event, or `batchItemFailures`."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call. `remaining` gives the seconds that are left to answer it."""

    request_id: str
    remaining: Callable[[], float]


class FunctionError(Exception):
    """The call fails. `kind` is Lambda's errorType, such as `InvalidImage`; the message says what to do."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
