"""The pipeline's errors."""

from typing import Any

from pipeline.reasons import REASONS


class PhotoRejected(Exception):
    """The photo itself is the reason, so a retry cannot help.

    `reason` is a key of `reasons.REASONS`; `hint` says in a sentence what to do: the reason's own, and the detail.
    `facts` is what the report can still say: `source` and `faces`, as far as they are known.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        self.facts: dict[str, Any] = {}
        self.hint = f"{REASONS[reason]} ({detail})" if detail else REASONS[reason]
        super().__init__(reason, detail)

    def __str__(self) -> str:
        return f"{self.reason}: {self.hint}"


class ModelError(Exception):
    """A model's file is missing, is not the published one, or does not load. The message names the file and the fix."""
