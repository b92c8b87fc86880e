"""What the filer of SeaweedFS tells by its webhook: changes of files, of which some are objects of its S3 server."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Final

from sources.notifications.announcement import (
    NotificationError,
    ObjectCreated,
    field,
    key_of,
    needed_text,
    shown,
    size_or_none,
    text_or_none,
    version_or_none,
)

_BUCKETS: Final = "/buckets/"
_VERSIONS: Final = ".versions"
_UPLOADS: Final = ".uploads/"
_DIRECTORY_BIT: Final = 1 << 31
_EXTENDED: Final = "Seaweed-X-Amz-"


def parse_seaweedfs(envelope: Mapping[str, object]) -> ObjectCreated | str:
    """The object that was created, or the name of what is ignored."""
    kind, message = envelope["event_type"], envelope.get("message")
    if kind == "delete":
        return "filer delete"
    if kind not in ("create", "update", "rename"):
        raise NotificationError(f"event_type is {shown(kind)} and should be one of create, update, delete and rename")
    entry = field(message, "new_entry")
    if not isinstance(entry, Mapping):
        raise NotificationError(f"message.new_entry is {shown(entry)} and should be a JSON object")
    if why := _no_object(entry) or _same_content(kind, message):
        return why
    return _object(_path(kind, envelope), entry)


def _no_object(entry: Mapping[str, object]) -> str | None:
    mode = size_or_none(field(entry, "attributes", "file_mode")) or 0
    if entry.get("is_directory") or mode & _DIRECTORY_BIT:
        return "filer folder"
    return "filer delete marker" if _extended(entry, "Delete-Marker") == "true" else None


def _same_content(kind: object, message: object) -> str | None:
    """Tags and other metadata change without the content."""
    etag = _etag(field(message, "new_entry"))
    same = kind == "update" and etag is not None and etag == _etag(field(message, "old_entry"))
    return "filer update of metadata" if same else None


def _path(kind: object, envelope: Mapping[str, object]) -> str:
    """Of a file that was renamed, `key` is the old path."""
    if kind != "rename":
        return needed_text(envelope, "key")
    folder = needed_text(envelope, "message", "new_parent_path")
    return f"{folder}/{needed_text(envelope, 'message', 'new_entry', 'name')}"


def _object(path: str, entry: Mapping[str, object]) -> ObjectCreated | str:
    bucket, _, key = path.removeprefix(_BUCKETS).partition("/")
    if not path.startswith(_BUCKETS) or not bucket or not key or bucket.startswith("."):
        return "filer path outside the buckets"
    if key.startswith(_UPLOADS):
        return "filer upload in parts"
    version = version_or_none(_extended(entry, "Version-Id"))
    plain = key.removesuffix(f"{_VERSIONS}/v_{version}") if version else key
    size = size_or_none(field(entry, "attributes", "file_size"))
    return ObjectCreated(bucket, key_of(plain, encoded=False), version, _etag(entry), size=size)


def _etag(entry: object) -> str | None:
    """What its S3 server calls the etag: kept beside the file, else the md5 of its content."""
    md5 = _decoded(field(entry, "attributes", "md5"))
    return text_or_none(_extended(entry, "ETag")) or (md5.hex() if md5 and len(md5) == 16 else None)


def _extended(entry: object, name: str) -> str | None:
    value = _decoded(field(entry, "extended", _EXTENDED + name))
    return None if value is None else value.decode("latin-1")


def _decoded(value: object) -> bytes | None:
    try:
        return b64decode(value, validate=True) if isinstance(value, str) else None
    except ValueError:
        return None
