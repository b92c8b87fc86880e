"""`make quality`: how good the portraits are, ours beside the original's steps, in one table.

The photos are the repository's samples and what is made of them: relit, tilted, turned, pasted over other backgrounds,
saved again. It measures and does not judge: the exit code is 0, `x` marks a goal that is missed.
"""

import argparse
import sys
import time
from pathlib import Path

from handler.models import libraries

libraries.prepare()  # before anything imports rembg or onnxruntime

from tests.bench.quality import rows_frame, rows_look  # noqa: E402 - see above
from tests.bench.quality.bench import Bench  # noqa: E402
from tests.bench.quality.table import printed  # noqa: E402

ROWS = {**rows_frame.ROWS, **rows_look.ROWS}
LABELLED = {"right-face", "counted"}
"""Measures that need labels, which only the samples have."""


def main() -> None:
    arguments = _parser().parse_args()
    begun = time.perf_counter()
    bench = Bench(arguments.models, arguments.folder, arguments.most)
    wanted = arguments.only or [name for name in ROWS if bench.labelled or name not in LABELLED]
    rows = []
    for name in wanted:
        print(f"{time.perf_counter() - begun:4.0f} s  {name}", file=sys.stderr)
        rows += ROWS[name](bench)
        print("\r", end="", file=sys.stderr)
    took = time.perf_counter() - begun
    print(f"\r{took:.0f} s{' ' * 12}", file=sys.stderr)
    print(printed(rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.quality", description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--only", nargs="+", choices=ROWS, metavar="MEASURE", help=f"of: {', '.join(ROWS)}")
    parser.add_argument("--folder", type=Path, help="measure the photos of this folder instead of the samples")
    parser.add_argument("--most", type=int, default=8, help="photos for each kind of copy (default 8)")
    return parser


if __name__ == "__main__":
    main()
