"""The README's picture, before and after, from the sample portraits: `python -m tests.bench.picture OUT`.

OUT is an outbox that `python -m handler once tests/portraits OUT` has filled.
"""

import argparse
from pathlib import Path

from PIL import Image

PORTRAITS = Path(__file__).parents[1] / "portraits"
SHOWN = ("astronaut.png", "group_selfie.jpg", "portrait_glasses_scarf.jpg", "two_people_award.jpg")
COLOURS = ((240, 240, 240), (24, 92, 140))
SIDE = 240
GAP = 8


def column(name: str, outbox: Path) -> Image.Image:
    """The photo, and its portrait on each colour, one below the other."""
    photo = Image.open(PORTRAITS / name).convert("RGB")
    photo.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    portrait = Image.open(outbox / f"{Path(name).stem}.png").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    sheet = Image.new("RGB", (SIDE, (SIDE + GAP) * (1 + len(COLOURS)) - GAP), "white")
    sheet.paste(photo, ((SIDE - photo.width) // 2, (SIDE - photo.height) // 2))
    for row, colour in enumerate(COLOURS, 1):
        ground = Image.new("RGB", portrait.size, colour)
        ground.paste(portrait, (0, 0), portrait)
        sheet.paste(ground, (0, row * (SIDE + GAP)))
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
