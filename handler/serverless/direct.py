"""A direct call: a photo in base64, which is not stored, or one in the inbox."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from handler.config.options import ResolvedOptions, invoked
from handler.outbox.metadata import provenance
from handler.outbox.paths import INVOCATIONS
from handler.outbox.writer import named, output
from handler.processing import report
from handler.processing.process import Pool
from handler.processing.report import Outputs
from handler.serverless.invocation import Answer, FunctionError
from handler.telemetry.log import photo_line
from handler.workers import child
from handler.workers.messages import Job, Reply
from handler.workers.outcome import Failed, Processed, Rejected, Skipped
from handler.workers.pool import PoolUnavailable
from handler.workers.worker_process import WorkerDied, WorkerTimedOut
from pipeline.errors import PhotoRejected
from pipeline.reasons import REASONS
from pipeline.recipe import nearest
from pipeline.types import Limits, Picture
from sources.events import Event
from sources.notifications.fields import short_repr
from sources.stores.base import Conflict, Outbox
from sources.stores.memory import MemoryStore

ANSWER_BYTES: Final = 6 * 1024 * 1024
"""Lambda's limit."""

_FIELDS: Final = ("image", "options")
_SCHEME: Final = "invocation"
_PATH: Final = "image"
_STEM: Final = "portrait"
_TOO_LARGE: Final = (
    "the portrait is over the 6 MB that an answer holds, and there is no outbox for it: set FACECRAFT_INBOX and "
    'FACECRAFT_OUTBOX, for example to s3://photos/in and s3://photos/out, or ask for less, as in {"width": 800}'
)
_BASE64: Final = 'send {"image": "<base64>"}, with what `base64 -w0 anna.jpg` prints, or a photo as s3://BUCKET/KEY'


@dataclass(frozen=True, slots=True)
class DirectRequest:
    """A direct call.

    Attributes:
        image: The photo's bytes, or its `s3://` URI.
        options: Those of this photo.
    """

    image: bytes | str
    options: Mapping[str, object]


def parse_request(event: Mapping[str, object]) -> DirectRequest:
    """Parse a direct call. Raises FunctionError if it is invalid."""
    if unknown := [name for name in event if name not in _FIELDS]:
        raise FunctionError(
            "InvalidEvent", f"{short_repr(unknown[0])} is not a field of a call; {nearest(unknown[0], _FIELDS)}"
        )
    options = event.get("options") or {}
    if not isinstance(options, Mapping):
        raise FunctionError(
            "InvalidEvent", f'options is {short_repr(options)}; write an object, as in {{"width": 800}}'
        )
    return DirectRequest(_image(event["image"]), options)


def _image(image: object) -> bytes | str:
    if not isinstance(image, str) or not image.strip():
        raise FunctionError("InvalidImage", f"image is {short_repr(image)}; {_BASE64}")
    if image.startswith("s3://"):
        return image
    try:
        return base64.b64decode("".join(image.split()), validate=True)
    except ValueError as error:
        raise FunctionError(
            "InvalidImage", f"image is {short_repr(image)}, which is not base64 ({error}); {_BASE64}"
        ) from error


@dataclass(frozen=True, slots=True)
class InlineProcess:
    """Processes photos that are sent with their calls.

    Attributes:
        base: The options that hold before those of the call.
        limits: What a photo may measure.
        pool: Processes the photos.
        outbox: Takes images that an answer cannot hold.
    """

    base: ResolvedOptions
    limits: Limits
    pool: Pool
    outbox: Outbox | None

    def __call__(self, photo: bytes, options: Mapping[str, object], request_id: str) -> Answer:
        """Process one photo.

        Returns:
            The photo's report with its images, or their URIs if they are too large for an answer.

        Raises:
            FunctionError: There is no report, and the call may work next time.
        """
        inbox = MemoryStore(_SCHEME, {_PATH: photo})
        event = Event(inbox.uri(_PATH), _PATH, inbox.read(_PATH).version, source="lambda")
        match self._reply(Job(inbox, _PATH, self.base, {}, self.limits), options):
            case Processed() as reply:
                photo_line(event, "done", stages_ms=reply.result.stages_ms)
                return self._done(event, reply, request_id)
            case Rejected() as reply:
                photo_line(event, "rejected", reason=reply.reason)
                return report.rejected(event, reply, attempt=1)
            case Failed(reason, error) as reply if reply.counts:
                photo_line(event, "failed", reason=reason)
                raise FunctionError(_kind(reason), f"{REASONS[reason]} {error}")
        raise FunctionError("RetryLater", "the photo was not read: call again")

    def _reply(self, job: Job, options: Mapping[str, object]) -> Reply:
        try:
            return self.pool.run(replace(job, base=invoked(self.base, options)))
        except PhotoRejected as wrong:
            read = child.read_version(job)
            return Rejected(wrong.reason, wrong.hint, seen=read.seen) if isinstance(read, Skipped) else read
        except PoolUnavailable as error:
            raise FunctionError("RetryLater", f"{error}: call again") from error
        except WorkerDied as error:
            return Failed("processing_crashed", str(error))
        except WorkerTimedOut as error:
            return Failed("processing_timed_out", str(error))

    def _done(self, event: Event, reply: Processed, request_id: str) -> Answer:
        def answer(stem: str, deliver: Callable[[str, Picture], dict[str, str]]) -> Answer:
            files: Outputs = [
                [output(name, picture) | deliver(name, picture) for name, picture in portrait]
                for portrait in named(stem, reply.result.portraits)
            ]
            return report.done(event, reply, files, attempt=1)

        whole = answer(_STEM, _in_base64)
        if len(json.dumps(whole)) <= ANSWER_BYTES:
            return whole
        return answer(f"{INVOCATIONS}/{request_id}", self._stored)

    def _stored(self, name: str, picture: Picture) -> dict[str, str]:
        if self.outbox is None:
            raise FunctionError("AnswerTooLarge", _TOO_LARGE)
        try:
            _put(self.outbox, name, picture.data)
        except (OSError, Conflict) as error:
            raise FunctionError("OutboxUnavailable", f"{name} cannot be written: {error}; call again") from error
        return {"uri": self.outbox.uri(name)}


def _put(outbox: Outbox, name: str, data: bytes) -> None:
    """Write the file, or replace that of an earlier try: Lambda repeats `Event` calls that failed."""
    try:
        outbox.write(name, data, metadata=provenance(_PATH))
    except Conflict:
        outbox.write(name, data, replaces=outbox.read(name).version, metadata=provenance(_PATH))


def _in_base64(_: str, picture: Picture) -> dict[str, str]:
    return {"image": base64.b64encode(picture.data).decode("ascii")}


def _kind(reason: str) -> str:
    """`processing_crashed` as an errorType: `ProcessingCrashed`."""
    return reason.title().replace("_", "")
