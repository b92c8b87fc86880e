"""What a figure was measured on."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """The processor's name and the number of cores."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"
