"""Which device the networks run on: chosen once, told in /status."""

from typing import Any, Final

from pipeline.errors import ModelError

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"

Provider = str | tuple[str, dict[str, Any]]


def chosen(device: str, *, gpu: bool, runtime: str) -> str:
    """`cpu` or `cuda:N` for the setting `auto`, `cpu`, `cuda` or `cuda:N`; `gpu` says whether the runtime has one.

    ModelError where a GPU is asked for and there is none.
    """
    if device == "cpu" or (device == "auto" and not gpu):
        return "cpu"
    if not gpu:
        raise ModelError(f"FACECRAFT_DEVICE={device}, but {runtime} finds only the CPU here; set it to cpu or auto")
    return device if ":" in device else "cuda:0"


def providers(device: str) -> list[Provider]:
    """onnxruntime's providers for `cpu` or `cuda:N`."""
    if device == "cpu":
        return [CPU]
    return [(CUDA, {"device_id": int(device.partition(":")[2])}), CPU]
