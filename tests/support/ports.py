"""Ports of this machine for servers that have to be told theirs."""

import random
import socket
from contextlib import suppress

_CANDIDATES = iter(random.sample(range(10_000, 20_000), 10_000))
"""In an order of this process's own, and each once: no two servers of a process meet, those of two hardly ever.

Clients are given none below 32,768, so one stays free while its server is away; SeaweedFS adds 10,000 for gRPC.
"""


def free_port() -> int:
    """One that nobody listens on, and that was not given before."""
    for port in _CANDIDATES:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port between 10,000 and 20,000 is left: end what listens there")
