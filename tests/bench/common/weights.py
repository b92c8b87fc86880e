"""CodeFormer's weights for a benchmark."""

from pathlib import Path

from pipeline.models.catalog import card, locate


def codeformer_weights(models: Path, folder: Path) -> Path:
    """The published weights in `models`; where they are missing, random ones, written to `folder / "random"`.

    Random weights cost the same time and memory, and restore nothing.
    """
    published = locate(models, card("codeformer"))
    if published.exists():
        return published
    from tests.pipeline.restore.codeformer_weights import save

    save(folder / "random")
    return folder / "random"
