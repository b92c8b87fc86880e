"""Who may call: whoever has the key. Without a key, programs on this machine, but no web page."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from handler.config.fields import is_loopback

_KEY: Final = "X-API-Key"
_SETTING: Final = "FACECRAFT_API_KEY"
_BROWSER_HEADERS: Final = ("Origin", "Sec-Fetch-Site")
"""Every browser sends them with a POST, whatever the page; other programs have no reason to."""

_SET_A_KEY: Final = f"set {_SETTING} to a long random word, and send it as {_KEY}"


@dataclass(frozen=True, slots=True)
class Guard:
    """Decides whether a request may call.

    Attributes:
        loopback: Whether only this machine reaches the server's address.
        key: What a request has to send, on a loopback address too; None if no key is set.
    """

    loopback: bool
    key: str | None = field(default=None, repr=False)

    def refusal(self, headers: Mapping[str, str]) -> str | None:
        """Why the request may not call, with the fix; None if it may."""
        if self.key is not None:
            return self._key_refusal(headers.get(_KEY))
        if not self.loopback:
            return f"calls are closed here, because other machines reach this address: {_SET_A_KEY}"
        why = page_refusal(headers)
        return f"{why}, or {_SET_A_KEY}" if why else None

    def _key_refusal(self, sent: str | None) -> str | None:
        if sent is None:
            return f"a key is needed: send the value of {_SETTING} as {_KEY}"
        right = hmac.compare_digest(sent.encode("utf-8", "surrogateescape"), str(self.key).encode())
        return None if right else f"{_KEY} is not the value of {_SETTING}: send that"


def page_refusal(headers: Mapping[str, str]) -> str | None:
    """Why a request to a loopback address may come from a web page, with a part of the fix; None if it cannot.

    Any page can post to 127.0.0.1 unasked, and to a host name of its own that resolves to it.
    """
    if any(name in headers for name in _BROWSER_HEADERS):
        return "calls out of a browser are refused, because any site could make them: use another program"
    host = headers.get("Host")
    if host is None or is_loopback(_hostname(host)):
        return None
    return f"Host: {host[:100]} is no name of this machine alone: call 127.0.0.1 or localhost"


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
