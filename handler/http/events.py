"""`/events`: where object storage tells of new photos. Answers before any work is done."""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from aiohttp import web

PATH: Final = "/events"

_RETRY_SECONDS: Final = {"unready": "5", "full": "30"}


@dataclass(frozen=True, slots=True)
class EventsRoute:
    """`accept` takes a body and says whether there was room for all of it; `unready` says why no photo can be worked
    on now. Without a token everyone may post. A body has `read_seconds` to come."""

    accept: Callable[[bytes], bool]
    unready: Callable[[], list[str]]
    token: str | None = field(default=None, repr=False)
    read_seconds: float = 10.0

    def routes(self) -> list[web.RouteDef]:
        """HEAD, GET and OPTIONS are what servers probe with; they ask for no token."""
        return [web.post(PATH, self._post), web.get(PATH, _probed), web.options(PATH, _probed)]

    async def _post(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request.headers.get("Authorization"))) is not None:
            return refusal
        if reasons := self.unready():
            return _later("unready", {"error": "not ready", "reasons": reasons})
        try:
            async with asyncio.timeout(self.read_seconds):
                body = await request.read()
        except TimeoutError:
            return _json({"error": "the body did not come in time"}, HTTPStatus.REQUEST_TIMEOUT)
        if not self.accept(body):
            return _later("full", {"error": "too many photos wait already"})
        return _json({"accepted": True})

    def _refusal(self, sent: str | None) -> web.Response | None:
        """MinIO and RustFS send one word as `Bearer <word>` and two as they are; AIStor sends what it was given."""
        if self.token is None:
            return None
        if sent is None:
            challenge = {"WWW-Authenticate": "Bearer"}
            return _json({"error": "send Authorization: Bearer <token>"}, HTTPStatus.UNAUTHORIZED, challenge)
        given = sent.encode("utf-8", "surrogateescape")
        right = [hmac.compare_digest(given, text.encode()) for text in (f"Bearer {self.token}", self.token)]
        return None if any(right) else _json({"error": "this is not the token"}, HTTPStatus.FORBIDDEN)


async def _probed(_: web.Request) -> web.Response:
    return _json({"events": "POST them here"})


def _later(why: str, content: dict[str, object]) -> web.Response:
    return _json(content, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": _RETRY_SECONDS[why]})


def _json(
    content: dict[str, object], status: int = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> web.Response:
    return web.json_response(content, status=status, headers=headers)
