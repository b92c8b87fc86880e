"""Publishes results: images first, then stale images are deleted, the report last: it implies that its images exist."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from handler.outbox.listing_flags import REPLAY, flag_of, padded
from handler.outbox.metadata import provenance
from handler.outbox.paths import portrait_stems, report_path
from handler.outbox.reports import NO_REPORT, StoredReport, read_report
from pipeline.errors import PhotoRejected
from pipeline.image.provenance import owner_of
from pipeline.types import Picture, Rendered
from sources.stores.base import Blob, Conflict, Outbox, TooLarge

_MAX_BYTES: Final = 256 * 1024 * 1024
_TRIES: Final = 5
_KINDS: Final = ("png", "jpg")
_LONG_AGO: Final = 0
"""A stamp that equals no photo's ctime."""

_BLOCKING: Final = (IsADirectoryError, NotADirectoryError, PermissionError, TooLarge)

Output = dict[str, Any]


class _NameTaken(Exception):
    """Something else has the name, which is not this photo's."""


@dataclass(frozen=True, slots=True)
class OutboxWriter:
    """Writes into one outbox. Every method may raise OSError: the outbox is full, read-only or away."""

    outbox: Outbox

    @contextmanager
    def locked(self, path: str, replaces: StoredReport, *, exclusive: bool = False) -> Iterator[None]:
        """Hold this around `publish` and `commit`, so that no other service writes for this photo meanwhile.

        A slow service must not put old images beside a new report, so the report is compared again. Not if conditions
        guard each write and `exclusive` says that no other service can have taken the photo since `replaces` was read:
        if one was faster all the same, the first write is refused.

        Raises:
            Conflict: The report is no longer `replaces`.
        """
        with self.outbox.lock(path):
            if not (exclusive and self.outbox.conditional):
                self._check_report(path, replaces)
            yield

    def publish(
        self, path: str, portraits: Sequence[Rendered], replaces: StoredReport = NO_REPORT
    ) -> list[list[Output]]:
        """Write the images of a photo; returns the report's entries for each portrait's files.

        The PNG claims the name for both files. What belongs to another photo, or to nobody, is left alone. All
        portraits of a photo share one stem: the last one that it used, if it can.

        Args:
            replaces: The report that will be replaced.

        Raises:
            PhotoRejected: `name_blocked`: every name is taken.
            Conflict: Another service was faster: the report is no longer `replaces`.
        """
        if not portraits:
            return []
        for stem in _stems(path, replaces.content):
            files = named(stem, portraits)
            try:
                self._write_images(path, [file for portrait in files for file in portrait], replaces)
            except _NameTaken as taken:
                blocked = taken
            else:
                return [[output(name, picture) for name, picture in portrait] for portrait in files]
        if isinstance(blocked.__cause__, PermissionError):
            raise blocked.__cause__
        raise PhotoRejected("name_blocked", str(blocked))

    def commit(
        self,
        path: str,
        report: Mapping[str, Any],
        *,
        replaces: StoredReport = NO_REPORT,
        changed_ns: int,
        metadata: Mapping[str, str] | None = None,
        clean: bool = False,
    ) -> str:
        """Delete the photo's images that the report does not name, then write the report; returns its version.

        Args:
            replaces: The report that was compared.
            changed_ns: The stamp, see `reports.trusted_stamp`.
            metadata: The report object's user metadata.
            clean: No images exist that no report names, so there is no need to look for them.

        Raises:
            Conflict: The report is no longer `replaces`.
        """
        kept = _names(report)
        stale = [name for name in _names(replaces.content) if name not in kept]
        if stale or not clean:
            self._check_report(path, replaces)
            self._remove(path, [*stale, *([] if clean else self._leftovers(path, kept))], kept=kept)
        return self._write_report(path, report, replaces.version, changed_ns, metadata)

    def tidy(self, path: str) -> None:
        """Delete the photo's images that no report names, because a service died or another one was faster."""
        with self.outbox.lock(path):
            kept = _names(read_report(self.outbox, path).content)
            self._remove(path, self._leftovers(path, kept), kept=kept)

    def owner(self, name: str) -> str | None:
        """The path of the photo that the image was made from; None if it is not ours, or does not exist."""
        try:
            return owner_of(self._stable_read(name).data)
        except (FileNotFoundError, *_BLOCKING):
            return None

    def expire(self, path: str, before_ns: int) -> int:
        """Delete the photo's images if its report is older, and keep the report; returns how many.

        Conflict if one is replaced meanwhile.
        """
        with self.outbox.lock(path):
            report = read_report(self.outbox, path).content
            if not 0 < self.outbox.changed(report_path(path)) < before_ns:
                return 0
            return self._remove(path, _names(report), kept=())

    def replay(self, path: str, report: Mapping[str, Any], *, replaces: str) -> None:
        """Mark the report, so that its photo is processed again. Report and images stay until they are replaced."""
        with self.locked(path, StoredReport(report, replaces)):
            again = {**report, REPLAY: datetime.now(UTC).isoformat(timespec="seconds")}
            self._write_report(path, again, replaces, _LONG_AGO)

    def _remove(self, path: str, names: Sequence[str], *, kept: Sequence[str]) -> int:
        """Returns how many. Conflict if one is replaced meanwhile: only the version that was read is deleted."""
        removed = 0
        for name in names:
            if name not in kept and (standing := self._own(path, name)):
                self.outbox.delete(name, standing.version)
                removed += 1
        return removed

    def _write_report(
        self,
        path: str,
        report: Mapping[str, Any],
        replaces: str | None,
        stamp_ns: int,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        text = padded(json.dumps(report, indent=2), flag_of(report))  # ASCII: names may be no UTF-8
        metadata = {**provenance(path), **(metadata or {})}
        return self.outbox.write(
            report_path(path), text.encode("ascii"), replaces=replaces, stamp_ns=stamp_ns, metadata=metadata
        )

    def _check_report(self, path: str, expected: StoredReport) -> None:
        if read_report(self.outbox, path).version != expected.version:
            raise Conflict(f"the report of {path!r} was written by another service")

    def _write_images(self, path: str, files: Sequence[tuple[str, Picture]], replaces: StoredReport) -> None:
        """_NameTaken, with nothing left behind, if one of the names is not this photo's."""
        expected = set(_names(replaces.content))
        own = {name: self._own_image(path, name) for name, _ in files if name in expected}
        written = {}
        try:
            for name, picture in files:
                version = self._write_image(path, name, picture.data, own.get(name), replaces)
                if name not in expected:
                    written[name] = version
        except _NameTaken:
            for name, version in written.items():
                with suppress(Conflict):
                    self.outbox.delete(name, version)
            raise

    def _write_image(self, path: str, name: str, data: bytes, own: Blob | None, replaces: StoredReport) -> str:
        """Writes first, and reads only if something is there; returns the version."""
        for _ in range(_TRIES):
            if own and own.data == data:
                return own.version
            try:
                return self.outbox.write(name, data, replaces=own.version if own else None, metadata=provenance(path))
            except Conflict:
                own = self._own_image(path, name)
                # our own: of a service that was killed, or of a faster one, whose report is there by now
                self._check_report(path, replaces)
            except _BLOCKING:
                self._own_image(path, name)
                raise
        raise Conflict(f"{name!r} changes whenever it is to be replaced")

    def _own_image(self, path: str, name: str) -> Blob | None:
        """The image, if it is this photo's; None if there is none. Else _NameTaken."""
        try:
            blob = self._stable_read(name)
        except FileNotFoundError:
            return None
        except _BLOCKING as error:
            raise _NameTaken(name) from error
        if owner_of(blob.data) != path:
            raise _NameTaken(name)
        return blob

    def _stable_read(self, name: str) -> Blob:
        for _ in range(_TRIES):
            with suppress(Conflict):  # its owner is just replacing it
                return self.outbox.read(name, _MAX_BYTES)
        return self.outbox.read(name, _MAX_BYTES)

    def _own(self, path: str, name: str) -> Blob | None:
        """The image, if it is this photo's; else None."""
        try:
            return self._own_image(path, name)
        except _NameTaken:
            return None

    def _leftovers(self, path: str, kept: Sequence[str]) -> list[str]:
        """The images of this photo that a service left when it was killed before it wrote their report.

        Highest number first: a service that is killed while it deletes them leaves the rest to be found by counting.
        """
        found = [name for stem in portrait_stems(path) for name in self._own_images(path, stem, kept)]
        return found[::-1]

    def _own_images(self, path: str, stem: str, kept: Sequence[str]) -> Iterator[str]:
        """Those of `kept` are not read. A PNG is written before its JPEG and deleted after it: it stands for both."""
        if f"{stem}.png" in kept or self._own(path, f"{stem}.png"):
            yield from (f"{stem}.{kind}" for kind in _KINDS)
        number = 1
        while (png := f"{stem}-{number}.png") in kept or self._own(path, png):
            yield from (f"{stem}-{number}.{kind}" for kind in _KINDS)
            number += 1


def _stems(path: str, previous: Mapping[str, Any] | None) -> list[str]:
    """The photo's stems; first the one that its last report used: a photo keeps its name."""
    used = set(_names(previous))
    return sorted(portrait_stems(path), key=lambda stem: used.isdisjoint({f"{stem}.png", f"{stem}-1.png"}))


def named(stem: str, portraits: Sequence[Rendered]) -> list[list[tuple[str, Picture]]]:
    """A name for each picture, PNGs first. One portrait gets the stem; several are numbered from left to right."""
    suffixes = [""] if len(portraits) == 1 else [f"-{number}" for number in range(1, len(portraits) + 1)]
    return [
        [(f"{stem}{suffix}.{picture.kind}", picture) for picture in sorted(portrait.pictures, key=_png_first)]
        for suffix, portrait in zip(suffixes, portraits, strict=True)
    ]


def _png_first(picture: Picture) -> bool:
    return picture.kind != "png"


def output(name: str, picture: Picture) -> Output:
    """A report's entry for a file."""
    return {
        "name": name,
        "sha256": sha256(picture.data).hexdigest(),
        "bytes": len(picture.data),
        "width": picture.width,
        "height": picture.height,
    }


def _names(report: Mapping[str, Any] | None) -> list[str]:
    """The images that a report names, last first, and nothing else, whatever someone wrote into it."""
    if report is None:
        return []
    more = report.get("more")
    parts = [report, *(more if isinstance(more, list) else [])]
    files = [file for part in parts if isinstance(part, Mapping) for file in _list(part.get("outputs"))]
    names = [file.get("name") for file in files if isinstance(file, Mapping)]
    return [name for name in reversed(names) if isinstance(name, str) and name.endswith((".png", ".jpg"))]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
