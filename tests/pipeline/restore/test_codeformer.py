"""Our CodeFormer gives what another implementation gives with the same weights: as a whole, and part by part."""

import sys
import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.restore.checkpoint import load
from pipeline.restore.codeformer import CodeFormer
from pipeline.restore.vqgan import TAPS, match_statistics
from tests.pipeline.restore.codeformer_weights import faces

SEED = torch.Generator().manual_seed(3)


@pytest.fixture(scope="module")
def network(codeformer_file: Path) -> CodeFormer:
    return load(codeformer_file)


@pytest.fixture(scope="module")
def reference(network: CodeFormer):
    """spandrel's network, with the very same weights in memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it uses torch.jit.script
        from spandrel_extra_arches.architectures.CodeFormer import CodeFormer as Spandrel
    with torch.device("meta"):
        other = Spandrel()
    other.load_state_dict(network.state_dict(), strict=True, assign=True)
    return other.eval()


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=SEED)


def difference(one: Tensor, other: Tensor) -> float:
    assert one.shape == other.shape
    return float((one - other).abs().max())


def test_tensors_are_the_published_ones(network: CodeFormer, reference):
    ours = {name: tuple(tensor.shape) for name, tensor in CodeFormer().state_dict().items()}

    assert ours == {name: tuple(tensor.shape) for name, tensor in reference.state_dict().items()}
    assert (len(ours), sum(tensor.numel() for tensor in network.parameters())) == (515, 94_112_707)


@pytest.mark.parametrize(("face", "w"), [("portrait", 0.7), ("clouds", 0.5), ("noise", 1.0), ("grey", 0.0)])
def test_image_and_codes_are_those_of_the_other_implementation(network: CodeFormer, reference, face: str, w: float):
    x = faces()[face]
    image, logits, _ = network(x, w=w)
    expected, expected_logits = reference(x, weight=w)

    assert difference(image, expected) <= 1e-3
    assert torch.equal(logits.argmax(2), expected_logits.argmax(2))
    assert 0.1 < float(image.std()) < 1


def test_faces_of_a_batch_do_not_mix(network: CodeFormer):
    latents = random(2, 256, 16, 16)
    together = network.predict(latents)

    assert difference(together, torch.cat([network.predict(each) for each in latents.split(1)])) < 1e-4
    assert together.argmax(2).unique().numel() > 100


@pytest.mark.parametrize(("w", "fused"), [(0.0, []), (0.25, [0.25] * 4)])
def test_fidelity_0_alone_leaves_the_fusion_out(w: float, fused: list[float]):
    seen: list[float] = []
    with torch.device("meta"):  # shapes alone: nothing is computed
        network, x = CodeFormer(), torch.empty(1, 3, 512, 512)
    for fusion in network.fuse_convs_dict.values():
        fusion.register_forward_hook(lambda _, args, __: seen.append(args[2]))
    network(x, w=w)

    assert seen == fused


def test_encoder_gives_the_latent_and_its_taps(network: CodeFormer, reference):
    x = random(2, 3, 64, 64)
    latent, taps = network.encoder(x)
    outputs = [x := block(x) for block in reference.encoder.blocks]

    assert difference(latent, outputs[-1]) < 1e-4
    assert {side: difference(taps[side], outputs[number]) < 1e-4 for number, side in TAPS.items()} == dict.fromkeys(
        ("256", "128", "64", "32"), True
    )


def test_transformer_predicts_the_same_logits(network: CodeFormer, reference):
    latent = random(2, 256, 16, 16)
    x = reference.feat_emb(latent.flatten(2).permute(2, 0, 1))
    position = reference.position_emb.unsqueeze(1).repeat(1, 2, 1)
    for layer in reference.ft_layers:
        x = layer(x, query_pos=position)

    assert difference(network.predict(latent), reference.idx_pred_layer(x).permute(1, 0, 2)) < 1e-4


def test_codebook_lays_the_codes_out_row_by_row(network: CodeFormer, reference):
    codes = torch.randint(0, 1024, (2, 256), generator=SEED)
    expected = reference.quantize.get_codebook_feat(codes, shape=[2, 16, 16, 256])

    assert difference(network.quantize(codes), expected) == 0


@pytest.mark.parametrize("deviation", [0.0, 1e-3, 5.0])
def test_statistics_of_the_latent_are_taken_over(reference, deviation: float):
    content, style = random(2, 256, 16, 16), random(2, 256, 16, 16) * deviation + 2
    expected = sys.modules[type(reference).__module__].adaptive_instance_normalization(content, style)

    assert difference(match_statistics(content, style), expected) < 1e-5


def test_generator_draws_the_same_picture(network: CodeFormer, reference):
    latent = random(1, 256, 4, 4)

    assert difference(network.generator(latent, lambda _, x: x), reference.generator(latent)) < 1e-4


@pytest.mark.parametrize(("side", "width"), [("32", 256), ("64", 256), ("128", 128), ("256", 128)])
@pytest.mark.parametrize("w", [0.3, 1.0])
def test_fusion_brings_the_same_features_back(network: CodeFormer, reference, side: str, width: int, w: float):
    encoded, decoded = random(1, width, 24, 24), random(1, width, 24, 24)
    expected = reference.fuse_convs_dict[side](encoded, decoded, w)

    assert difference(network.fuse_convs_dict[side](encoded, decoded, w), expected) < 1e-4


def test_registry_builds_it_by_the_published_call():
    from basicsr.utils.registry import ARCH_REGISTRY

    sides = ["32", "64", "128", "256"]
    with torch.device("meta"):
        built = ARCH_REGISTRY.get("CodeFormer")(
            dim_embd=512, codebook_size=1024, n_head=8, n_layers=9, connect_list=sides
        )
        smaller = ARCH_REGISTRY.get("CodeFormer")(n_layers=2, connect_list=sides[:1])

    assert built.state_dict().keys() == CodeFormer().state_dict().keys()
    assert (len(smaller.ft_layers), list(smaller.fuse_convs_dict)) == (2, ["32"])
