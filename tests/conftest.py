"""What all tests share: the models, one pipeline, the sample portraits."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handler.models import libraries
from tests.support.s3_servers import moto, s3, seaweed

__all__ = ["moto", "s3", "seaweed"]  # fixtures

libraries.prepare()  # before anything imports rembg or onnxruntime

PORTRAITS = Path(__file__).parent / "portraits"
BAD_INPUTS = Path(__file__).parent / "bad-inputs"
MODELS = Path(os.environ.get("FACECRAFT_MODELS_DIR", Path(__file__).parents[1] / "models"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Reports go from one process to another as UTF-8, and what was logged may hold names that are none."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def models() -> Path:
    """The models folder; without models a developer's run skips these tests and says so, CI fails."""
    needed = ("shape_predictor_68_face_landmarks.dat", "shape_predictor_5_face_landmarks.dat", "u2netp.onnx")
    missing = [name for name in needed if not (MODELS / name).exists()]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"{', '.join(missing)} not in {MODELS}: run `make models`")
    assert not missing, f"{missing} not in {MODELS}: run `make models`"
    return MODELS


@pytest.fixture(scope="session")
def models_dir(models: Path) -> Path:
    """With a cut-out model that the service takes."""
    there = any((models / name).exists() for name in ("u2net_human_seg.onnx", "u2net.onnx"))
    if not there and not os.environ.get("CI"):
        pytest.skip("no cut-out model: run `make models`")
    assert there, "no cut-out model: run `make models`"
    return models


def model_set(models: Path, landmarks: str = "landmarks_68", cutout: str = "u2netp"):
    from pipeline.models.catalog import verified
    from pipeline.models.model_set import ModelSet

    return ModelSet(verified(models, landmarks), verified(models, cutout), verified(models, "mmod"), device="cpu")


@pytest.fixture(scope="session")
def portrait_pipeline(models: Path):
    """A pipeline with the real detector and predictor and the smallest real cut-out model."""
    from pipeline.pipeline import PortraitPipeline

    return PortraitPipeline(model_set(models))


@pytest.fixture(scope="session")
def codeformer_file(tmp_path_factory: pytest.TempPathFactory):
    """A restoration model of the published layout with random weights: 377 MB, gone after the tests."""
    from tests.pipeline.restore.codeformer_weights import save

    path = tmp_path_factory.mktemp("codeformer") / "codeformer.pth"
    save(path)
    yield path
    path.unlink()


def pixels(name: str) -> np.ndarray:
    """A sample portrait as H x W x 3, RGB."""
    with Image.open(PORTRAITS / name) as image:
        return np.asarray(image.convert("RGB"))
