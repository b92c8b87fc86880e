"""What README.md says of the models is what their cards say."""

from pathlib import Path
from urllib.parse import urlsplit

from pipeline.models.catalog import REGISTRY

README = Path(__file__).parents[2] / "README.md"
FREE = ("landmarks_5", "mmod", "u2net_human_seg")
"""What the `-free` images hold; tests/test_images.py compares it."""


def row(card):
    images = {True: "all", False: "not in `-free`"}[card.name in FREE] if card.bundled else "none"
    source = f"[{urlsplit(card.url).hostname}]({card.url})"
    return f"| {card.purpose} | `{card.file}` | {round(card.bytes / 1e6)} MB | {images} | {card.licence} | {source} |"


def test_every_model_stands_there_with_its_size_source_and_licence():
    table = "".join(f"{row(card)}\n" for card in REGISTRY)
    assert table in README.read_text("utf-8"), table
