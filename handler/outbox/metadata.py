"""Object metadata: whose result it is, what a report was made from, a photo's options. Pure."""

from collections.abc import Mapping
from typing import Final

from pipeline.image.provenance import mark

SOURCE_ETAG: Final = "source-etag"
SIDECAR_ETAG: Final = "sidecar-etag"

_PROVENANCE: Final = "facecraft"
_OPTION: Final = "facecraft-"
_MAX_MARK: Final = 1500
"""S3 allows 2 KB of metadata."""


def provenance(owner: str) -> dict[str, str]:
    """For a result made from the photo at the path `owner`; a very long path is left out."""
    text = mark(owner)
    return {_PROVENANCE: text if len(text) <= _MAX_MARK else mark("")}


def is_own(metadata: Mapping[str, str] | None) -> bool:
    """Whether the object is one of our results."""
    return metadata is not None and _PROVENANCE in metadata


def source_metadata(etags: tuple[str, ...]) -> dict[str, str]:
    """For a report on a photo, and perhaps its sidecar, with these etags."""
    return dict(zip((SOURCE_ETAG, SIDECAR_ETAG), etags, strict=False))


def options_in(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """The options, from `facecraft-<option>`. Proxies drop names with `_`, so `-` stands for it."""
    return {
        name.removeprefix(_OPTION).replace("-", "_"): value
        for name, value in (metadata or {}).items()
        if name.startswith(_OPTION)
    }
