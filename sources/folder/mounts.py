"""Which mounts tell nothing of what others change: their server, host or daemon knows of it, this kernel does not."""

import os
import re
from pathlib import Path
from typing import Final

_SILENT: Final = re.compile(
    r"nfs4?|cifs|smb3?|smbfs|9p|virtiofs|fuse(\..*)?|fakeowner|vboxsf|prl_fs|vmhgfs"
    r"|ceph|lustre|beegfs|gpfs|orangefs|pvfs2|afs|coda|ocfs2|gfs2"
)
_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")
_MOUNTS: Final = Path("/proc/self/mountinfo")


def silent_mounts(root: str) -> list[str]:
    """The kinds (`nfs4`, `fuse.sshfs`) of such mounts at the folder `root` or below it."""
    try:
        mounts = _MOUNTS.read_bytes()
    except OSError:  # no Linux, or no /proc: nothing is known
        return []
    return [kind for kind in kinds_at(os.path.realpath(root), mounts) if _SILENT.fullmatch(kind)]


def kinds_at(root: str, mounts: bytes) -> list[str]:
    """The kinds of the file systems at the real path `root` and below, from the text of /proc/self/mountinfo."""
    at_root, inside = ("", ""), []
    for place, kind in map(_parsed, mounts.splitlines()):
        if _holds(place, root):
            if len(place) >= len(at_root[0]):  # the later one of two at one place covers the other
                at_root = place, kind
        elif _holds(root, place):
            inside.append(kind)
    return list(dict.fromkeys([at_root[1], *inside]))


def _holds(folder: str, place: str) -> bool:
    return place == folder or place.startswith(folder.rstrip("/") + "/")


def _parsed(line: bytes) -> tuple[str, str]:
    fields = line.split(b" ")
    place = _ESCAPED.sub(lambda octal: bytes([int(octal[1], 8)]), fields[4])
    return os.fsdecode(place), os.fsdecode(fields[fields.index(b"-", 6) + 1])
