"""Access to a file's bytes by offset, so that the same code walks an open file and bytes in memory."""

from collections.abc import Callable

Read = Callable[[int, int], bytes]
"""`read(offset, length)`: fewer bytes only at the end of the file."""


def reader(data: bytes) -> Read:
    """`read(offset, length)` over bytes in memory."""
    return lambda offset, length: data[offset : offset + length]
