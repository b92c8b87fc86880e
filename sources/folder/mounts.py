"""Finds mounts without events: a server, host or daemon makes their changes, and this kernel does not see them."""

import os
import re
from pathlib import Path
from typing import Final

_UNWATCHABLE: Final = re.compile(
    r"nfs4?|cifs|smb3?|smbfs|9p|virtiofs|fuse(\..*)?|fakeowner|vboxsf|prl_fs|vmhgfs"
    r"|ceph|lustre|beegfs|gpfs|orangefs|pvfs2|afs|coda|ocfs2|gfs2"
)
_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")
_MOUNTS: Final = Path("/proc/self/mountinfo")


def unwatchable_mounts(root: str) -> list[str]:
    """The types (`nfs4`, `fuse.sshfs`) of such mounts at the folder `root` or below it."""
    try:
        mounts = _MOUNTS.read_bytes()
    except OSError:  # no Linux, or no /proc: nothing is known
        return []
    return [kind for kind in filesystem_types(os.path.realpath(root), mounts) if _UNWATCHABLE.fullmatch(kind)]


def filesystem_types(root: str, mounts: bytes) -> list[str]:
    """The types of the file systems at the real path `root` and below, from the text of /proc/self/mountinfo."""
    at_root, inside = ("", ""), []
    for place, kind in map(_parse_mount, mounts.splitlines()):
        if _contains(place, root):
            if len(place) >= len(at_root[0]):  # of two mounts at one place the later one hides the other
                at_root = place, kind
        elif _contains(root, place):
            inside.append(kind)
    return list(dict.fromkeys([at_root[1], *inside]))


def _contains(folder: str, place: str) -> bool:
    return place == folder or place.startswith(folder.rstrip("/") + "/")


def _parse_mount(line: bytes) -> tuple[str, str]:
    fields = line.split(b" ")
    place = _ESCAPED.sub(lambda octal: bytes([int(octal[1], 8)]), fields[4])
    return os.fsdecode(place), os.fsdecode(fields[fields.index(b"-", 6) + 1])
