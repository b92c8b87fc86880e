"""`make bench`: every benchmark, one after the other."""

import argparse
from pathlib import Path

from tests.bench import codeformer, events, folder, function, memory, reconcile, speed, webhook

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--models", type=Path, default=Path("models"))
parser.add_argument("--rounds", type=int, default=3)
arguments = parser.parse_args()

speed.run(arguments.models, arguments.rounds)
codeformer.run(arguments.models, arguments.rounds)
print()
function.run(arguments.models, arguments.rounds)
print()
folder.run(photos=100_000)
print()
memory.run(arguments.models.resolve(), photos=1000)
print()
events.run(photos=300)
print()
webhook.run(events=4_000)
reconcile.run(keys=1_000_000)
