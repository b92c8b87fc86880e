"""CodeFormer on one aligned face, on a CPU or a GPU. What to restore and how to blend it: `restoration.py`."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import functional

from pipeline.errors import ModelError
from pipeline.models.device import choose_device, keep_freed_memory
from pipeline.restore.acceleration import accelerate, fast_type
from pipeline.restore.checkpoint import load
from pipeline.types import Pixels


class CodeFormerInference:
    """The loaded network. It sets torch's threads and the heap for the whole process.

    Args:
        path: CodeFormer's published checkpoint.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: For the CPU; 0 means one for each core.

    Raises:
        ModelError: The file is not the checkpoint, or there is no such device.
    """

    def __init__(self, path: Path, device: str = "cpu", threads: int = 0) -> None:
        self.device = choose_device(device, gpu=torch.cuda.is_available(), runtime="torch")
        keep_freed_memory()
        if threads:
            torch.set_num_threads(threads)
        self.network = accelerate(load(path), self.device, fast_type(self.device))

    def restore(self, face: Pixels, fidelity: float) -> Pixels:
        """The face restored.

        Args:
            face: 512 x 512 x 3, RGB, aligned to the template of `restoration.py`.
            fidelity: From 0 (looks best) to 1 (stays closest to the photo).

        Returns:
            512 x 512 x 3, RGB.

        Raises:
            ModelError: The network's values are no numbers.
        """
        with torch.inference_mode():
            restored, _, _ = self.network(self._to_tensor(face), w=fidelity)
            return _to_pixels(restored)

    def _to_tensor(self, face: Pixels) -> Tensor:
        x = functional.convert_image_dtype(torch.tensor(face, device=self.device).permute(2, 0, 1)[None])
        return functional.normalize(x, [0.5] * 3, [0.5] * 3)


def _to_pixels(image: Tensor) -> Pixels:
    if not torch.isfinite(image).all():
        raise ModelError(
            "codeformer: the restored face has values that are no numbers. Check the model with "
            "`python -m handler models verify`; if it happens on a GPU only, set FACECRAFT_DEVICE=cpu."
        )
    levels = image[0].float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())
