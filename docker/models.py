"""Copies the models of an image to /models, each verified by its SHA-256: `python models.py full|free|available`.

They come from /folder (the build context of that name) if it is not empty, else they are downloaded to /cache. The
build fails here if a model is wrong or missing; `available` skips models that the service can run without.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

from handler.models.fetch import run_fetch, run_verify
from pipeline.models.catalog import REGISTRY, ModelCard, card

FOLDER: Final = Path("/folder")
CACHE: Final = Path("/cache")
TARGET: Final = Path("/models")

_NEVER_BUNDLED: Final = ("u2netp",)


def names(models: str) -> tuple[str, ...]:
    """The names of the models that a set must have; none for `available`. ValueError if there is no such set."""
    full = [each for each in REGISTRY if each.bundled]
    if models == "full":
        return tuple(each.name for each in full)
    if models == "free":
        # The identity model judges restored faces, and there are none without CodeFormer.
        return tuple(each.name for each in full if "non-commercial" not in each.licence and each.name != "identity")
    if models == "available":
        return ()
    raise ValueError(f"MODELS={models} is not a set of models; write full, free or available")


def chosen(models: str, origin: Path) -> list[ModelCard]:
    """The models to copy from a folder whose files were verified."""
    wanted = [card(name) for name in names(models)]
    there = [each for each in REGISTRY if each.name not in _NEVER_BUNDLED and (origin / each.file).exists()]
    best = [each for each in there if each.name != "u2net" or card("u2net_human_seg") not in there]
    return wanted or best


def bring(models: str, folder: Path = FOLDER, cache: Path = CACHE, target: Path = TARGET) -> int:
    """Verify the models, then copy them.

    Returns:
        The exit code: 1 if a model is wrong or missing; then nothing is copied.
    """
    wanted = names(models)
    origin, verify = (folder, run_verify) if any(folder.iterdir()) else (cache, run_fetch)
    if verify(wanted, origin):
        return 1
    for each in chosen(models, origin):
        place = target / each.file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(origin / each.file, place)
        place.chmod(0o644)
    return 0


if __name__ == "__main__":
    sys.exit(bring(sys.argv[1]))
