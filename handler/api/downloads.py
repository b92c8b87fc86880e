"""Sends an image: whole or a part of it, with an ETag (RFC 9110)."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

TYPES: Final = {"png": "image/png", "jpg": "image/jpeg"}
_RANGE: Final = re.compile(r"bytes=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*")


def send(request: web.Request, data: bytes, changed_ns: int, kind: str) -> web.Response:
    """200, 206, 304 or 416. Of several ranges none is taken: all is sent."""
    etag = f'"{sha256(data).hexdigest()[:32]}"'
    changed = datetime.fromtimestamp(changed_ns // 10**9, UTC)
    headers = {
        hdrs.ETAG: etag,
        hdrs.LAST_MODIFIED: format_datetime(changed, usegmt=True),
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.CACHE_CONTROL: "private, no-cache",
        "Referrer-Policy": "no-referrer",
    }
    if _is_known(request.headers.get(hdrs.IF_NONE_MATCH), etag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    headers[hdrs.CONTENT_TYPE] = TYPES[kind]
    found = _RANGE.fullmatch(request.headers.get(hdrs.RANGE, ""))
    if not found or not _is_range(*found.groups()) or not _still(request.headers.get(hdrs.IF_RANGE), etag, changed):
        return web.Response(body=data, headers=headers)
    first, last = _bounds(found[1], found[2], len(data))
    if first > last:
        headers[hdrs.CONTENT_RANGE] = f"bytes */{len(data)}"
        return web.Response(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    headers[hdrs.CONTENT_RANGE] = f"bytes {first}-{last}/{len(data)}"
    return web.Response(status=HTTPStatus.PARTIAL_CONTENT, body=data[first : last + 1], headers=headers)


def _is_range(first: str, last: str) -> bool:
    """`-` and `5-2` are none, and are ignored."""
    return bool(first or last) and not (first and last and int(last) < int(first))


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """The first and the last byte; the first is larger where there are none."""
    if first == "":
        return (max(0, size - int(last)), size - 1) if int(last) else (1, 0)
    return int(first), min(int(last), size - 1) if last else size - 1


def _is_known(given: str | None, etag: str) -> bool:
    return given is not None and (given.strip() == "*" or etag in re.findall(r'"[^"]*"', given))


def _still(given: str | None, etag: str, changed: datetime) -> bool:
    """Whether If-Range is about what is there now."""
    if given is None:
        return True
    if given.startswith(('"', "W/")):
        return given == etag
    try:
        return parsedate_to_datetime(given) == changed
    except ValueError:
        return False
