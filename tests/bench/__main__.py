"""`make bench`: every benchmark, one after the other."""

import argparse
from pathlib import Path

from tests.bench import speed

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--models", type=Path, default=Path("models"))
parser.add_argument("--rounds", type=int, default=3)
arguments = parser.parse_args()

speed.run(arguments.models, arguments.rounds)
