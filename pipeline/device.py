"""Which device the networks run on: chosen once, told in /status."""

from collections.abc import Sequence
from typing import Any, Final

from pipeline.errors import ModelError

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"

Provider = str | tuple[str, dict[str, Any]]


def chosen(device: str, available: Sequence[str]) -> str:
    """`cpu` or `cuda:N` for the setting `auto`, `cpu`, `cuda` or `cuda:N`; `available` are onnxruntime's providers.

    ModelError where a GPU is asked for and this onnxruntime has none.
    """
    if device == "cpu" or (device == "auto" and CUDA not in available):
        return "cpu"
    if CUDA not in available:
        there = ", ".join(available)
        raise ModelError(f"FACECRAFT_DEVICE={device}, but onnxruntime has only {there} here; set it to cpu or auto")
    return device if ":" in device else "cuda:0"


def providers(device: str) -> list[Provider]:
    """onnxruntime's providers for `cpu` or `cuda:N`."""
    if device == "cpu":
        return [CPU]
    return [(CUDA, {"device_id": int(device.partition(":")[2])}), CPU]
