"""Light model workers for the real service.

A portrait is noise that begins with the photo's sha256, so that whoever checks it knows what it was made from. What a
photo does to its worker stands in its name.
"""

import functools
import os
import resource
import signal
import threading
from hashlib import sha256

import numpy as np

from handler.config.options import DEFAULTS, recipe_facts
from handler.workers.child import read_version, with_photo
from handler.workers.outcome import Processed, Rejected
from pipeline.errors import PhotoRejected
from pipeline.image import encode
from pipeline.image.decode import decode
from pipeline.image.provenance import mark, refuse_own
from pipeline.models.catalog import Verified, card
from pipeline.models.model_set import ModelSet
from pipeline.types import Rendered, Result

SIDE = 96
SLOW_SECONDS = 8
"""How long a photo takes whose name begins so."""


class Light:
    device = "cpu"

    def handle(self, job):
        return read_version(job) if job.version_only else with_photo(job, _made)


def _made(job, photo, sidecar, seen):
    word = job.path.rpartition("/")[2].partition("-")[0]
    MISCHIEF.get(word, lambda: None)()
    try:
        decode(photo.data, job.limits, inspect=refuse_own)
    except PhotoRejected as rejection:
        return Rejected(rejection.reason, rejection.hint, seen=seen)
    facts = {"source": {}, "face_count": 1, "cutout": "off", "restoration": "off", "restored_faces": []}
    facts |= {"notes": [], "models": []}
    return Processed(recipe_facts(DEFAULTS), Result((_portrait(job.path, photo.data),), facts, {}), seen=seen)


def digest_in(pixels):
    """The sum of the photo that such a portrait was made from."""
    return pixels[0, :32, 0].tobytes().hex()


def _portrait(path, data):
    sum_ = sha256(data).digest()
    pixels = np.random.default_rng(list(sum_)).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    pixels[0, :32, 0] = np.frombuffer(sum_, np.uint8)
    alpha = np.full((SIDE, SIDE), 255, np.uint8)
    png = encode.png(pixels, alpha, dpi=300, mark=mark(path), fill=(0, 0, 0))
    return Rendered(
        (png, encode.jpeg(pixels, dpi=300, mark=mark(path), max_bytes=99 * 1024)[0]), {"faces": {}, "geometry": {}}
    )


def _greedy():
    """More memory than there is allowed: an error for this photo alone."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as sizes:  # noqa: PTH123  # what a process file says, in pages
        now = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), before[1]))
    try:
        bytearray(1 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _dies(number):
    os.kill(os.getpid(), number)


MISCHIEF = {
    "segv": functools.partial(_dies, signal.SIGSEGV),
    "oom": functools.partial(_dies, signal.SIGKILL),  # as the kernel's out-of-memory killer does it
    "hang": signal.pause,
    "slow": functools.partial(threading.Event().wait, SLOW_SECONDS),
    "greedy": _greedy,
}


def build(settings):
    return ModelSet(*[Verified(card("u2netp"), settings.models_dir / "model", 0, 0)] * 2)


def load(model_set):
    return Light()
