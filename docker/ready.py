"""The images' health check: exit code 0 if the service answers 200 to GET /ready, else 1. Prints the answer."""

import http.client
import os
import sys

# 0.0.0.0 is an address to listen on; on Linux, a request to it goes to this machine.
host = os.environ.get("FACECRAFT_HOST", "").strip() or "0.0.0.0"  # noqa: S104 - as above
port = int(os.environ.get("FACECRAFT_PORT", "").strip() or 8000)
try:
    connection = http.client.HTTPConnection(host, port, timeout=8)
    connection.request("GET", "/ready")
    answer = connection.getresponse()
    sys.stdout.write(f"{answer.status} {answer.read().decode()}\n")
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"no answer from {host}:{port}: {error}")
sys.exit(0 if answer.status == http.client.OK else 1)
