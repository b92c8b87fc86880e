"""What libraries take from the environment only. To be prepared in a process before the first import of rembg."""

import os

from handler.models import numba_cache


def prepare() -> None:
    """numba finds its compiled functions, and onnxruntime neither calls its makers nor writes to the home folder."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when it is imported; there is no call that comes in time
    numba_cache.prepare()
