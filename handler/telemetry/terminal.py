"""Prints results on stdout, and makes file names printable."""

import os
import sys


def say(line: str) -> None:
    """Prints a result on stdout. If stdout is closed (`| head`) or its disk is full, processing goes on without it."""
    try:
        print(line, flush=True)
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # also for what Python flushes at exit
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            print(f"stdout: {error}; results are no longer printed", file=sys.stderr)


def printable(text: str) -> str:
    """Escapes what is not printable, so that a name stays on one line and is valid UTF-8."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
