"""The README's picture, before and after, from the sample portraits: `python -m tests.bench.picture OUT`.

Its thumbnails are those of the contact sheet.

OUT is an outbox that `facecraft once tests/portraits OUT` has filled.
"""

import argparse
from pathlib import Path

from PIL import Image

from pipeline.image.thumbnail import GREY, STRONG, thumbnail
from pipeline.types import Limits

PORTRAITS = Path(__file__).parents[1] / "portraits"
SHOWN = ("astronaut.png", "group_selfie.jpg", "portrait_glasses_scarf.jpg", "two_people_award.jpg")
SIDE = 240
GAP = 8


def column(name: str, outbox: Path) -> Image.Image:
    """The photo, and its portrait on each colour, one below the other."""
    portrait = (outbox / f"{Path(name).stem}.png").read_bytes()
    pictures = [thumbnail((PORTRAITS / name).read_bytes(), Limits(), SIDE)]
    pictures += [thumbnail(portrait, Limits(), SIDE, colour) for colour in (GREY, STRONG)]
    sheet = Image.new("RGB", (SIDE, (SIDE + GAP) * len(pictures) - GAP), "white")
    for row, each in enumerate(pictures):
        sheet.paste(each, ((SIDE - each.width) // 2, row * (SIDE + GAP) + (SIDE - each.height) // 2))
    return sheet


def picture(outbox: Path) -> Image.Image:
    columns = [column(name, outbox) for name in SHOWN]
    whole = Image.new("RGB", ((SIDE + GAP) * len(columns) - GAP, columns[0].height), "white")
    for place, each in enumerate(columns):
        whole.paste(each, (place * (SIDE + GAP), 0))
    return whole


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outbox", type=Path)
    target = Path(__file__).with_name("before-after.jpg")
    picture(parser.parse_args().outbox).save(target, quality=88)
    print(target)
