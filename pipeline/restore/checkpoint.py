"""CodeFormer's published checkpoint, read straight into place."""

import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from pipeline.errors import ModelError
from pipeline.restore.codeformer import CodeFormer

_FIX: Final = "run `facecraft models fetch codeformer`"
_KEY: Final = "params_ema"

_DAMAGED: Final = (
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    EOFError,
    ArithmeticError,
    MemoryError,
    struct.error,
    pickle.UnpicklingError,
)
"""What torch's reader raises where a file's bytes are not what they were."""


def load(path: Path) -> CodeFormer:
    """The network with the weights of that file, on the CPU, mapped from the file and not yet read.

    ModelError names what is wrong with the file, and the fix.
    """
    tensors = _tensors(path)
    with torch.device("meta"):
        network = CodeFormer()
    _check(path, tensors, network.state_dict())
    network.load_state_dict(tensors, strict=True, assign=True)
    return network.requires_grad_(False).eval()


def _tensors(path: Path) -> Mapping[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it warns, whatever matters ends as one of the errors below
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error}): {_FIX}.") from error
    except _DAMAGED as error:
        raise ModelError(f"{path}: no PyTorch checkpoint, or a damaged one, or it holds code: {_FIX}.") from error
    found = content.get(_KEY) if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise ModelError(f"{path}: no {_KEY!r} in it, so this is not CodeFormer's published checkpoint: {_FIX}.")
    return found


def _check(path: Path, tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    for name, place in wanted.items():
        if name not in tensors:
            raise ModelError(f"{path}: the tensor {name!r} is missing: {_FIX}.")
        if _describe(tensors[name]) != _describe(place):
            raise ModelError(f"{path}: {name!r} is {_describe(tensors[name])} instead of {_describe(place)}: {_FIX}.")
    for name in tensors:
        if name not in wanted:
            raise ModelError(f"{path}: {name!r} is no tensor of CodeFormer: {_FIX}.")


def _describe(value: object) -> str:
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
