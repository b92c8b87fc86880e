"""One photo through our steps and through the original's, in turn, in one process: `python -m tests.bench.speed`.

Same libraries, same cut-out model, face restoration off on both sides. Prints milliseconds per stage (medians) and the
ratio of the medians, with the spread of the ratio pair by pair: machines drift, pairs drift together.
"""

import argparse
import io
import statistics
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipeline.models.catalog import cutout_model, verified
from pipeline.models.model_set import ModelSet
from pipeline.pipeline import PortraitPipeline
from pipeline.recipe import Recipe
from pipeline.types import Limits
from tests.bench.common.machine import machine
from tests.bench.common.original import Original

PORTRAIT = Path(__file__).parents[1] / "portraits" / "portrait_glasses_busy_bg.jpg"


def photo(width: int, height: int) -> bytes:
    """The sample portrait in the middle of a photo of that size, as a camera would save it (JPEG, quality 92)."""
    picture = np.asarray(Image.open(PORTRAIT).convert("RGB"))
    side = min(width, height)
    picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    across, down = width - side, height - side
    framed = cv2.copyMakeBorder(
        picture, down // 2, down - down // 2, across // 2, across - across // 2, cv2.BORDER_REFLECT
    )
    buffer = io.BytesIO()
    Image.fromarray(framed).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def run(models: Path, rounds: int) -> None:
    cutout = verified(models, cutout_model(models).name)
    landmarks = verified(models, "landmarks_68")
    portrait_pipeline = PortraitPipeline(ModelSet(landmarks, cutout, verified(models, "mmod")))
    original = Original(landmarks.path, portrait_pipeline.segmenter.session)
    print(f"{machine()}; cut-out {cutout.card.name}")
    for name, size in (("12 MP", (4000, 3000)), ("1 MP", (1000, 1000))):
        compare(name, photo(*size), portrait_pipeline, original, rounds)


def compare(name: str, data: bytes, portrait_pipeline: PortraitPipeline, original: Original, rounds: int) -> None:
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for count in range(rounds + 1):
        one = portrait_pipeline.process(data, Recipe(restore="off"), Limits(), "photo.jpg").stages_ms
        other = original.process(data)[2]
        if count:  # the first round warms up
            ours.append(one)
            theirs.append(other)
    report(name, ours, theirs)


def report(name: str, ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> None:
    stages = list(dict.fromkeys([*theirs[0], *ours[0]]))
    print(f"\n{name:12} {'original ms':>12} {'ours ms':>10}")
    for stage in stages:
        before, now = (statistics.median(run.get(stage, 0.0) for run in runs) for runs in (theirs, ours))
        print(f"{stage:12} {before:12.1f} {now:10.1f}")
    totals = [(sum(before.values()), sum(now.values())) for before, now in zip(theirs, ours, strict=True)]
    before, now = (statistics.median(each) for each in zip(*totals, strict=True))
    ratios = sorted(before / now for before, now in totals)
    print(f"{'total':12} {before:12.1f} {now:10.1f}   {before / now:.1f}x faster", end="")
    print(f" (pairs {ratios[0]:.1f} to {ratios[-1]:.1f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    run(arguments.models, arguments.rounds)
