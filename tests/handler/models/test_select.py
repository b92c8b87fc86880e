"""Which models the settings ask for, and what the start says where one is missing or not the published one."""

import os

import pytest

from handler.config.load import load_common
from handler.models.select import build_model_set
from pipeline.errors import ModelError


@pytest.fixture
def folder(models_dir, tmp_path):
    """A models folder with everything but the restoration model, which these machines may or may not have."""
    for path in models_dir.iterdir():
        if path.is_file():
            os.link(path, tmp_path / path.name)
    (tmp_path / "codeformer").mkdir()
    return tmp_path


def model_set(folder, **variables):
    environ = {f"FACECRAFT_{name}": value for name, value in variables.items()}
    return build_model_set(load_common({"FACECRAFT_MODELS_DIR": str(folder), **environ}))


def test_build_auto_without_restoration_model_has_reason(folder):
    built = model_set(folder)

    assert built.restorer is built.identity is None
    assert "codeformer.pth is missing: run `facecraft models fetch codeformer`" in built.unrestored


def test_build_on_without_restoration_model_raises(folder):
    with pytest.raises(ModelError, match=r"FACECRAFT_RESTORE=on, but .*codeformer.pth is missing.*auto or off"):
        model_set(folder, RESTORE="on")


def test_build_off_needs_no_restoration_model(folder):
    (folder / "codeformer" / "codeformer.pth").write_bytes(b"not it")

    assert model_set(folder, RESTORE="off").unrestored == "FACECRAFT_RESTORE is off"


@pytest.mark.parametrize("restore", ["auto", "on"])
def test_build_truncated_restoration_model_raises(folder, restore):
    (folder / "codeformer" / "codeformer.pth").write_bytes(b"PK" * 1000)

    with pytest.raises(ModelError, match=r"2,000 bytes instead of 376,637,898: run `facecraft models fetch"):
        model_set(folder, RESTORE=restore)


def test_build_restoration_model_with_wrong_bytes_raises(folder):
    with (folder / "codeformer" / "codeformer.pth").open("wb") as file:
        file.truncate(376_637_898)

    with pytest.raises(ModelError, match=r"sha256 .* instead of 1009e537"):
        model_set(folder)


def test_build_restoration_without_68_landmarks_is_unavailable(folder):
    assert "needs_68" in model_set(folder, LANDMARKS="5").unrestored
    with pytest.raises(ModelError, match="needs the 68 landmarks"):
        model_set(folder, LANDMARKS="5", RESTORE="on")
