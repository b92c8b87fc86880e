"""Loads the models of an image as its workers will: a model that does not load fails the build."""

from pathlib import Path

from handler.config.load import load_common
from handler.models import libraries
from handler.models.select import build_model_set

MODELS = Path("/app/models")


def load(landmarks: str, restore: str) -> None:
    """Load every model that these two settings need.

    Args:
        landmarks: The value of FACECRAFT_LANDMARKS, "5" or "68".
        restore: The value of FACECRAFT_RESTORE, "on" or "off".

    Raises:
        ModelError: If a model file is wrong. A model that its library cannot load raises that library's error.
    """
    settings = load_common(
        {
            "FACECRAFT_MODELS_DIR": str(MODELS),
            "FACECRAFT_LANDMARKS": landmarks,
            "FACECRAFT_RESTORE": restore,
            "FACECRAFT_DEVICE": "cpu",  # builders have no GPU
        }
    )
    libraries.prepare()
    from pipeline.pipeline import PortraitPipeline  # noqa: PLC0415  # its libraries had to be prepared first

    PortraitPipeline(build_model_set(settings))


if __name__ == "__main__":
    load("5", "off")
    if (MODELS / "shape_predictor_68_face_landmarks.dat").exists():
        load("68", "on" if (MODELS / "codeformer" / "codeformer.pth").exists() else "off")
