"""Makes `import rembg` take 2 seconds instead of 40: numba must find its compiled functions in a writable folder.

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

# Beside handler/config/load.py and libraries.py the only place that touches the environment: numba takes its settings
# from nowhere else, and reads them when it is imported. Worker processes inherit what is set here.
_FOLDER: Final = "NUMBA_CACHE_DIR"
_PROCESSOR: Final = "NUMBA_CPU_NAME"
_LOCATORS: Final = "NUMBA_CACHE_LOCATOR_CLASSES"
_BAKED: Final = Path(sys.prefix) / "share" / "facecraft" / "numba"


def prepare(baked: Path | None = None) -> Path:
    """Point numba to a cache folder that it can write.

    That is `NUMBA_CACHE_DIR` if it is set, else `baked`, else the folder that `make install` and the images fill. If
    it cannot be written, it is a private copy in the temporary folder. If that is full or cannot be written either,
    the folder is used read-only, and numba adds nothing to it.

    Returns:
        The folder.
    """
    # A cache compiled for one processor is useless on another, and an image is built here but runs elsewhere.
    os.environ.setdefault(_PROCESSOR, "generic")
    origin = Path(os.environ.get(_FOLDER) or baked or _BAKED)
    folder = origin if _writable(origin) else _copied(origin)
    os.environ[_FOLDER] = str(folder)
    return folder


def _copied(origin: Path) -> Path:
    try:
        return _private_copy(origin)
    except OSError:  # the temporary folder is full, read-only or not there
        os.environ[_LOCATORS] = "handler.models.numba_locator.ReadOnlyCacheLocator"
        return origin


def _writable(folder: Path) -> bool:
    """Whether numba can write everywhere below the folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return all(os.access(each, os.W_OK | os.X_OK) for each in (folder, *folder.iterdir()) if each.is_dir())


def _private_copy(origin: Path) -> Path:
    """The copy that exists, or a new one. It is filled aside and renamed, so that all workers share a complete one."""
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
        # Another worker was first, or another user owns the name: numba would run the code that is in there.
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
    """Identifies the content, so that an older image's copy is not taken for this one's."""
    names = ((name, (folder / name).read_bytes()) for name in _files(folder))
    whole = hashlib.sha256(b"".join(bytes(name) + hashlib.sha256(data).digest() for name, data in names))
    return whole.hexdigest()[:16]


def _copy(origin: Path, target: Path) -> None:
    """Copies bytes only: the modes of a read-only image must not be kept."""
    for name in _files(origin):
        (target / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(origin / name, target / name)


if __name__ == "__main__":
    sys.stdout.write(f"{prepare()}\n")
    import rembg  # noqa: F401 - its import fills the cache
