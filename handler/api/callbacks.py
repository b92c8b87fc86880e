"""Posts the answer of a job to where its client asked for it, if that host is listed."""

import hmac
import http.client
import json
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from handler.api.errors import field_error, invalid
from handler.api.models import Job
from sources.backoff import Backoff

_log = logging.getLogger(__name__)

_TRIES: Final = 3
_SECONDS: Final = 10.0
_BACKOFF: Final = Backoff(first=1.0, factor=4.0, longest=30.0)
_THREADS: Final = 2


class Callbacks:
    """`hosts` as in FACECRAFT_CALLBACK_HOSTS. With a `key` each post is signed."""

    def __init__(self, hosts: Sequence[str], key: str | None, answer: Callable[[Job], dict[str, Any]]) -> None:
        self._hosts, self._key, self._answer = frozenset(hosts), key, answer
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="callback")
        self._ending = threading.Event()

    def check(self, url: str | None) -> None:
        """ApiError 422 where nothing would be sent there."""
        if url is not None and (why := self._refusal(url)) is not None:
            raise invalid(field_error("body", "callback_url", "value_error", f"Value error, {why}", url))

    def _refusal(self, url: str) -> str | None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            return f"is no URL: {error}"
        if parts.scheme not in ("http", "https") or not host:
            return "is no http or https URL"
        if parts.username is not None or parts.password is not None or not url.isascii() or not url.isprintable():
            return "has a user, a password or characters that no URL has"
        if "\\" in url or " " in url or "@" in parts.netloc:
            return "has a backslash, a space or @"
        shown = f"[{host}]" if ":" in host else host
        if not {shown, f"{shown}:{port or (443 if parts.scheme == 'https' else 80)}"} & self._hosts:
            return f"names {shown}, which is not listed in FACECRAFT_CALLBACK_HOSTS"
        return None

    def send(self, job: Job) -> None:
        """In the background: three tries, with pauses between them."""
        if job.callback_url is not None and self._refusal(job.callback_url) is None:
            self._threads.submit(self._send, job.callback_url, job)

    def close(self) -> None:
        """What is being sent is tried once more at most."""
        self._ending.set()
        self._threads.shutdown()

    def _send(self, url: str, job: Job) -> None:
        try:
            body = json.dumps(self._answer(job)).encode()
        except OSError as error:
            _log.warning("callback.failed", extra={"job": job.id, "why": str(error)})
            return
        headers = {"Content-Type": "application/json", "User-Agent": "facecraft"}
        if self._key is not None:
            headers["X-Facecraft-Signature"] = f"sha256={hmac.new(self._key.encode(), body, sha256).hexdigest()}"
        for count in range(1, _TRIES + 1):
            why = _posted(url, body, headers)
            if why is None:
                _log.info("callback.sent", extra={"job": job.id})
                return
            _log.warning("callback.failed", extra={"job": job.id, "why": why, "try": count})
            if count < _TRIES and self._ending.wait(_BACKOFF.after(count)):
                return


def _posted(url: str, body: bytes, headers: dict[str, str]) -> str | None:
    """Why it did not arrive. Redirects are not followed: they lead to hosts that nobody listed."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=_SECONDS)
    try:
        connection.request("POST", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"it answered {status}"
