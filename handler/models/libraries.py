"""Sets what libraries read from the environment only. Call `prepare` before the first import of rembg."""

import os

from handler.models import numba_cache


def prepare() -> None:
    """Let numba find its compiled functions; keep onnxruntime from sending telemetry and writing to the home folder."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at import, before any call could set it
    numba_cache.prepare()
