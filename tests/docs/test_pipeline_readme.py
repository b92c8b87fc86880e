"""The table of models in pipeline/README.md is what their cards say."""

from pathlib import Path
from urllib.parse import urlsplit

from pipeline.models.catalog import REGISTRY

README = Path(__file__).parents[2] / "pipeline" / "README.md"
FREE = ("landmarks_5", "mmod", "u2net_human_seg")
"""The models in the `-free` images; tests/docker/test_images.py has the same list."""


def row(card):
    images = {True: "all", False: "not in `-free`"}[card.name in FREE] if card.bundled else "none"
    source = f"[{urlsplit(card.url).hostname}]({card.url})"
    return f"| {card.purpose} | `{card.file}` | {round(card.bytes / 1e6)} MB | {images} | {card.licence} | {source} |"


def test_models_table_matches_the_catalog():
    table = "".join(f"{row(card)}\n" for card in REGISTRY)
    assert table in README.read_text("utf-8"), table
