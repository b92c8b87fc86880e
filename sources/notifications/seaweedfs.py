"""Parses the webhook of SeaweedFS' filer: changes of files, some of which are objects of its S3 server."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Final

from sources.notifications.fields import (
    MalformedNotification,
    get_field,
    parse_key,
    require_text,
    short_repr,
    size_or_none,
    text_or_none,
    version_or_none,
)
from sources.notifications.notification import ObjectCreated

_BUCKETS: Final = "/buckets/"
_VERSIONS: Final = ".versions"
_UPLOADS: Final = ".uploads/"
_DIRECTORY_BIT: Final = 1 << 31
_EXTENDED: Final = "Seaweed-X-Amz-"


def parse_seaweedfs(event: Mapping[str, object]) -> ObjectCreated | str:
    """The object that was created, or a name for an event that is ignored.

    Raises:
        MalformedNotification: This is no event of the filer.
    """
    kind, message = event["event_type"], event.get("message")
    if kind == "delete":
        return "filer delete"
    if kind not in ("create", "update", "rename"):
        raise MalformedNotification(
            f"event_type is {short_repr(kind)} and should be one of create, update, delete and rename"
        )
    entry = get_field(message, "new_entry")
    if not isinstance(entry, Mapping):
        raise MalformedNotification(f"message.new_entry is {short_repr(entry)} and should be a JSON object")
    if ignored := _why_ignored(kind, entry, get_field(message, "old_entry")):
        return ignored
    path = _renamed_path(event) if kind == "rename" else require_text(event, "key")
    bucket, _, key = path.removeprefix(_BUCKETS).partition("/")
    if not path.startswith(_BUCKETS) or not bucket or not key or bucket.startswith("."):
        return "filer path outside the buckets"
    if key.startswith(_UPLOADS):
        return "filer upload in parts"
    version = version_or_none(_extended(entry, "Version-Id"))
    plain = key.removesuffix(f"{_VERSIONS}/v_{version}") if version else key
    size = size_or_none(get_field(entry, "attributes", "file_size"))
    return ObjectCreated(bucket, parse_key(plain, encoded=False), version, _etag(entry), size=size)


def _why_ignored(kind: str, entry: Mapping[str, object], old_entry: object) -> str | None:
    mode = size_or_none(get_field(entry, "attributes", "file_mode")) or 0
    if entry.get("is_directory") or mode & _DIRECTORY_BIT:
        return "filer folder"
    if _extended(entry, "Delete-Marker") == "true":
        return "filer delete marker"
    etag = _etag(entry)
    if kind == "update" and etag is not None and etag == _etag(old_entry):
        return "filer update of metadata"  # tags, for example
    return None


def _renamed_path(event: Mapping[str, object]) -> str:
    """The new path; `key` is the old one."""
    folder = require_text(event, "message", "new_parent_path")
    return f"{folder}/{require_text(event, 'message', 'new_entry', 'name')}"


def _etag(entry: object) -> str | None:
    """What its S3 server calls the etag: stored beside the file, else the md5 of the content."""
    md5 = _decoded(get_field(entry, "attributes", "md5"))
    return text_or_none(_extended(entry, "ETag")) or (md5.hex() if md5 and len(md5) == 16 else None)


def _extended(entry: object, name: str) -> str | None:
    value = _decoded(get_field(entry, "extended", _EXTENDED + name))
    return None if value is None else value.decode("latin-1")


def _decoded(value: object) -> bytes | None:
    try:
        return b64decode(value, validate=True) if isinstance(value, str) else None
    except ValueError:
        return None
