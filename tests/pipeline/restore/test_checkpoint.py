"""A checkpoint is taken whole and as published, or refused with the reason."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from pipeline.errors import ModelError
from pipeline.restore.checkpoint import load
from pipeline.restore.codeformer import CodeFormer

NAME = "ft_layers.3.self_attn.in_proj_bias"


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """All 515, each stored as a single number: a file of the right layout in 0.2 MB."""
    with torch.device("meta"):
        forms = CodeFormer().state_dict()
    return {name: torch.full((1,), 0.5).expand(form.shape) for name, form in forms.items()}


def refused(path: Path, content: object) -> str:
    torch.save(content, path)
    with pytest.raises(ModelError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "models fetch codeformer" in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "codeformer.pth"


def test_weights_of_the_file_are_the_network_s(codeformer_file: Path):
    stored = torch.load(codeformer_file, weights_only=True, mmap=True)["params_ema"]
    network = load(codeformer_file)

    assert [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, stored[name])] == []
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_weights_are_mapped_and_not_copied(codeformer_file: Path):
    weight = load(codeformer_file).generator.blocks[0].weight
    mapped = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if str(codeformer_file) in line]
    ranges = [tuple(int(end, 16) for end in fields[0].split("-")) for fields in mapped]

    assert any(start <= weight.data_ptr() < end for start, end in ranges)


def test_missing_tensor_is_named(path: Path, tensors: dict[str, Tensor]):
    fewer = {name: tensor for name, tensor in tensors.items() if name != NAME}
    assert f"{NAME!r} is missing" in refused(path, {"params_ema": fewer})


def test_unknown_tensor_is_named(path: Path, tensors: dict[str, Tensor]):
    assert "'colour' is no tensor of CodeFormer" in refused(path, {"params_ema": {**tensors, "colour": torch.ones(1)}})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (torch.ones(1536, 1), "torch.float32 [1536, 1] instead of torch.float32 [1536]"),
        (torch.ones(1536).half(), "torch.float16 [1536] instead of torch.float32 [1536]"),
        ("text", "a str instead of torch.float32 [1536]"),
    ],
)
def test_tensor_of_another_form_is_named(path: Path, tensors: dict[str, Tensor], wrong: object, said: str):
    assert f"{NAME!r} is {said}" in refused(path, {"params_ema": {**tensors, NAME: wrong}})


@pytest.mark.parametrize("content", [{"params": {}}, {"params_ema": 1}, [1, 2]])
def test_file_without_the_published_key_is_refused(path: Path, content: object):
    assert "no 'params_ema' in it" in refused(path, content)


def test_checkpoint_that_holds_code_is_refused(path: Path):
    assert "it holds code" in refused(path, {"params_ema": SimpleNamespace()})


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04" + bytes(100)])
def test_file_that_is_no_checkpoint_is_refused(path: Path, content: bytes):
    path.write_bytes(content)
    with pytest.raises(ModelError, match="no PyTorch checkpoint"):
        load(path)


def test_missing_file_is_a_model_error(path: Path):
    with pytest.raises(ModelError, match=r"cannot be read.*models fetch codeformer"):
        load(path)


@settings(max_examples=200, deadline=None)
@example(damage=[(244, 74)])  # a number that ends too early
@given(damage=st.lists(st.tuples(st.integers(0, 1400), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_checkpoint_is_a_model_error_whatever_the_damage(
    damage: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
):
    path = tmp_path_factory.getbasetemp() / "damaged.pth"
    torch.save({"params_ema": {"a": torch.zeros(3)}}, path)
    data = bytearray(path.read_bytes())
    for place, value in damage:
        data[place % len(data)] = value
    path.write_bytes(data)
    with pytest.raises(ModelError):
        load(path)
