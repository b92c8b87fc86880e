"""Who may use the API, and which web pages: keys, links' tokens, origins, and whoever guesses ids."""

import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from handler.api.errors import ApiError
from handler.config.fields import is_loopback

_SETTING: Final = "FACECRAFT_API_KEY"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS: Final = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
_PORTS: Final = {"http": 80, "https": 443}
_GUESSES: Final = 30
_GUESS_SECONDS: Final = 60.0
_MOST_PEERS: Final = 10_000

_CLOSED: Final = (
    f"the API is closed here, because other machines reach this address: set {_SETTING} to a long random word and send "
    "it as X-API-Key or as Authorization: Bearer, or set FACECRAFT_OPEN=true to open the API to everybody"
)
_NO_KEY: Final = f"a key is needed: send the value of {_SETTING} as X-API-Key or as Authorization: Bearer"
_WRONG_KEY: Final = f"this is not the value of {_SETTING}"


@dataclass(frozen=True, slots=True)
class Access:
    """`loopback`: only this machine reaches the server's address. `open`: everybody who reaches it may."""

    loopback: bool
    key: str | None = field(default=None, repr=False)
    open: bool = False
    origins: tuple[str, ...] = ()

    def check(self, request: web.Request) -> None:
        """ApiError where the request is refused: 401 without the key, 403 for pages of other sites."""
        self.check_page(request)
        if self.open:
            return
        if self.key is not None:
            self._check_key(request.headers)
        elif not self.loopback:
            raise _unauthorized(_CLOSED)
        elif not is_loopback(_hostname(request.headers.get(hdrs.HOST, "localhost"))):
            why = f"Host: {request.host[:100]} is no name of this machine alone: call 127.0.0.1 or localhost"
            raise _unauthorized(f"{why}, or set {_SETTING}")

    def has_key(self, request: web.Request) -> bool:
        return self.key is not None and _same(_sent(request.headers), self.key)

    def check_page(self, request: web.Request) -> None:
        """ApiError for a page of a site that is not listed. A page of our own (`/docs`) may."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            foreign = request.method not in _SAFE and request.headers.get("Sec-Fetch-Site") in (
                "cross-site",
                "same-site",
            )
        else:
            foreign = not self.is_listed(origin) and not _is_own(origin, request.headers.get(hdrs.HOST, ""))
        if foreign and "*" not in self.origins:
            why = (
                f"pages of {(origin or 'other sites')[:100]} may not use this API: list them in FACECRAFT_CORS_ORIGINS"
            )
            raise ApiError(HTTPStatus.FORBIDDEN, why)

    def is_listed(self, origin: str) -> bool:
        return "*" in self.origins or origin.lower() in self.origins

    def cors(self, origin: str) -> dict[str, str]:
        """The headers for a page of that origin; none where it is not listed."""
        if "*" in self.origins:
            return {"Access-Control-Allow-Origin": "*"}
        if not self.is_listed(origin):
            return {"Vary": "Origin"} if self.origins else {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Vary": "Origin",
        }

    def preflight(self, request: web.Request) -> web.Response:
        """What a browser is answered that asks whether a page may."""
        origin = request.headers[hdrs.ORIGIN]
        headers = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": "600", **self.cors(origin)}
        if asked := request.headers.get("Access-Control-Request-Headers"):
            headers["Access-Control-Allow-Headers"] = asked
        if not self.is_listed(origin):
            return web.Response(text="Disallowed CORS origin", status=HTTPStatus.BAD_REQUEST, headers=headers)
        return web.Response(text="OK", headers=headers)

    def _check_key(self, headers: Mapping[str, str]) -> None:
        sent = _sent(headers)
        if sent is None:
            raise _unauthorized(_NO_KEY)
        if not _same(sent, str(self.key)):
            raise _unauthorized(_WRONG_KEY)


class Guesses:
    """Counts wrong ids by address (IPv6: by network), so that nobody tries them all."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def check(self, request: web.Request) -> None:
        """ApiError 429 for who has guessed too often."""
        since, count = self._wrong.get(_peer(request), (0.0, 0))
        left = since + _GUESS_SECONDS - time.monotonic()
        if count >= _GUESSES and left > 0:
            headers = {"Retry-After": str(int(left) + 1)}
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, "too many ids of jobs that do not exist", headers)

    def count(self, request: web.Request) -> None:
        peer, now = _peer(request), time.monotonic()
        since, count = self._wrong.pop(peer, (now, 0))
        self._wrong[peer] = (now, 1) if now - since > _GUESS_SECONDS else (since, count + 1)
        if len(self._wrong) > _MOST_PEERS:
            self._wrong.popitem(last=False)


def _peer(request: web.Request) -> str:
    try:
        address = ipaddress.ip_address(request.remote or "")
    except ValueError:
        return str(request.remote)
    return str(ipaddress.ip_network(f"{address}/64", strict=False)) if address.version == 6 else str(address)


def _unauthorized(why: str) -> ApiError:
    return ApiError(HTTPStatus.UNAUTHORIZED, why, {"WWW-Authenticate": "Bearer"})


def _sent(headers: Mapping[str, str]) -> str | None:
    if (key := headers.get("X-API-Key")) is not None:
        return key
    kind, _, key = headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else None


def _same(sent: str | None, right: str) -> bool:
    return sent is not None and hmac.compare_digest(sent.encode("utf-8", "surrogateescape"), right.encode())


def _is_own(origin: str, host: str) -> bool:
    """Whether the page came from this very server."""
    try:
        page, here = urlsplit(origin), urlsplit(f"//{host}")
        usual = _PORTS.get(page.scheme)
        return bool(page.hostname) and (page.hostname, page.port or usual) == (here.hostname, here.port or usual)
    except ValueError:
        return False


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
