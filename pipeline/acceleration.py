"""CodeFormer as fast as the device allows, with the codes that it picks unchanged."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.codeformer import CodeFormer
from pipeline.vqgan import Upsample

_LAST_EXACT: Final = 14
"""The generator's blocks from this one on, and the fusions from side 128 on, may compute in bfloat16: five sixths of
its work. Rounding in the small sides, where every later pixel hangs on it, costs 5 dB and saves next to nothing."""

_SIDES: Final = ("128", "256")


class FoldedUpsample(nn.Module):
    """Doubling the pixels and the 3 x 3 convolution after it, as one 4 x 4 transposed convolution: 4/9 of the work."""

    def __init__(self, upsample: Upsample) -> None:
        super().__init__()
        weight = upsample.conv.weight
        kernel = torch.stack([functional.pad(weight, (x, 1 - x, y, 1 - y)) for x in (0, 1) for y in (0, 1)]).sum(0)
        self.weight = nn.Parameter(kernel.flip(2, 3).transpose(0, 1), requires_grad=False)
        self.bias = upsample.conv.bias

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv_transpose2d(x.to(self.weight.dtype), self.weight, self.bias, stride=2, padding=1)


def accelerated(network: CodeFormer, device: str) -> CodeFormer:
    """The same network, changed in place, on `cpu` or `cuda:N`.

    The encoder and the transformer stay in float32: a code is a maximum among 1024, and rounding would change it.
    """
    blocks = network.generator.blocks
    for number, block in enumerate(blocks):
        if isinstance(block, Upsample):
            blocks[number] = FoldedUpsample(block)
    large = [*blocks[_LAST_EXACT:], *(network.fuse_convs_dict[side] for side in _SIDES)]
    for part in large:
        part.to(_fast_type(device))
    return network.to(device).to(memory_format=torch.channels_last)


def _fast_type(device: str) -> torch.dtype:
    """bfloat16 where there is arithmetic for it; elsewhere it would be slower than float32."""
    if device == "cpu":
        abilities = torch.cpu.get_capabilities()
        fast = bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    else:
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if fast else torch.float32
