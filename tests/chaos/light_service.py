"""The real service with light model workers: `python -m tests.chaos.light_service`."""

import functools
import sys

from handler.cli import commands
from handler.service.service import Service
from tests.chaos import light

if __name__ == "__main__":
    sys.exit(commands.watch(functools.partial(Service, build=light.build, load=light.load)))
