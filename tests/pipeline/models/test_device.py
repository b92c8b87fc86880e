"""Freed memory stays with the process that asks for it, and only there."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

BLOCKS = """
import resource
import numpy as np
from pipeline.models.device import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(2**27, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

each_anew = faults()
keep_freed_memory()
np.ones(2**27, np.uint8)
print(faults() * 10 < each_anew)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone")
def test_keep_freed_memory_reuses_large_blocks():
    said = subprocess.run(
        [sys.executable, "-c", BLOCKS], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    ).stdout
    assert said == "True\n"
