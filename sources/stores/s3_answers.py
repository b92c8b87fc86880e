"""What an answer about an object says."""

import time
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from sources.stores.base import Blob, TooLarge
from sources.stores.s3_keys import changed_ns

Answer = Mapping[str, Any]

_CHUNK: Final = 1 << 20


def whole(answer: Answer, limit: int | None) -> Blob:
    """Its content, never more than one chunk above the limit, whatever length it says; TooLarge above the limit."""
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
    """What the object's uploader said of it, by names in lower case: servers change the case."""
    return {name.lower(): value for name, value in answer.get("Metadata", {}).items()}


def changed(answer: Answer) -> int:
    """See `s3_keys.changed_ns`."""
    return changed_ns(seconds(answer), etag(answer))


def seconds(answer: Answer) -> int:
    """When the object was written, in whole seconds since 1970: some servers tell more in listings than elsewhere."""
    modified: datetime = answer["LastModified"]
    return int(modified.timestamp())


def age(answer: Answer, headers: Mapping[str, str]) -> float:
    """Seconds since the object was written, by the clock of the server that sent these headers."""
    date = headers.get("date")
    now = parsedate_to_datetime(date).timestamp() if date else time.time()
    return now - seconds(answer)
