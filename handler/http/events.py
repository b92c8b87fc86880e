"""`/events`: object storage posts its notifications here. Answers before any photo is processed."""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from aiohttp import web

from handler.http.auth import page_refusal

PATH: Final = "/events"

_RETRY_SECONDS: Final = {"unready": "5", "full": "30"}


@dataclass(frozen=True, slots=True)
class EventsRoute:
    """`POST /events`.

    Attributes:
        accept: Takes a body; whether there was room for all of its photos.
        unready: Why no photo can be processed now; empty if one can.
        token: What a request has to send; None lets programs on this machine post, but no web page.
        read_seconds: How long a body may take to arrive.
    """

    accept: Callable[[bytes], bool]
    unready: Callable[[], list[str]]
    token: str | None = field(default=None, repr=False)
    read_seconds: float = 10.0

    def routes(self) -> list[web.RouteDef]:
        """Servers probe with HEAD, GET and OPTIONS, which need no token."""
        return [web.post(PATH, self._post), web.get(PATH, _probe), web.options(PATH, _probe)]

    async def _post(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request.headers)) is not None:
            return refusal
        if reasons := self.unready():
            return _unavailable("unready", {"error": "not ready", "reasons": reasons})
        try:
            async with asyncio.timeout(self.read_seconds):
                body = await request.read()
        except TimeoutError:
            return _json({"error": "the body did not arrive in time"}, HTTPStatus.REQUEST_TIMEOUT)
        if not self.accept(body):
            return _unavailable("full", {"error": "too many photos wait already"})
        return _json({"accepted": True})

    def _refusal(self, headers: Mapping[str, str]) -> web.Response | None:
        """MinIO and RustFS send one word as `Bearer <word>` and two unchanged; AIStor sends any value unchanged."""
        if self.token is None:
            why = page_refusal(headers)
            return _json({"error": f"{why}; or set FACECRAFT_WEBHOOK_TOKEN"}, HTTPStatus.FORBIDDEN) if why else None
        sent = headers.get("Authorization")
        if sent is None:
            challenge = {"WWW-Authenticate": "Bearer"}
            return _json({"error": "send Authorization: Bearer <token>"}, HTTPStatus.UNAUTHORIZED, challenge)
        given = sent.encode("utf-8", "surrogateescape")
        right = [hmac.compare_digest(given, text.encode()) for text in (f"Bearer {self.token}", self.token)]
        return None if any(right) else _json({"error": "this is not the token"}, HTTPStatus.FORBIDDEN)


async def _probe(_: web.Request) -> web.Response:
    return _json({"events": "POST them here"})


def _unavailable(why: str, content: dict[str, object]) -> web.Response:
    return _json(content, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": _RETRY_SECONDS[why]})


def _json(
    content: dict[str, object], status: int = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> web.Response:
    return web.json_response(content, status=status, headers=headers)
