"""An invocation of the function: its context, and how it fails."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Answer = dict[str, Any]
"""JSON: a photo's report, the outcomes of an event's photos, or `batchItemFailures`."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """The context of one call. `remaining` returns the seconds left until its deadline."""

    request_id: str
    remaining: Callable[[], float]


class FunctionError(Exception):
    """The call fails. `kind` is Lambda's errorType, such as `InvalidImage`; the message says what to do."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
