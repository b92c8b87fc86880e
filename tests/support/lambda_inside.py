"""What a process does to become a function of Lambda's: run by `tests.support.lambda_room` in name spaces of its own.

The root is read-only, /tmp is small and empty, /dev holds little and no shm, the network is loopback alone.
"""

import array
import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
from pathlib import Path

UID = 993
TMP = "/tmp"  # noqa: S108 - Lambda's
_BIND, _MOVE, _RECURSIVE = 4096, 8192, 16384
_MOUNT_SETATTR, _HERE, _AT_RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 1
_SET_FLAGS, _UP = 0x8914, 0x41
_DEVICES = ("null", "zero", "full", "random", "urandom")

libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source, place, kind="none", flags=0, options=""):
    texts = (str(each).encode() for each in (source, place, kind))
    checked(libc.mount(*texts, flags, options.encode()))


def read_only(place, flags=0, *, again_not=False):
    change = struct.pack("4Q", *((0, _READ_ONLY) if again_not else (_READ_ONLY, 0)), 0, 0)
    checked(libc.syscall(_MOUNT_SETATTR, _HERE, str(place).encode(), flags, change, len(change)))


def loopback():
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", b"lo", _UP))


def devices():
    """Made elsewhere and moved, because the devices that are bound lie in the /dev that is covered."""
    mount("dev", "/mnt", "tmpfs", options="size=64k,mode=755")
    for name in _DEVICES:
        place = Path("/mnt", name)
        place.touch()
        mount(f"/dev/{name}", place, flags=_BIND)
    Path("/mnt/fd").symlink_to("/proc/self/fd")
    mount("/mnt", "/dev", flags=_MOVE)
    read_only("/dev")


def enclosed(kept, tmp):
    """`kept` folders are seen, read-only, where they are, also below /tmp."""
    held = {path: os.open(path, os.O_PATH) for path in kept if Path(path).is_relative_to(TMP)}
    read_only("/", _AT_RECURSIVE)
    read_only("/proc", again_not=True)  # whoever makes a name space of users writes there
    mount("tmp", TMP, "tmpfs", options=f"size={tmp},mode=1777")
    for path, number in held.items():
        Path(path).mkdir(parents=True, exist_ok=True)
        mount(f"/proc/self/fd/{number}", path, flags=_BIND | _RECURSIVE)
    devices()


def main(told):
    loopback()
    listeners = [socket.create_server(("127.0.0.1", port), backlog=64) for port in told["ports"]]
    with socket.socket(fileno=told["outside"]) as outside:
        numbers = array.array("i", [each.fileno() for each in listeners])
        outside.sendmsg([b"here"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])
    enclosed(told["kept"], told["tmp"])
    os.chdir(told["kept"][0])
    named = ["unshare", "--user", f"--map-user={UID}", f"--map-group={UID}"]
    os.execvpe("unshare", [*named, *told["command"]], told["environ"])  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
