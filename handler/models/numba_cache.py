"""Lets `import rembg` take 2 seconds instead of 40: numba must find its compiled functions, in a folder it can write.

rembg imports pymatting, whose functions numba compiles at import. numba ignores a cache folder that it cannot write,
so in a read-only image, or under another user, a cache that was filled at build time would be compiled anew at every
start. `python -m handler.models.numba_cache` fills the cache; `prepare` is called in each process before it first
imports rembg.
"""

import hashlib
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import Final

# The one place beside handler/config/load.py that touches the environment: numba takes its settings from nowhere else,
# and reads them when it is imported. Worker processes inherit what is set here.
_FOLDER: Final = "NUMBA_CACHE_DIR"
_PROCESSOR: Final = "NUMBA_CPU_NAME"
_LOCATORS: Final = "NUMBA_CACHE_LOCATOR_CLASSES"
_BAKED: Final = Path(sys.prefix) / "share" / "facecraft" / "numba"


def prepare(baked: Path | None = None) -> Path:
    """Point numba to a cache folder that it can write, and give it back.

    That is `NUMBA_CACHE_DIR` if it is set, else `baked`, else the folder that `make install` and the images fill; where
    it cannot be written, a private copy of it in the temporary folder. Where that is full or cannot be written either,
    the folder is used as it is: what is in it serves, and nothing can be added.
    """
    # Compiled for one processor, the cache is worthless on another: an image is built here and runs elsewhere.
    os.environ.setdefault(_PROCESSOR, "generic")
    origin = Path(os.environ.get(_FOLDER) or baked or _BAKED)
    folder = origin if _writable(origin) else _copied(origin)
    os.environ[_FOLDER] = str(folder)
    return folder


def _copied(origin: Path) -> Path:
    try:
        return _private_copy(origin)
    except OSError:  # the temporary folder is full, read-only or not there
        os.environ[_LOCATORS] = "handler.models.numba_locator.AsItIs"
        return origin


def _writable(folder: Path) -> bool:
    """Whether numba can write everywhere below the folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return all(os.access(each, os.W_OK | os.X_OK) for each in (folder, *folder.iterdir()) if each.is_dir())


def _private_copy(origin: Path) -> Path:
    """The copy that is there already, or a new one: filled aside and renamed, so that all workers share a whole one."""
    place = Path(tempfile.gettempdir()) / f"facecraft-numba-{os.getuid()}-{_digest(origin)}"
    if _ours(place):
        return place
    aside = Path(tempfile.mkdtemp(prefix="facecraft-numba-"))
    try:
        _copy(origin, aside)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    try:
        aside.rename(place)
    except OSError:
        # Another worker was first, or the name is another user's: what lies there is code that numba would run.
        if not _ours(place):
            return aside
        shutil.rmtree(aside)
    return place


def _ours(place: Path) -> bool:
    """Whether this is a folder, not a link, that nobody but this user can have written."""
    try:
        seen = place.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(seen.st_mode) and not seen.st_mode & 0o077 and seen.st_uid == os.getuid()


def _files(folder: Path) -> list[Path]:
    return sorted(each.relative_to(folder) for each in folder.rglob("*") if each.is_file())


def _digest(folder: Path) -> str:
    """Names the content, so that the copy of an older image is not taken for this one's."""
    names = ((name, (folder / name).read_bytes()) for name in _files(folder))
    whole = hashlib.sha256(b"".join(bytes(name) + hashlib.sha256(data).digest() for name, data in names))
    return whole.hexdigest()[:16]


def _copy(origin: Path, target: Path) -> None:
    """The bytes alone: the modes of a read-only image must not come along."""
    for name in _files(origin):
        (target / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(origin / name, target / name)


if __name__ == "__main__":
    sys.stdout.write(f"{prepare()}\n")
    import rembg  # noqa: F401 - its import fills the cache
