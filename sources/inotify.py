"""The kernel's own events of folders, as they come (see inotify(7)); nothing is guessed and nothing is hidden."""

import ctypes
import os
import select
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

MODIFY: Final = 0x2
ATTRIB: Final = 0x4
CLOSE_WRITE: Final = 0x8
MOVED_FROM: Final = 0x40
MOVED_TO: Final = 0x80
CREATE: Final = 0x100
DELETE: Final = 0x200
MOVE_SELF: Final = 0x800
OVERFLOW: Final = 0x4000
IGNORED: Final = 0x8000
FOLDER: Final = 0x4000_0000
"""Of an event: it is about a folder."""

_ONLY_FOLDERS: Final = 0x100_0000
_NO_LINKS: Final = 0x200_0000
# Opening and reading are left out: we would hear ourselves.
_MASK: Final = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | MOVE_SELF | _ONLY_FOLDERS
_HEAD: Final = struct.Struct("iIII")
_BUFFER: Final = 1 << 16


class Heard(NamedTuple):
    """`number` is the watch's, -1 for an overflow; `mask` holds the constants above; `name` is that of the entry."""

    number: int
    mask: int
    name: bytes


class Inotify:
    """One queue of events. OSError everywhere: EMFILE and ENOSPC where a limit of the system is reached."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._woken, self._wake = os.pipe()
        try:
            self._fd = self._checked("inotify_init1", os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            os.close(self._woken)
            os.close(self._wake)
            raise
        self._poll = select.poll()
        for fd in (self._fd, self._woken):
            self._poll.register(fd, select.POLLIN)

    def add(self, folder: str, *, follow: bool = False) -> int:
        """Hear what happens in a folder, not below it; gives the watch's number, the same one for the same folder."""
        mask = _MASK if follow else _MASK | _NO_LINKS
        return self._checked("inotify_add_watch", self._fd, os.fsencode(folder), mask)

    def remove(self, number: int) -> None:
        """Hear no more of it; nothing happens where the kernel has ended the watch already."""
        self._libc.inotify_rm_watch(self._fd, number)

    def read(self) -> list[Heard]:
        """What happened, at once or when something happens; empty after `wake`."""
        ready = {fd for fd, _ in self._poll.poll()}
        return [] if self._woken in ready else list(_parsed(os.read(self._fd, _BUFFER)))

    def wake(self) -> None:
        """End a `read`, and all later ones."""
        os.write(self._wake, b"!")

    def close(self) -> None:
        """After the last `read`."""
        for fd in (self._fd, self._woken, self._wake):
            os.close(fd)

    def _checked(self, call: str, *arguments: int | bytes) -> int:
        try:
            result: int = getattr(self._libc, call)(*arguments)
        except AttributeError as error:
            raise OSError(f"this system has no {call}") from error
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result


def _parsed(data: bytes) -> Iterator[Heard]:
    position = 0
    while position < len(data):
        number, mask, _, length = _HEAD.unpack_from(data, position)
        position += _HEAD.size + length
        yield Heard(number, mask, data[position - length : position].rstrip(b"\0"))
