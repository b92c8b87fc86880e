"""Ports of this machine for servers that have to be told theirs."""

import random
import socket
from contextlib import suppress


def free_port(lowest: int = 30_000, beyond: int = 32_768) -> int:
    """Below 32,768, where no client is given one: it stays free while its server is away.

    By chance, so that tests that run beside each other do not meet.
    """
    while True:
        port = random.randrange(lowest, beyond)  # noqa: S311 - no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
