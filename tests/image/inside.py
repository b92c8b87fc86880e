"""Runs inside the image, with its Python; prints what the image contains as JSON."""

import importlib.util
import json
import os
import sys
from importlib.metadata import distributions
from pathlib import Path

from handler.models.fetch import inspect
from pipeline.models.catalog import REGISTRY

torch = None
if importlib.util.find_spec("torch"):
    import torch

MODELS = Path(os.environ["FACECRAFT_MODELS_DIR"])
PACKAGES = Path(sys.prefix) / "lib" / "python3.11" / "site-packages"


def megabytes(path):
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(each.lstat().st_size for each in files) / 1e6


facts = {
    "uid": os.getuid(),
    "packages": {each.name.lower().replace("_", "-"): each.version.split("+")[0] for each in distributions()},
    "cuda": torch.version.cuda if torch else None,
    "models": {row.card.name: row.state for row in inspect(REGISTRY, MODELS) if row.state != "missing"},
    "writable": [path for path in ("/", "/app", "/opt/venv", "/app/models") if os.access(path, os.W_OK)],
    "sizes": {path.name: megabytes(path) for path in PACKAGES.iterdir()},
    "telemetry_off": os.environ.get("ORT_DISABLE_TELEMETRY"),
}
json.dump(facts, sys.stdout)
