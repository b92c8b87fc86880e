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


def test_without_the_restoration_model_auto_goes_on_and_knows_why(folder):
    built = model_set(folder)

    assert built.restorer is built.identity is None
    assert "codeformer.pth is missing: run `facecraft models fetch codeformer`" in built.unrestored


def test_without_the_restoration_model_on_does_not_start(folder):
    with pytest.raises(ModelError, match=r"FACECRAFT_RESTORE=on, but .*codeformer.pth is missing.*auto or off"):
        model_set(folder, RESTORE="on")


def test_off_asks_for_nothing(folder):
    (folder / "codeformer" / "codeformer.pth").write_bytes(b"not it")

    assert model_set(folder, RESTORE="off").unrestored == "FACECRAFT_RESTORE is off"


@pytest.mark.parametrize("restore", ["auto", "on"])
def test_a_truncated_restoration_model_is_an_error_and_never_skipped(folder, restore):
    (folder / "codeformer" / "codeformer.pth").write_bytes(b"PK" * 1000)

    with pytest.raises(ModelError, match=r"2,000 bytes instead of 376,637,898: run `facecraft models fetch"):
        model_set(folder, RESTORE=restore)


def test_a_restoration_model_of_the_right_size_and_other_bytes_is_an_error(folder):
    with (folder / "codeformer" / "codeformer.pth").open("wb") as file:
        file.truncate(376_637_898)

    with pytest.raises(ModelError, match=r"sha256 .* instead of 1009e537"):
        model_set(folder)


def test_restoration_needs_68_landmarks(folder):
    assert "needs_68" in model_set(folder, LANDMARKS="5").unrestored
    with pytest.raises(ModelError, match="needs the 68 landmarks"):
        model_set(folder, LANDMARKS="5", RESTORE="on")
