"""Printing results on stdout, and names that a terminal can show."""

import os
import sys


def say(line: str) -> None:
    """A result, on stdout. Where nobody listens any more (`| head`), or the disk is full, the work goes on."""
    try:
        print(line, flush=True)
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # also what waits to be written when Python ends
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            print(f"stdout: {error}; results are no longer printed", file=sys.stderr)


def printable(text: str) -> str:
    """A name for the screen: one line, and no bytes that are not UTF-8."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
