"""Predicts what a service will do with a file of the inbox. Uses the service's own checks, so both agree."""

import os
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from handler.cli.replay import Replay
from handler.config.settings import Settings
from handler.outbox.attempts import Attempts, Marker
from handler.outbox.listing_flags import REPLAY
from handler.outbox.originals import moved_to
from handler.outbox.paths import report_path
from handler.outbox.photo_version import PhotoVersion
from handler.outbox.reports import Report, done_checksums, read_report
from handler.workers import child
from handler.workers.messages import Job, Reply
from handler.workers.outcome import Failed, Rejected, Skipped
from pipeline.errors import PhotoRejected
from pipeline.formats.completeness import is_complete
from pipeline.image.probe import open_photo
from pipeline.image.provenance import refuse_own
from sources.filters import (
    SIDECAR,
    has_picture_ending,
    ignored_name,
    misnamed_sidecar,
    photo_of,
    sidecars_by_photo,
    why_ignored,
)
from sources.folder.snapshot import FileSnapshot, NotAPhoto, is_complete_file, sidecars_in, take_snapshot
from sources.stores.base import Blob, Conflict
from sources.stores.location import store_at


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to a file.

    Attributes:
        ok: It is done or being processed, or will be processed without anyone's help.
        text: Follows the file's name in a sentence, for example "will be processed".
    """

    ok: bool
    text: str


class Doctor:
    """Examines files of an inbox folder as a service with these settings would. Writes nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = str(settings.inbox)
        self._inbox, self._outbox = store_at(settings.inbox), store_at(settings.outbox)
        self._attempts = Attempts(self._outbox)
        self._replay = Replay(settings)

    def examine(self, file: str) -> Verdict:
        """Examines one file.

        Args:
            file: A path, relative to the current folder or to the inbox.
        """
        path = self._path_in_inbox(file)
        try:
            return self._by_path(path) or self._by_sidecar(path or "") or self._by_content(path or "")
        except (OSError, Conflict) as error:
            return Verdict(False, f"cannot be checked: {error}; check disks, mounts and permissions")

    def _path_in_inbox(self, file: str) -> str | None:
        """The path relative to the inbox; None outside it."""
        here, there = os.path.abspath(file), os.path.join(self._root, file)  # noqa: PTH100, PTH118 - resolve() would follow links
        found = next((place for place in (here, there) if os.path.lexists(place)), None)
        return self._relative(found) if found else self._relative(here) or self._relative(there)

    def _relative(self, place: str) -> str | None:
        folder, name = os.path.split(os.path.normpath(place))  # the service sees a link, not its target
        path = os.path.relpath(f"{os.path.realpath(folder)}/{name}", os.path.realpath(self._root))
        return None if path.partition("/")[0] in ("..", ".") else path

    def _by_path(self, path: str | None) -> Verdict | None:
        for folder in (self._settings.inbox, self._settings.outbox):
            if isinstance(folder, Path) and not folder.is_dir():
                return Verdict(False, f"{folder} does not exist; mount or create it")
        if path is None:
            return Verdict(False, f"is outside the inbox {self._root}, so it is not processed")
        if why := why_ignored(path):
            return Verdict(False, f"is ignored: {why}{self._purpose(path)}")
        return None

    def _purpose(self, sidecar: str) -> str:
        """What a sidecar is for, as the end of a sentence; "" for anything else."""
        photo = photo_of(sidecar)
        if photo is None or (self._inbox.exists(photo) and self._inbox.sidecar(photo) == sidecar):
            return f", the options of {photo}" if photo else ""
        folder, _, name = sidecar.rpartition("/")
        meant = (each for each in sorted(os.listdir(f"{self._root}/{folder}")) if _is_for(name, each))  # noqa: PTH208
        if other := next(meant, None):
            return f", and not used: for the photo {other} name it {other}{SIDECAR}"
        return f", the options of {photo}"

    def _by_sidecar(self, path: str) -> Verdict | None:
        folder, _, name = path.rpartition("/")
        if os.path.lexists(f"{self._root}/{path}") and (
            sidecar := misnamed_sidecar(name, sidecars_in(f"{self._root}/{folder}"))
        ):
            found = self._by_content(path)
            return Verdict(False, f"{found.text}; the sidecar {sidecar} is not used: name it {name}{SIDECAR}")
        return None

    def _by_content(self, path: str) -> Verdict:
        try:
            snapshot = take_snapshot(self._root, path)
        except NotAPhoto as error:
            return Verdict(False, f"is ignored: it is {error}")
        report = read_report(self._outbox, path).content
        if snapshot is None:
            return self._gone(path, report)
        marker, in_work = self._attempts.find(path)
        if marker and in_work:
            return Verdict(True, f"is being processed, {self._attempt(marker.attempts + 1)}")
        reply = child.with_photo(self._job(path, report), _checked_without_models)
        if report and _is_current(report, reply):
            return self._reported(path, report)
        return self._still_changing(path, snapshot) or self._predicted(reply) or self._pending(report, marker)

    def _gone(self, path: str, report: Report | None) -> Verdict:
        if os.path.islink(os.path.join(self._root, path)):  # noqa: PTH114, PTH118 - paths are plain str
            return Verdict(False, "is ignored: it is a link that leads to nothing")
        if report is None or report.get("outcome") != "done":
            return Verdict(False, "is not there")
        moved = moved_to(self._outbox, path, report)
        return Verdict(True, f"is done and {f'was moved to {moved}' if moved else 'gone'}; see {self._report(path)}")

    def _job(self, path: str, report: Report | None) -> Job:
        settings = self._settings
        base, limits = settings.recipe(), settings.limits()
        return Job(self._inbox, path, base, settings.presets, limits, done_checksums(report))

    def _reported(self, path: str, report: Report) -> Verdict:
        again = f"facecraft replay --name {shlex.quote(path)}"
        hint = str(report.get("hint")).removesuffix(".")
        why = f"{report.get('reason')}: {hint}. See {self._report(path)}. To try again: `{again}`"
        if report.get("outcome") == "rejected":
            return Verdict(False, f"was rejected: {why}")
        if report.get("outcome") == "failed":
            return Verdict(False, f"failed, {self._attempt(report.get('attempt'))}: {why}")
        if self._replay.has_current_options(path, report):
            return Verdict(True, f"is done; see {self._report(path)}")
        other = "is done, with other options than it would have now"
        return Verdict(True, f"{other}; see {self._report(path)}; `{again} --recipe` makes it again")

    def _still_changing(self, path: str, snapshot: FileSnapshot) -> Verdict | None:
        """A verdict on a file that may be incomplete, else None.

        Measures from the file's last change; a service measures from when it first saw that change.
        """
        unchanged = (time.time_ns() - snapshot.changed_ns) / 1e9
        wanted = self._settings.settle_seconds
        if unchanged >= wanted or (has_picture_ending(path) and self._is_complete(path)):
            return None
        return Verdict(True, f"may be incomplete: it will be processed once it has not changed for {wanted:g} s")

    def _is_complete(self, path: str) -> bool:
        try:
            return is_complete_file(self._root, path, is_complete)
        except OSError:  # reading the photo fails the same way, and is reported there
            return True

    def _predicted(self, reply: Reply) -> Verdict | None:
        match reply:
            case Rejected(reason, hint):
                return Verdict(False, f"will be rejected: {reason}: {hint}")
            case Failed("changed"):
                return Verdict(True, "is being written: it will be processed once it stops changing")
            case Failed(reason, error) if reply.counts:
                return Verdict(False, f"will fail: {reason}: {error.strip().splitlines()[-1]}")
        return None

    def _pending(self, report: Report | None, marker: Marker | None) -> Verdict:
        if marker and marker.attempts >= self._settings.max_attempts:
            return Verdict(False, f"will be reported as failed: {marker.reason}, {self._attempt(marker.attempts)}")
        if marker and marker.attempts:
            text = f"is tried again: {marker.reason}, {self._attempt(marker.attempts)} failed"
        elif marker:
            text = "was being processed when a service died, and is tried again, alone"
        elif report and REPLAY in report:
            text = "was put back to work and will be processed"
        else:
            text = "has changed since its report and will be processed" if report else "will be processed"
        return Verdict(True, text if self._attempts.services() else f"{text} when a service runs: none is running")

    def _attempt(self, number: object) -> str:
        return f"attempt {number} of {self._settings.max_attempts}"

    def _report(self, path: str) -> str:
        return f"{self._settings.outbox}/{report_path(path)}"


def _is_for(sidecar: str, photo: str) -> bool:
    return ignored_name(photo) is None and misnamed_sidecar(photo, sidecars_by_photo([sidecar])) is not None


def _is_current(report: Report, reply: Reply) -> bool:
    """Whether the report is about the file as it is now. A file that cannot be read matches any report of a failure."""
    if isinstance(reply, Failed) and reply.counts:
        return report.get("outcome") == "failed" and REPLAY not in report
    return isinstance(reply, Skipped) and reply.seen.checksums == done_checksums(report)


def _checked_without_models(job: Job, photo: Blob, sidecar: Blob | None, seen: PhotoVersion) -> Reply:
    """Rejects what can be rejected without models; Skipped stands for all else."""
    try:
        child.resolved_for(job, photo, sidecar)
        refuse_own(open_photo(photo.data, job.limits)[0])
    except PhotoRejected as rejection:
        return Rejected(rejection.reason, rejection.hint, seen=seen)
    return Skipped(seen=seen)
