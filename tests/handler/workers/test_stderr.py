import json
import subprocess
import sys

PROGRAM = """
import logging, os, threading
from handler.telemetry import log
from handler.workers import stderr
log.setup("INFO")
stderr.as_log_lines()
pump = next(thread for thread in threading.enumerate() if thread.name == "stderr")
os.write(2, b"libtiff: something odd \\xff\\n")
logging.getLogger("own").warning("own.line")
os.close(2)
import sys; sys.stderr.close()
pump.join(10)
"""


def test_stderr_output_becomes_log_line():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)

    lines = {line["event"]: line for line in map(json.loads, ended.stderr.splitlines())}
    assert set(lines) == {"native.message", "own.line"}
    assert lines["native.message"]["text"] == "libtiff: something odd \\xff"
