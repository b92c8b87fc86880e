"""Answers about jobs, made from their records: the same at once, later, and by another service."""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from handler.api.models import (
    AcceptedResponse,
    BatchResponse,
    BatchResultItem,
    FacePortrait,
    Item,
    Job,
    ProcessResponse,
)
from handler.api.store import JobStore

_ROOT: Final = "/api/v1"
_STEM: Final = 100


def stems(filenames: Sequence[str]) -> list[str]:
    """A stem for each file of a batch, each once: `a`, `a-2`. They are in URLs only, never on a disk."""
    taken: dict[str, None] = {}
    for filename in filenames:
        name = re.split(r"[/\\]", filename)[-1]
        plain = re.sub(r"[\x00-\x1f\x7f]", "", name.rpartition(".")[0] or name)[:_STEM].strip()
        stem = plain = plain if plain.strip(".") else "photo"
        number = 2
        while stem in taken:
            stem, number = f"{plain}-{number}", number + 1
        taken[stem] = None
    return list(taken)


def answer(job: Job, store: JobStore) -> dict[str, Any]:
    """The answer of the route that made the job. OSError where its images are asked for and cannot be read."""
    return _batch(job, store) if job.kind == "batch" else _process(job, store)


def accepted(job: Job, store: JobStore) -> dict[str, Any]:
    url = f"{_ROOT}/jobs/{job.id}?t={store.token(job)}"
    return AcceptedResponse(job_id=job.id, status=job.status, status_url=url).model_dump()


def _process(job: Job, store: JobStore) -> dict[str, Any]:
    item = job.items[0]
    faces = _faces(job, item, store) if item.success else []
    first = faces[0].model_dump() if faces else {}
    return ProcessResponse(
        success=item.success,
        job_id=job.id,
        processing_time_ms=job.milliseconds,
        **first,
        error=item.error,
        error_message=item.error_message,
        status=job.status,
        report=item.report,
        more=faces if len(faces) > 1 else [],
    ).model_dump()


def _batch(job: Job, store: JobStore) -> dict[str, Any]:
    results = []
    for item in job.items:
        entry = BatchResultItem(
            filename=item.filename,
            success=item.success,
            error=item.error,
            error_message=item.error_message,
            report=item.report,
        )
        if item.success:
            (face, *_) = _faces(job, item, store)
            entry.download_url = _url(job, store, "png" if job.png else "jpg", quote(item.stem, safe=""))
            entry.png_base64, entry.jpg_base64 = face.png_base64, face.jpg_base64
        dumped = entry.model_dump()
        results.append(dumped if job.base64 else {name: dumped[name] for name in dumped if "base64" not in name})
    successful = sum(item.success for item in job.items)
    whole = BatchResponse(
        job_id=job.id,
        total=len(job.items),
        successful=successful,
        failed=len(job.items) - successful,
        processing_time_ms=job.milliseconds,
        results=[],
        status=job.status,
    ).model_dump()
    return {**whole, "results": results}


def _faces(job: Job, item: Item, store: JobStore) -> list[FacePortrait]:
    report: Mapping[str, Any] = item.report or {}
    parts = [report, *report.get("more", [])]
    return [_face(job, item, store, part, number) for number, part in enumerate(parts, 1)]


def _face(job: Job, item: Item, store: JobStore, part: Mapping[str, Any], number: int) -> FacePortrait:
    files = {str(file["name"]).rpartition(".")[2]: file for file in part["outputs"]}
    shown = files.get("png") or files["jpg"]
    box = dict(zip(("x", "y", "width", "height"), map(round, part["faces"].get("box", ())), strict=False))
    result = {
        "face_detected": True,
        "face_count": (item.report or {})["faces"]["count"],
        "face_position": box or None,
        "output_size": {"width": shown["width"], "height": shown["height"]},
        "file_size_bytes": shown["bytes"],
    }
    query = f"&face={number}" if number > 1 else ""
    urls = {f"{kind}_url": _url(job, store, kind) + query for kind in files}
    images = {f"{kind}_base64": _image(store, job, file) for kind, file in files.items()} if job.base64 else {}
    return FacePortrait.model_validate({"result": result, **urls, **images})


def _url(job: Job, store: JobStore, kind: str, stem: str | None = None) -> str:
    place = f"{job.id}/{stem}" if stem is not None else job.id
    return f"{_ROOT}/download/{place}/{kind}?t={store.token(job)}"


def _image(store: JobStore, job: Job, file: Mapping[str, Any]) -> str | None:
    found = store.get(job.id, str(file["name"]).rpartition("/")[2])
    return base64.b64encode(found[0]).decode("ascii") if found else None
