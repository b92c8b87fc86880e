"""Which names are never photos: hidden, temporary, a system's own, companions of photos. Names only, no disk."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

SIDECAR: Final = ".toml"
"""`anna.jpg.toml` holds the options of `anna.jpg`; see `Store.sidecar` for its other spellings."""

SIDECAR_ENDINGS: Final = (SIDECAR, ".TOML", ".Toml")
"""How the ending is spelt; the first one that exists counts."""

PICTURE_ENDINGS: Final = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".heic", ".heif", ".hif", ".avif", ".tif", ".tiff",
        ".bmp", ".gif",
    }
)  # fmt: skip
"""Endings of complete photos. A file with any other ending may be somebody's temporary name for one of these."""

_SYSTEM_FILES: Final = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "picasa.ini", "icon\r"})

_SYSTEM_FOLDERS: Final = frozenset(
    {
        "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "~snapshot",  # Synology, QNAP, NetApp
        "__macosx", "$recycle.bin", "recycler", "system volume information", "lost+found", "temporaryitems",
        "network trash folder",
    }
)  # fmt: skip

_UNFINISHED: Final = (
    "~", ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".opdownload", ".incomplete",
    ".upload", ".aria2", ".!ut", ".!qb", ".!bt", ".!sync", ".gstmp", ".swp", ".swo", ".swx", ".lock",
    "_exiftool_tmp",
)  # fmt: skip

_SAFE_SAVE: Final = re.compile(r".\.sb-[0-9a-f]{8}-[a-z0-9]{6}$", re.IGNORECASE)
"""Where programs on macOS write a file before they move it to its place."""

_COMPANIONS: Final = (
    ".xmp", ".aae", ".thm", ".pp3", ".dop", ".cos", ".cop", ".on1", ".json",  # edits and facts beside a photo
    ".mov", ".mp4", ".m4v", ".3gp", ".avi", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".mkv", ".lrv", ".insv",
    ".wav", ".m4a", ".mp3", ".aac",  # films and voice memos
    ".ctg", ".jbf", "_$folder$",  # indexes of cameras and programs; a folder, as Hadoop keeps it in a bucket
)  # fmt: skip

_ENDING: Final = "|".join(re.escape(ending) for ending in sorted(PICTURE_ENDINGS, key=len, reverse=True))
_ORIGINAL: Final = re.compile(rf"({_ENDING})_original$", re.IGNORECASE)
_STREAM: Final = re.compile(rf"({_ENDING}|^thumbs\.db)[:\uf03a\uf022][^/]*$", re.IGNORECASE)
"""A stream of a Windows file, such as `:Zone.Identifier`, as a file of its own; Samba, WSL and macOS write the colon in
their own ways."""


def ignored_name(name: str) -> str | None:
    """Why a file of this name is never a photo, with the pattern; None if it may be one."""
    if name.startswith("."):
        return "hidden (.*)"
    lower = name.lower()
    if lower.endswith(SIDECAR):
        return f"sidecar (*{SIDECAR})"
    return _temporary(lower) or _companion(lower) or (f"system file ({lower})" if lower in _SYSTEM_FILES else None)


def _temporary(lower: str) -> str | None:
    if lower.startswith("~$"):
        return "temporary (~$*)"
    if lower.startswith("#") and lower.endswith("#"):
        return "temporary (#*#)"
    if _SAFE_SAVE.search(lower):
        return "temporary (*.sb-*)"
    if lower.endswith(_UNFINISHED):
        return f"temporary (*{next(ending for ending in _UNFINISHED if lower.endswith(ending))})"
    return None


def _companion(lower: str) -> str | None:
    if _ORIGINAL.search(lower):
        return "a copy that exiftool left (*_original)"
    if _STREAM.search(lower) and not has_picture_ending(lower):
        return "goes with a photo (*:*)"
    if lower.endswith(_COMPANIONS):
        return f"goes with a photo (*{next(ending for ending in _COMPANIONS if lower.endswith(ending))})"
    return None


def ignored_folder(name: str) -> str | None:
    """Why photos are never looked for in a folder of this name, with the pattern; None if they are."""
    if name.startswith("."):
        return "hidden folder (.*)"
    lower = name.lower()
    if _SAFE_SAVE.search(lower):
        return "temporary folder (*.sb-*)"
    if lower.startswith("(a document being saved by"):
        return "temporary folder ((A Document Being Saved By*)"
    return f"system folder ({lower})" if lower in _SYSTEM_FOLDERS else None


def why_ignored(path: str) -> str | None:
    """Why the file at this path, with `/` between its parts, is never a photo; None if it may be one."""
    *folders, name = path.split("/")
    return why_folder_ignored("/".join(folders)) or ignored_name(name)


def why_folder_ignored(path: str) -> str | None:
    """The same for a folder and the folders above it; the root, "", never is."""
    return next((why for part in path.split("/") if (why := ignored_folder(part))), None)


def has_picture_ending(name: str) -> bool:
    """Whether the name or path ends as those of photos do."""
    return name.lower().endswith(tuple(PICTURE_ENDINGS))


def photo_of(path: str) -> str | None:
    """The photo that this sidecar belongs to, or None if the path is no sidecar's."""
    return path[: -len(SIDECAR)] if path.lower().endswith(SIDECAR) else None


def bucket_sidecars(photo: str) -> tuple[str, ...]:
    """Where a bucket may have the sidecar of this photo, the first that exists counts.

    In capitals only beside a photo whose ending is in capitals too: to ask for it costs a request for each photo.
    """
    return (photo + SIDECAR, photo + SIDECAR.upper()) if photo.rpartition(".")[2].isupper() else (photo + SIDECAR,)


def sidecars_by_photo(names: Iterable[str]) -> dict[str, str]:
    """Those of these names that are sidecars', by the name of their photo in lower case."""
    return {photo.lower(): name for name in names if (photo := photo_of(name))}


def misnamed_sidecar(photo: str, sidecars: Mapping[str, str]) -> str | None:
    """The sidecar that is not this photo's, and was probably meant to be: `c.toml` for `c.jpg`.

    Args:
        photo: The photo's name, or its path where those of the sidecars are paths.
        sidecars: See `sidecars_by_photo`.
    """
    lower = photo.lower()
    found = sidecars.get(lower) or sidecars.get(lower.rpartition(".")[0])
    return None if found is None or photo_of(found) == photo else found
