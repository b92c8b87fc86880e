"""The restorer gives the exact network's picture, faster, or an error."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import ModelError
from pipeline.restore.acceleration import FoldedUpsample, accelerate, fast_type
from pipeline.restore.checkpoint import load
from pipeline.restore.inference import CodeFormerInference
from pipeline.restore.vqgan import Upsample
from tests.pipeline.restore.codeformer_weights import portrait


@pytest.fixture(scope="module")
def restorer(codeformer_file: Path) -> CodeFormerInference:
    return CodeFormerInference(codeformer_file, "cpu")


@pytest.fixture(scope="module")
def exact(codeformer_file: Path) -> tuple[Tensor, Tensor]:
    """Image and logits of the portrait by the plain network, at fidelity 0.7."""
    with torch.inference_mode():
        image, logits, _ = load(codeformer_file)(as_input(portrait()), w=0.7)
    return image, logits


def as_input(face: np.ndarray) -> Tensor:
    return torch.tensor(face).permute(2, 0, 1)[None].float() / 127.5 - 1


class Heard:
    """What a module gives, kept."""

    def __init__(self, module: nn.Module) -> None:
        self.outputs: list[tuple[Tensor, ...]] = []
        self._hook = module.register_forward_hook(lambda _, __, output: self.outputs.append(output))

    def __enter__(self) -> list[tuple[Tensor, ...]]:
        return self.outputs

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Decibels, of 8-bit pictures."""
    return float(10 * np.log10(255**2 / np.square(one.astype(np.float64) - other).mean()))


def test_picture_is_the_plain_network_s_with_the_same_codes(
    restorer: CodeFormerInference, exact: tuple[Tensor, Tensor]
):
    with Heard(restorer.network) as outputs:
        restored = restorer.restore(portrait(), 0.7)
    expected = ((exact[0][0].permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).round().numpy()

    assert (restored.shape, restored.dtype, restored.flags.c_contiguous) == ((512, 512, 3), np.uint8, True)
    assert torch.equal(outputs[0][1].argmax(2), exact[1].argmax(2))
    assert psnr(expected, restored) >= 50


def test_without_bfloat16_it_is_the_plain_network(codeformer_file: Path, exact: tuple[Tensor, Tensor]):
    network = accelerate(load(codeformer_file), "cpu", torch.float32)
    with torch.inference_mode():
        image, logits, _ = network(as_input(portrait()), w=0.7)

    assert {each.dtype for each in network.parameters()} == {torch.float32}
    assert torch.equal(logits.argmax(2), exact[1].argmax(2))
    assert float((image - exact[0]).abs().max()) <= 1e-3


def test_bfloat16_is_used_where_the_processor_has_it():
    flags = Path("/proc/cpuinfo").read_text().split()
    assert (fast_type("cpu") == torch.bfloat16) == bool({"avx512_bf16", "amx_bf16"} & set(flags))


def test_codes_are_computed_in_full_float32(restorer: CodeFormerInference):
    network = restorer.network
    for part in (network.encoder, network.ft_layers, network.idx_pred_layer, network.quantize):
        assert {each.dtype for each in part.parameters()} == {torch.float32}
    assert not torch.backends.cudnn.allow_tf32


def test_numbers_that_are_none_are_an_error_and_no_picture(codeformer_file: Path):
    broken = CodeFormerInference(codeformer_file, "cpu")
    broken.network.generator.blocks[24].bias[1] = torch.nan
    with pytest.raises(ModelError, match="models verify"):
        broken.restore(portrait(), 0.0)


def test_folded_upsampling_is_upsampling_and_convolution():
    upsample = Upsample(8)
    x = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(1))
    folded = FoldedUpsample(upsample)(x)

    assert torch.allclose(folded, upsample(x), atol=1e-5)
    assert folded.shape == functional.interpolate(x, scale_factor=2.0).shape


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_gpu_that_is_not_there_is_a_model_error(codeformer_file: Path, device: str):
    with pytest.raises(ModelError, match=f"FACECRAFT_DEVICE={device}, but torch finds only the CPU"):
        CodeFormerInference(codeformer_file, device)


def test_device_is_told(restorer: CodeFormerInference):
    assert restorer.device == "cpu"
