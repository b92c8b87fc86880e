"""Conditions of requests, and what S3's answers say of an object."""

import errno
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from sources.stores.base import Blob, Conflict, TooLarge
from sources.stores.s3_keys import changed_ns

Answer = Mapping[str, Any]

_CHUNK: Final = 1 << 20


def condition(replaces: str | None) -> dict[str, str]:
    """The arguments of a request that `Store.write` allows: only where nothing, or that version, exists."""
    return {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": f'"{replaces}"'}


def enforces_conditions(write: Callable[[Mapping[str, str]], object]) -> bool:
    """Whether the server refuses to overwrite an object when a condition says so.

    Args:
        write: Writes one object, always the same, under the given conditions.
    """
    write({})
    return all(_is_refused(write, condition(replaces)) for replaces in (None, "0" * 32))


def _is_refused(write: Callable[[Mapping[str, str]], object], only: Mapping[str, str]) -> bool:
    try:
        write(only)
    except Conflict:
        return True
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
    return False


def read_body(answer: Answer, limit: int | None) -> Blob:
    """The whole object. Reads at most one chunk beyond the limit, whatever length the answer claims.

    Raises:
        TooLarge: The object has more than `limit` bytes.
    """
    size, data = answer.get("ContentLength", 0), bytearray()
    with closing(answer["Body"]) as body:
        if limit is not None and size > limit:
            raise TooLarge(size, changed(answer), etag(answer))
        while chunk := body.read(_CHUNK):
            data += chunk
            if limit is not None and len(data) > limit:
                raise TooLarge(max(size, len(data)), changed(answer), etag(answer))
    return Blob(bytes(data), etag(answer), changed(answer), metadata(answer))


def etag(answer: Answer) -> str:
    """Without its quotes."""
    return str(answer["ETag"]).strip('"')


def metadata(answer: Answer) -> dict[str, str]:
    """The object's user metadata, with names in lower case: servers change the case."""
    return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}


def changed(answer: Answer) -> int:
    """See `s3_keys.changed_ns`."""
    return changed_ns(seconds(answer), etag(answer))


def seconds(answer: Answer) -> int:
    """When the object was written, in whole seconds since 1970: some servers are more precise in listings."""
    modified: datetime = answer["LastModified"]
    return int(modified.timestamp())


def headers(answer: Answer) -> Mapping[str, str]:
    """The HTTP headers of an answer."""
    found: Mapping[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
    return found


def age(answer: Answer, headers: Mapping[str, str]) -> float:
    """Seconds since the object was written, by the clock of the server that sent these headers."""
    date = headers.get("date")
    now = parsedate_to_datetime(date).timestamp() if date else time.time()
    return now - seconds(answer)
