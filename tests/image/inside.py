"""Runs inside the image, with its Python: what is in there, as JSON."""

import importlib.util
import json
import os
import sys
from importlib.metadata import distributions
from pathlib import Path

from handler.fetch import inspect
from pipeline.models import REGISTRY

torch = None
if importlib.util.find_spec("torch"):
    import torch

MODELS = Path(os.environ["FACECRAFT_MODELS_DIR"])
facts = {
    "uid": os.getuid(),
    "packages": {each.name.lower().replace("_", "-"): each.version.split("+")[0] for each in distributions()},
    "cuda": torch.version.cuda if torch else None,
    "models": {row.card.name: row.state for row in inspect(REGISTRY, MODELS) if row.state != "missing"},
    "writable": [path for path in ("/", "/app", "/opt/venv", "/app/models") if os.access(path, os.W_OK)],
    "telemetry_off": os.environ.get("ORT_DISABLE_TELEMETRY"),
}
json.dump(facts, sys.stdout)
