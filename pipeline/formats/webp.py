"""WebP: whether a decoder used all of the picture's data (RFC 9649).

A decoder of WebP's arithmetic and prefix codes never meets a code that it cannot read: damaged data give other pixels.
But they end somewhere else. Where they run out, libwebp says so; where they are not used up, a file that lacks its last
bytes still decodes, which no sound file does. A change that leaves the lengths of all codes as they are stays unseen;
half of the changed bytes in lossless files are such.
"""

from typing import Final

_LAST: Final = {b"VP8 ": 6, b"VP8L": 4}
"""Bytes at the end of a chunk that a sound picture cannot do without: of 30 encodings all fail with 4, and with 2."""
_MAX_PADDING: Final = 8


def without_last_bytes(data: bytes) -> bytes | None:
    """The file without the last bytes of its picture's data; None if it is animated, or has none."""
    at = 12
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + length]
        if name in _LAST:
            padding = min(len(body) - len(body.rstrip(b"\0")), _MAX_PADDING)
            shorter = body[: max(len(body) - padding - _LAST[name], 0)]
            behind = data[at + 8 + length + length % 2 :]
            content = data[8 : at + 4] + len(shorter).to_bytes(4, "little") + shorter + bytes(len(shorter) % 2) + behind
            return b"RIFF" + len(content).to_bytes(4, "little") + content
        at += 8 + length + length % 2
    return None
