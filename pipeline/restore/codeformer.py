"""CodeFormer (Zhou et al. 2022): a blurred face to a sharp one, by codes that a transformer predicts.

Written from the paper's description; the tensors' names are those of the published checkpoint. Importing this module
registers the network in basicsr's ARCH_REGISTRY. For inference only.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.restore.basicsr_registry import ARCH_REGISTRY
from pipeline.restore.vqgan import FUSED_WIDTHS, LATENT, Encoder, Generator, ResBlock, conv3, match_statistics


class Codebook(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, LATENT)

    def forward(self, codes: Tensor) -> Tensor:
        """(B, 256) codes, row by row, to (B, 256, 16, 16)."""
        return self.embedding(codes).transpose(1, 2).unflatten(2, (16, 16))


class TransformerLayer(nn.Module):
    """Normalised first; the position goes into query and key, not into the value."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        normed = self.norm1(x)
        asked = normed + position
        x = x + self.self_attn(asked, asked, normed, need_weights=False)[0]
        return x + self.linear2(functional.gelu(self.linear1(self.norm2(x))))


class Fusion(nn.Module):
    """Brings the photo's own features back, as a scale and a shift of the generator's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encode_enc = ResBlock(2 * width, width)
        self.scale, self.shift = (_branch(width) for _ in range(2))

    def forward(self, encoded: Tensor, decoded: Tensor, w: float) -> Tensor:
        both = self.encode_enc(torch.cat([encoded, decoded], dim=1))
        residual = torch.addcmul(self.shift(both), decoded, self.scale(both))
        return torch.add(decoded, residual, alpha=w)


def _branch(width: int) -> nn.Sequential:
    return nn.Sequential(conv3(width, width), nn.LeakyReLU(0.2, inplace=True), conv3(width, width))


@ARCH_REGISTRY.register()
class CodeFormer(nn.Module):
    """The published network by default; the arguments are those of the published call.

    `connect_list` names the sides in pixels at which the photo's features are fused in.
    """

    def __init__(
        self,
        dim_embd: int = 512,
        n_head: int = 8,
        n_layers: int = 9,
        codebook_size: int = 1024,
        connect_list: Sequence[str] = ("32", "64", "128", "256"),
    ) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.quantize = Codebook(codebook_size)
        self.generator = Generator()
        self.position_emb = nn.Parameter(torch.zeros(LATENT, dim_embd))
        self.feat_emb = nn.Linear(LATENT, dim_embd)
        self.ft_layers = nn.ModuleList(TransformerLayer(dim_embd, n_head) for _ in range(n_layers))
        self.idx_pred_layer = nn.Sequential(nn.LayerNorm(dim_embd), nn.Linear(dim_embd, codebook_size, bias=False))
        self.fuse_convs_dict = nn.ModuleDict({side: Fusion(FUSED_WIDTHS[side]) for side in connect_list})

    def forward(self, x: Tensor, w: float = 0.5, *, adain: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, 512, 512), RGB in -1..1, to the restored image, the codes' logits (B, 256, 1024) and the latent.

        `w` is the fidelity: 0 looks best, 1 stays closest to the photo. `adain` gives the codes' picture the photo's
        own colours and light. The image may leave -1..1.
        """
        latent, taps = self.encoder(x)
        logits = self.predict(latent)
        content = self.quantize(logits.argmax(dim=2))
        content = match_statistics(content, latent) if adain else content

        def fuse(side: str, decoded: Tensor) -> Tensor:
            if w <= 0 or side not in self.fuse_convs_dict:
                return decoded
            # An accelerated generator computes its larger sides in another type than the encoder.
            return self.fuse_convs_dict[side](taps[side].to(decoded.dtype), decoded, w)

        return self.generator(content, fuse), logits, latent

    def predict(self, latent: Tensor) -> Tensor:
        """Logits of the codes, (B, 256, 1024): positions row by row."""
        x = self.feat_emb(latent.flatten(2).transpose(1, 2))
        for layer in self.ft_layers:
            x = layer(x, self.position_emb)
        return self.idx_pred_layer(x)
