"""Restoring one aligned face with CodeFormer, on a CPU or a GPU."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import functional

from pipeline.errors import ModelError
from pipeline.models.device import chosen
from pipeline.models.memory import keep_freed_memory
from pipeline.restore.acceleration import accelerated, fast_type
from pipeline.restore.checkpoint import load
from pipeline.types import Pixels


class Restorer:
    """CodeFormer in one process. `device` is `auto`, `cpu` or `cuda[:N]`; `threads` 0 means one for each core.

    The process is its own: torch's threads and the heap are set for all of it. ModelError where the file or the device
    is not as it should be.
    """

    def __init__(self, path: Path, device: str = "cpu", threads: int = 0) -> None:
        self.device = chosen(device, gpu=torch.cuda.is_available(), runtime="torch")
        keep_freed_memory()
        if threads:
            torch.set_num_threads(threads)
        self.network = accelerated(load(path), self.device, fast_type(self.device))

    def restore(self, face: Pixels, fidelity: float) -> Pixels:
        """A face of 512 x 512, aligned to the template, restored; `fidelity` 0 looks best, 1 stays closest to it.

        ModelError where the network gives values that are no numbers.
        """
        with torch.inference_mode():
            restored, _, _ = self.network(self._to_network(face), w=fidelity)
            return _to_pixels(restored)

    def _to_network(self, face: Pixels) -> Tensor:
        x = functional.convert_image_dtype(torch.tensor(face, device=self.device).permute(2, 0, 1)[None])
        return functional.normalize(x, [0.5] * 3, [0.5] * 3)


def _to_pixels(image: Tensor) -> Pixels:
    if not torch.isfinite(image).all():
        raise ModelError(
            "codeformer: the restored face has values that are no numbers. Check the model with "
            "`facecraft models verify`; if it happens on a GPU only, set FACECRAFT_DEVICE=cpu."
        )
    levels = image[0].float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())
