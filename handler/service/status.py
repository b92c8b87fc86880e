"""What `/status` says in the words of the image that this replaces: device and models by role."""

from importlib import metadata
from pathlib import Path
from typing import Any, Final

from pipeline.models.model_set import ModelSet

_GPUS: Final = Path("/proc/driver/nvidia/gpus")


def device_facts(device: str | None) -> dict[str, str | None]:
    """`type` is cpu or cuda; `name` and `cuda_version` are None on a CPU, and where they cannot be told."""
    kind = (device or "cpu").partition(":")[0]
    on_gpu = kind == "cuda"
    return {"type": kind, "name": _gpu_name() if on_gpu else None, "cuda_version": _cuda() if on_gpu else None}


def model_roles(models: ModelSet | None, *, loaded: bool) -> dict[str, dict[str, Any]]:
    landmarks = models.landmarks.card.name if models else "landmarks_68"
    cutout = models.cutout.card.name if models else "u2net_human_seg"
    restores = loaded and models is not None and models.restorer is not None
    return {
        "face_detector": {"loaded": loaded, "type": "dlib_frontal_face"},
        "face_landmarks": {"loaded": loaded, "type": f"shape_predictor_{landmarks.rpartition('_')[2]}"},
        "face_enhancer": {"loaded": restores, "type": "codeformer"},
        "background_remover": {"loaded": loaded, "type": cutout},
    }


def _gpu_name() -> str | None:
    """As the driver tells it: this process has no library for it."""
    for file in sorted(_GPUS.glob("*/information")):
        for line in file.read_text("utf-8", "replace").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return None


def _cuda() -> str | None:
    """Of PyTorch's wheel: `2.9.0+cu126` was built with CUDA 12.6."""
    try:
        local = metadata.version("torch").partition("+cu")[2]
    except metadata.PackageNotFoundError:
        return None
    return f"{local[:-1]}.{local[-1]}" if local.isdecimal() else None
