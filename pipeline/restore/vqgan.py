"""The VQGAN inside CodeFormer: an encoder from face to latent, and a generator back (Esser et al. 2021).

Names of modules are those of the published checkpoint. For inference only: activations are overwritten in place.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

LATENT: Final = 256
"""Channels of the latent, 16 x 16."""

_WIDTHS: Final = (64, 128, 128, 256, 256, 512)
"""Channels at side 512, 256, ... 16; attention at the last alone."""

TAPS: Final[Mapping[int, str]] = {5: "256", 8: "128", 11: "64", 14: "32"}
"""The encoder's blocks whose outputs the fusion takes, by their side in pixels."""

FUSIONS: Final[Mapping[int, str]] = {9: "32", 12: "64", 15: "128", 18: "256"}
"""The generator's blocks after which the fusion comes, by their side in pixels."""

FUSED_WIDTHS: Final[Mapping[str, int]] = {"32": 256, "64": 256, "128": 128, "256": 128}


def norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, width, eps=1e-6)


def conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class ResBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = norm(inputs), conv3(inputs, outputs)
        self.norm2, self.conv2 = norm(outputs), conv3(outputs, outputs)
        self.conv_out = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.conv1(functional.silu(self.norm1(x), inplace=True))
        inner = self.conv2(functional.silu(self.norm2(inner), inplace=True))
        return inner.add_(self.conv_out(x))


class AttnBlock(nn.Module):
    """Self-attention of one head over all positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = norm(width)
        self.q, self.k, self.v = (nn.Conv2d(width, width, 1) for _ in range(3))
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        q, k, v = (each(normed).flatten(2).transpose(1, 2) for each in (self.q, self.k, self.v))
        seen = functional.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(seen.transpose(1, 2).reshape(x.shape))


class Downsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = conv3(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class Encoder(nn.Module):
    """(B, 3, 512, 512) to (B, 256, 16, 16)."""

    def __init__(self) -> None:
        super().__init__()
        last = _WIDTHS[-1]
        blocks: list[nn.Module] = [conv3(3, _WIDTHS[0])]
        for before, width in pairwise((_WIDTHS[0], *_WIDTHS)):
            blocks += _level(before, width)
            blocks += [Downsample(width)] if width != last else []
        self.blocks = nn.ModuleList([*blocks, *_middle(last), norm(last), conv3(last, LATENT)])

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The latent, and the outputs of the blocks in TAPS by their side."""
        taps: dict[str, Tensor] = {}
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in TAPS:
                taps[TAPS[number]] = x
        return x, taps


class Generator(nn.Module):
    """(B, 256, 16, 16) to (B, 3, 512, 512)."""

    def __init__(self) -> None:
        super().__init__()
        widths = _WIDTHS[::-1]
        first, last = widths[0], widths[-1]
        blocks: list[nn.Module] = [conv3(LATENT, first), *_middle(first)]
        for before, width in pairwise((first, *widths)):
            blocks += _level(before, width)
            blocks += [Upsample(width)] if width != last else []
        self.blocks = nn.ModuleList([*blocks, norm(last), conv3(last, 3)])

    def forward(self, x: Tensor, fuse: Callable[[str, Tensor], Tensor]) -> Tensor:
        """`fuse` gets the output of each block in FUSIONS, with its side, and gives what goes on."""
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in FUSIONS:
                x = fuse(FUSIONS[number], x)
        return x


def _level(before: int, width: int) -> list[nn.Module]:
    """The two residual blocks of one side; at the smallest with attention after each."""
    if width != _WIDTHS[-1]:
        return [ResBlock(before, width), ResBlock(width, width)]
    return [ResBlock(before, width), AttnBlock(width), ResBlock(width, width), AttnBlock(width)]


def _middle(width: int) -> list[nn.Module]:
    return [ResBlock(width, width), AttnBlock(width), ResBlock(width, width)]


def match_statistics(content: Tensor, style: Tensor) -> Tensor:
    """AdaIN: the content with each channel's mean and deviation over the positions taken from the style."""
    variance, mean = torch.var_mean(content, (2, 3), keepdim=True)
    wanted_variance, wanted_mean = torch.var_mean(style, (2, 3), keepdim=True)
    return (content - mean) * ((wanted_variance + 1e-5) / (variance + 1e-5)).sqrt() + wanted_mean
