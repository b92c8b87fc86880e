"""CodeFormer's checkpoint with random weights in place of the published ones, and faces to feed it."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from tests.conftest import PORTRAITS

_GAINS = {"feat_emb.weight": 4.0, "out_proj.weight": 0.5, "proj_out.weight": 0.3, "generator.blocks.24.weight": 0.3}
"""Each position then has a voice of its own (some 150 different codes in a face), and the image stays near -1..1."""


def seeded(forms: dict[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    """A tensor for each name and form; activations keep their size from layer to layer."""
    source = torch.Generator().manual_seed(seed)
    return {name: _filled(name, tuple(forms[name].shape), source) for name in sorted(forms)}


def _filled(name: str, shape: tuple[int, ...], source: torch.Generator) -> Tensor:
    values = torch.randn(shape, generator=source)
    if name in ("position_emb", "quantize.embedding.weight"):
        return values
    if len(shape) == 1:  # biases, and the weights of norms
        norm = name.endswith("weight")
        return values.mul_(0.1 if norm else 0.05).add_(1.0 if norm else 0.0)
    gain = next((gain for ending, gain in _GAINS.items() if name.endswith(ending)), 1.0)
    return values.mul_(gain / values[0].numel() ** 0.5)


def save(path: Path) -> None:
    """A file of the published layout: 377 MB."""
    from pipeline.restore.codeformer import CodeFormer

    with torch.device("meta"):
        forms = CodeFormer().state_dict()
    torch.save({"params_ema": seeded(forms)}, path)


def portrait(name: str = "portrait_bokeh.jpg") -> np.ndarray:
    """A sample portrait as a face would come: 512 x 512 x 3, RGB, blurred."""
    with Image.open(PORTRAITS / name) as image:
        small = image.convert("RGB").resize((96, 96), Image.Resampling.BOX)
    return np.asarray(small.resize((512, 512), Image.Resampling.BICUBIC))


def faces() -> dict[str, Tensor]:
    """Very different inputs: 1 x 3 x 512 x 512, -1..1."""
    source = torch.Generator().manual_seed(7)
    clouds = torch.rand(1, 3, 16, 16, generator=source) * 2 - 1
    return {
        "portrait": torch.tensor(portrait()).permute(2, 0, 1)[None].float() / 127.5 - 1,
        "clouds": functional.interpolate(clouds, size=(512, 512), mode="bicubic").clamp(-1, 1),
        "noise": torch.rand(1, 3, 512, 512, generator=source) * 2 - 1,
        "grey": torch.full((1, 3, 512, 512), 0.1),
    }
