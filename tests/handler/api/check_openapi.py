"""The HTTP API beside its own document, by schemathesis: no 5xx, no answer outside the schema.

`--examples` cases for each operation, in `--seconds` at most. The API is the real one, with workers that make small
portraits at once.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.handler.api.desk import Desk

OPERATIONS = 10
PHASES = "examples,coverage,fuzzing"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2000 // OPERATIONS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schemathesis", default=str(Path(sys.executable).with_name("schemathesis")))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Desk(Path(folder), threads=2, MAX_CONCURRENT_JOBS=64) as desk:
        url = f"http://127.0.0.1:{desk.server.port}"
        command = [
            given.schemathesis, "run", f"{url}/openapi.json", "--phases", PHASES, "--checks", CHECKS,
            "--max-examples", str(given.examples), "--seed", str(given.seed), "--exclude-path", "/status",
        ]  # fmt: skip
        try:
            environ = os.environ | {"NO_COLOR": "1"}
            ended = subprocess.run(command, cwd=folder, env=environ, timeout=given.seconds, check=False)
        except subprocess.TimeoutExpired:
            return f"stopped after {given.seconds} s"
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
