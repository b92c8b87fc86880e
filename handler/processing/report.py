"""The report of one photo: what happened, in the words of the contract (handler/README.md, "The report"). Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from handler.outbox.photo_version import PhotoVersion
from handler.workers.outcome import Processed, Rejected
from pipeline.reasons import REASONS
from sources.events import Event

Report = dict[str, Any]
Outputs = Sequence[Sequence[Mapping[str, Any]]]


def done(event: Event, reply: Processed, outputs: Outputs, attempt: int) -> Report:
    """The report on a photo with portraits. `outputs`: each portrait's files, from left to right."""
    facts, first = reply.result.facts, reply.result.portraits[0].facts
    return {
        "outcome": "done",
        "reason": None,
        "hint": None,
        "source": _source(event, reply.seen) | facts["source"],
        "recipe": reply.recipe,
        "faces": {"count": facts["face_count"], **first["faces"]},
        "geometry": first["geometry"],
        "cutout": facts["cutout"],
        "restoration": facts["restoration"],
        "restored_faces": facts["restored_faces"],
        "notes": list(facts["notes"]),
        "outputs": list(outputs[0]),
        "more": [
            {**portrait.facts, "outputs": list(files)}
            for portrait, files in zip(reply.result.portraits[1:], outputs[1:], strict=True)
        ],
        "models": facts["models"],
        "attempt": attempt,
        "stages_ms": reply.result.stages_ms,
    }


def rejected(event: Event, reply: Rejected, attempt: int) -> Report:
    report = _without_portrait("rejected", reply.reason, reply.hint, event, reply.seen, attempt)
    source = report["source"] | reply.facts.get("source", {})
    return {**report, **reply.facts, "source": source, "recipe": reply.recipe}


def failed(event: Event, seen: PhotoVersion, reason: str, error: str, attempt: int) -> Report:
    report = _without_portrait("failed", reason, REASONS[reason], event, seen, attempt)
    return {**report, "error": error}


def _without_portrait(outcome: str, reason: str, hint: str, event: Event, seen: PhotoVersion, attempt: int) -> Report:
    return {
        "outcome": outcome,
        "reason": reason,
        "hint": hint,
        "source": _source(event, seen),
        "outputs": [],
        "notes": [],
        "attempt": attempt,
    }


def _source(event: Event, seen: PhotoVersion) -> Report:
    return {
        "uri": event.uri,
        "version": seen.etags[0] if seen.etags else event.version,
        "sha256": seen.checksums.sha256,
        "bytes": seen.checksums.bytes,
        "sidecar_sha256": seen.checksums.sidecar_sha256,
    }
