"""Wires sources and pipeline together: settings, workers, outbox, HTTP server, commands."""

__version__ = "0.1.0"
