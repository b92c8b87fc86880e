"""glibc's heap, told to keep what is freed."""

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_MAX: Final = -4
"""Parameters of mallopt(3)."""


def keep_freed_memory() -> None:
    """From now on this process keeps up to 1 GB of freed memory for its next use. Without glibc nothing happens.

    A network takes and frees large blocks hundreds of times a face. glibc gives each back to the kernel at once and
    has it mapped and zeroed anew: on a CPU a fifth of the time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**30)
