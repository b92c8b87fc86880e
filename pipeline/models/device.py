"""The device that the networks run on, and the process's memory for them."""

import ctypes
from typing import Any, Final

from pipeline.errors import ModelError

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"

Provider = str | tuple[str, dict[str, Any]]

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4
"""Parameters of mallopt(3)."""


def choose_device(device: str, *, gpu: bool, runtime: str) -> str:
    """The device to use.

    Args:
        device: The setting: `auto`, `cpu`, `cuda` or `cuda:N`.
        gpu: Whether the runtime has a GPU.
        runtime: The runtime's name, for the error.

    Returns:
        `cpu` or `cuda:N`.

    Raises:
        ModelError: The setting asks for a GPU and there is none.
    """
    if device == "cpu" or (device == "auto" and not gpu):
        return "cpu"
    if not gpu:
        raise ModelError(f"FACECRAFT_DEVICE={device}, but {runtime} finds only the CPU here; set it to cpu or auto")
    return device if ":" in device else "cuda:0"


def onnx_providers(device: str) -> list[Provider]:
    """onnxruntime's providers for `cpu` or `cuda:N`."""
    if device == "cpu":
        return [CPU]
    return [(CUDA, {"device_id": int(device.partition(":")[2])}), CPU]


def keep_freed_memory() -> None:
    """Make this process keep up to 1 GB of freed memory for its next use. Without glibc nothing happens.

    A network takes and frees large blocks hundreds of times a face. glibc gives each back to the kernel at once and
    has it mapped and zeroed anew: on a CPU a fifth of the time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**30)
