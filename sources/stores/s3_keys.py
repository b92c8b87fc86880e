"""Buckets, prefixes and keys: the key of a path, and its content type. Pure."""

import errno
import hashlib
import mimetypes
import os
import re
from typing import Final

URI: Final = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:/(?P<prefix>.*))?", re.DOTALL)
MAX_KEY: Final = 1024
"""Bytes of the longest key that S3 takes."""

MAX_PREFIX: Final = 150
"""Bytes of the longest prefix: it leaves room for the longest path in an outbox."""

_BYTE: Final = re.compile("[\udc80-\udcff]")
_OFFSET: Final = 0xEF00 - 0xDC00


def parsed_uri(text: str) -> tuple[str, str]:
    """Bucket and prefix of `s3://bucket/prefix`; the prefix is empty or ends with `/`. ValueError for other text."""
    found = URI.fullmatch(text)
    if not found:
        raise ValueError("is no bucket; write s3://BUCKET/PREFIX, for example s3://photos/in")
    prefix = as_prefix(found["prefix"] or "")
    if not {"", ".", ".."}.isdisjoint(prefix.split("/")[:-1]):
        raise ValueError("has a part that is empty, '.' or '..'; write s3://BUCKET/PREFIX, for example s3://photos/in")
    if len(prefix.encode(errors="surrogateescape")) > MAX_PREFIX:
        raise ValueError(
            f"has a prefix of more than {MAX_PREFIX} bytes; take a shorter one, for example s3://photos/in"
        )
    return found["bucket"], prefix


def as_prefix(text: str) -> str:
    """`in` means `in/`: `in2/anna.jpg` is not below it."""
    return f"{text.removesuffix('/')}/" if text else ""


def key_of(prefix: str, path: str) -> str:
    """The key of a path below the prefix.

    Keys have to be UTF-8, so bytes of file names that are not UTF-8 become U+EF80 to U+EFFF.

    Raises:
        PermissionError: The path has a part `.` or `..`, or a NUL.
        IsADirectoryError: It is empty or ends with `/`, so it names a folder.
        FileNotFoundError: It is too long for a key.
    """
    if not {".", ".."}.isdisjoint(path.split("/")) or "\0" in path:
        raise PermissionError(errno.EACCES, "a part of the key is '.' or '..': rename the object", path)
    if not path or path.endswith("/"):
        raise IsADirectoryError(errno.EISDIR, "is a folder's marker", path)
    key = prefix + _BYTE.sub(lambda byte: chr(ord(byte[0]) + _OFFSET), path)
    if len(key.encode()) > MAX_KEY:
        raise FileNotFoundError(errno.ENAMETOOLONG, f"a key has at most {MAX_KEY:,} bytes: rename the photo", path)
    return key


def content_type(path: str) -> str:
    """The MIME type, by the name's ending."""
    return mimetypes.guess_type(os.path.basename(path))[0] or "application/octet-stream"  # noqa: PTH119 - a plain str


def changed_ns(modified_seconds: int, etag: str) -> int:
    """When an object last changed, in ns. Servers give whole seconds; the rest is derived from the etag.

    So two contents written within one second differ.
    """
    return modified_seconds * 1_000_000_000 + int(hashlib.sha256(etag.encode()).hexdigest()[:12], 16) % 1_000_000_000
