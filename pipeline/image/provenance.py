"""The mark that every result carries: it says whose portrait this is, and keeps results from being taken for photos."""

import io
from typing import Final
from urllib.parse import quote, unquote

from PIL import Image

from pipeline.errors import PhotoRejected

PNG_KEY: Final = "Facecraft"
_PREFIX: Final = "facecraft portrait; owner="


def mark(owner: str) -> str:
    """The mark's ASCII text for the photo at the path `owner` (`/` between its parts, any bytes in its names)."""
    return _PREFIX + quote(owner, errors="surrogateescape")


def owner_in(image: Image.Image) -> str | None:
    """The owner's path in the mark of an opened, not yet decoded picture; None if it carries no mark."""
    text = image.info.get(PNG_KEY) or image.info.get("comment") or ""
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    if not isinstance(text, str) or not text.startswith(_PREFIX):
        return None
    return unquote(text.removeprefix(_PREFIX), errors="surrogateescape")


def owner_of(data: bytes) -> str | None:
    """The owner's path in the mark of an encoded PNG or JPEG; None if there is no mark or no such picture."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            return owner_in(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def refuse_own(image: Image.Image) -> None:
    """Raises PhotoRejected `own_output` if the picture is a result of ours that came back."""
    owner = owner_in(image)
    if owner is not None:
        raise PhotoRejected("own_output", f"made from {owner!r}")
