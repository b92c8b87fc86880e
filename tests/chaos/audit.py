"""What lies in the outbox after all that: is it what guarantees 1 to 4 say?"""

import io
import json
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

import numpy as np
from PIL import Image

from handler.outbox.paths import ATTEMPTS, report_path
from sources.stores.local import FileStore
from tests.chaos.light import digest_in

ATTEMPTS_ALLOWED = 3
POISON = {
    "segv": "processing_crashed",
    "oom": "processing_crashed",
    "hang": "processing_timed_out",
    "greedy": "processing_error",
}
"""What must become of a photo whose name begins so, with light workers; see `tests.chaos.light.MISCHIEF`."""


@dataclass
class Audit:
    """Faults by kind; `given_up` counts the photos whose worker or service was killed three times under them."""

    lost: list = field(default_factory=list)
    doubled: list = field(default_factory=list)
    torn: list = field(default_factory=list)
    touched: list = field(default_factory=list)
    left_over: list = field(default_factory=list)
    given_up: int = 0

    def faults(self):
        kinds = ("lost", "doubled", "torn", "touched", "left_over")
        return {kind.replace("_", " "): getattr(self, kind) for kind in kinds}

    def well(self):
        return not any(self.faults().values())


def contents(inbox):
    """What lies in an inbox of photos alone: the sums of each one and of its sidecar, which none of them has."""
    return {path: (sha256(inbox.read(path).data).hexdigest(), None) for path in inbox.list()}


def unreported(photos, outbox):
    """Those of the photos (path to the sums of photo and sidecar) whose current content has no report."""
    return {path: checksums for path, checksums in photos.items() if _reported_sums(outbox, path) != checksums}


def _reported_sums(outbox, path):
    try:
        source = json.loads(outbox.read(report_path(path)).data)["source"]
    except FileNotFoundError:
        return None
    return source.get("sha256"), source.get("sidecar_sha256")


def audited(feeder, outbox_folder, logs, before, *, light):
    """`before` is what `snapshot` gave of the inbox when the last photo had come."""
    inbox, outbox = FileStore(feeder.inbox), FileStore(outbox_folder)
    audit = Audit()
    _check_inbox(audit, feeder, before)
    check_outbox(audit, feeder, inbox, outbox, light=light)
    audit.lost += unreported(contents(inbox), outbox)
    audit.doubled += done_twice(logs)
    audit.left_over += [path.name for path in outbox_folder.rglob(".facecraft-*")]
    return audit


def check_outbox(audit, feeder, inbox, outbox, *, light):
    """Reports, images, and what nobody names."""
    named = Counter()
    for place in outbox.list("reports"):
        report = json.loads(outbox.read(place).data)
        path = path_of(report["source"]["uri"], inbox)
        if report_path(path) != place:
            audit.doubled.append(f"{place} is about {path!r}")
        _check_outcome(audit, feeder, path, report, light=light)
        for file in report.get("outputs", ()):
            named[file["name"]] += 1
            _check_image(audit, outbox, file, report, light=light)
    audit.doubled += [name for name, number in named.items() if number > 1]
    audit.left_over += [name for name in outbox.list() if name not in named and not name.startswith("reports/")]
    audit.left_over += [name for folder in (".facecraft/tmp", ATTEMPTS) for name in outbox.stamps(folder)]


def snapshot(folder):
    """All that a stat tells of each thing but the time of its last reading."""
    stats = ((path, path.lstat()) for path in sorted(folder.rglob("*")))
    return {path: (*found[:7], found.st_mtime_ns, found.st_ctime_ns) for path, found in stats}


def path_of(uri, inbox):
    """The photo's path below the inbox; a bucket's URIs are plain, those of files percent-encoded."""
    root = inbox.uri("")
    if not uri.startswith("file:"):
        return uri.removeprefix(root)
    plain, root = (unquote_to_bytes(each).decode("utf-8", "surrogateescape") for each in (uri, root))
    return plain.removeprefix(root)


def _check_inbox(audit, feeder, before):
    after = snapshot(feeder.inbox)
    audit.touched += sorted(path.name for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    there = {path for path in after if path.is_file()}
    audit.touched += sorted(path.name for path in there ^ feeder.photos)
    known = feeder.good | feeder.others
    audit.touched += [path.name for path in there if sha256(path.read_bytes()).hexdigest() not in known]


def _check_outcome(audit, feeder, path, report, *, light):
    """A whole photo is done, unless it is poison, or was in work three times when something was killed."""
    outcome, reason = report["outcome"], report["reason"]
    poison = POISON.get(path.rpartition("/")[2].partition("-")[0]) if light else None
    meant = poison or ("done" if report["source"].get("sha256") in feeder.good else None)
    if reason in ("processing_crashed", "processing_timed_out"):
        audit.given_up += poison is None
        if report["attempt"] < ATTEMPTS_ALLOWED:
            audit.lost.append(f"{path!r} was given up after {report['attempt']} attempts")
    elif meant not in (None, reason or outcome):
        audit.lost.append(f"{path!r} is {outcome}: {reason}")


def _check_image(audit, outbox, file, report, *, light):
    try:
        data = outbox.read(file["name"]).data
        image = Image.open(io.BytesIO(data))
        image.load()
    except OSError as error:
        audit.torn.append(f"{file['name']!r}: {error}")
        return
    if sha256(data).hexdigest() != file["sha256"]:
        audit.torn.append(f"{file['name']!r} is not what its report says")
    if light and image.format == "PNG" and digest_in(np.asarray(image)) != report["source"]["sha256"]:
        audit.torn.append(f"{file['name']!r} was made from another content")


def done_twice(logs, sidecars=MappingProxyType({})):
    """What the logs call done more often than once. `sidecars`: how many a photo had by and by, by its URI."""
    text = "".join(log.read_text() for log in logs).splitlines()
    lines = [json.loads(line) for line in text if line.startswith("{") and line.endswith("}")]
    done = Counter((line["uri"], line["version"]) for line in lines if line["event"] == "photo.done")
    return [
        f"{uri} was done {number} times in version {version}"
        for (uri, version), number in done.items()
        if number > 1 + sidecars.get(uri, 0)
    ]
