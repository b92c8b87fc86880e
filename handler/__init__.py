"""Wires sources and pipeline together: settings, workers, sink, server, commands."""

__version__ = "0.1.0"
