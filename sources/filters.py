"""Which names are never photos: hidden, temporary, a system's own, and sidecars. Names only, no disk."""

from typing import Final

SIDECAR: Final = ".toml"
"""`anna.jpg.toml` holds the options of `anna.jpg`."""

_SYSTEM_FILES: Final = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})

_SYSTEM_FOLDERS: Final = frozenset(
    {
        "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "~snapshot",  # Synology, QNAP, NetApp
        "__macosx", "$recycle.bin", "recycler", "system volume information", "lost+found",
    }
)  # fmt: skip

_UNFINISHED: Final = (
    "~", ".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".download", ".opdownload", ".incomplete",
    ".upload", ".aria2", ".!ut", ".!qb", ".!bt", ".swp", ".swo", ".swx", ".lock",
)  # fmt: skip


def ignored_name(name: str) -> str | None:
    """Why a file of this name is never a photo, with the pattern; None if it may be one."""
    if name.startswith("."):
        return "hidden (.*)"
    lower = name.lower()
    if lower.endswith(SIDECAR):
        return f"sidecar (*{SIDECAR})"
    if lower.startswith("~$"):
        return "temporary (~$*)"
    if lower.endswith(_UNFINISHED):
        return f"temporary (*{next(ending for ending in _UNFINISHED if lower.endswith(ending))})"
    return f"system file ({lower})" if lower in _SYSTEM_FILES else None


def ignored_folder(name: str) -> str | None:
    """Why photos are never looked for in a folder of this name, with the pattern; None if they are."""
    if name.startswith("."):
        return "hidden folder (.*)"
    lower = name.lower()
    return f"system folder ({lower})" if lower in _SYSTEM_FOLDERS else None


def why_ignored(path: str) -> str | None:
    """Why the file at this path, with `/` between its parts, is never a photo; None if it may be one."""
    *folders, name = path.split("/")
    return why_folder_ignored("/".join(folders)) or ignored_name(name)


def why_folder_ignored(path: str) -> str | None:
    """The same for a folder and the folders above it; the root, "", never is."""
    return next((why for part in path.split("/") if (why := ignored_folder(part))), None)


def photo_of(path: str) -> str | None:
    """The photo that this sidecar belongs to, or None if the path is no sidecar's."""
    return path[: -len(SIDECAR)] if path.endswith(SIDECAR) else None
