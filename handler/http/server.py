"""The HTTP server: liveness, readiness, status and metrics, answered from a thread of its own."""

import asyncio
import errno
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Protocol

from aiohttp import web

from handler.http.events import EventsRoute
from handler.http.invoke import InvokeRoute

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_BODY_BYTES: Final = 1024 * 1024
"""S3's notifications have at most 64 KB; other servers add the object's metadata."""

_IDLE_SECONDS: Final = 15
_GRACE_SECONDS: Final = 2.0
_SERVICE: Final = web.AppKey["StatusSource"]("service")
_PATHS: Final = ("/health", "/ready", "/status", "/metrics")

_dumps = partial(json.dumps, default=str)


class StatusSource(Protocol):
    """What the server asks. The answers must not block: they run on the server's only thread."""

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether the process works at all, and facts about it."""

    def unready(self) -> list[str]:
        """Why no photo can be processed now, one sentence each; empty means ready."""

    def models_loaded(self) -> bool: ...

    def status(self) -> dict[str, Any]: ...

    def metrics(self) -> tuple[bytes, str]:
        """Prometheus's text format, and its content type."""


class ServerError(Exception):
    """The server cannot listen. The message names the settings and the fix."""


def make_app(
    service: StatusSource,
    events: EventsRoute | None = None,
    invoke: InvokeRoute | None = None,
    install: Callable[[web.Application], None] | None = None,
) -> web.Application:
    """The application with all its routes; errors are JSON too.

    Args:
        service: Answers for health, readiness, status and metrics.
        events: Adds `POST /events`.
        invoke: Adds Lambda's Invoke path.
        install: Adds further routes.
    """
    app = web.Application(client_max_size=_BODY_BYTES, middlewares=[_errors_as_json])
    app[_SERVICE] = service
    app.on_response_prepare.append(_set_headers)
    routes = {"/health": _health, "/ready": _ready, "/status": _status, "/metrics": _metrics}
    app.add_routes([web.get(path, handler) for path, handler in routes.items()])
    app.add_routes(events.routes() if events else [])
    app.add_routes(invoke.routes() if invoke else [])
    if install:
        install(app)
    return app


async def _health(request: web.Request) -> web.Response:
    healthy, facts = request.app[_SERVICE].health()
    return _json({**facts, "status": "healthy" if healthy else "unhealthy"}, 200 if healthy else 503)


async def _ready(request: web.Request) -> web.Response:
    service = request.app[_SERVICE]
    reasons, loaded = service.unready(), service.models_loaded()
    if reasons:
        return _json({"ready": False, "models_loaded": loaded, "reasons": reasons}, 503)
    return _json({"ready": True, "models_loaded": loaded})


async def _status(request: web.Request) -> web.Response:
    return _json(request.app[_SERVICE].status())


async def _metrics(request: web.Request) -> web.Response:
    body, content_type = request.app[_SERVICE].metrics()
    return web.Response(body=body, headers={"Content-Type": content_type})


@web.middleware
async def _errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status == HTTPStatus.NOT_FOUND and await _leads_on(request):
            return web.Response(status=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": _stripped(request)})
        too_large = isinstance(error, web.HTTPRequestEntityTooLarge)
        hint = f"send at most {_BODY_BYTES:,} bytes" if too_large else f"GET one of {', '.join(_PATHS)}"
        kept = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return _json({"detail": error.reason, "error": error.reason, "hint": hint}, error.status, kept)


async def _leads_on(request: web.Request) -> bool:
    """Whether there is such a path without the slash at its end."""
    if not request.path.endswith("/") or request.path == "/":
        return False
    found = await request.app.router.resolve(request.clone(rel_url=_stripped(request)))
    return not isinstance(found.http_exception, web.HTTPNotFound)


def _stripped(request: web.Request) -> str:
    """The path without slashes at its end, with one at its beginning, so that it leads to no other host."""
    path = "/" + request.rel_url.raw_path.strip("/")
    return f"{path}?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else path


async def _set_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "facecraft"


def _json(content: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(content, status=status, headers=headers, dumps=_dumps)


class ServerThread:
    """Runs an application on a thread and event loop of its own, so that the service's work delays no probe."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._bound: Future[int] = Future()
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def port(self) -> int:
        """The port, which the system chooses if 0 was asked for. Only after `start`."""
        return self._bound.result(timeout=0)

    def start(self) -> None:
        """Return when the server listens.

        Raises:
            ServerError: It cannot.
        """
        self._thread.start()
        try:
            self._bound.result()
        except (OSError, UnicodeError) as error:
            raise ServerError(_listen_error(error, self._host, self._port)) from error

    def stop(self) -> None:
        """Close the port, give requests in work 2 s to finish, and wait for the thread to end."""
        if self._loop is not None and self._thread.is_alive():
            with suppress(RuntimeError):  # it ended by itself, and its loop is closed
                self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                runner.run(self._serve())
        finally:
            self._bound.cancel()  # so that `start` does not wait for a thread that failed earlier

    async def _serve(self) -> None:
        runner = web.AppRunner(
            self._app,
            access_log=None,
            keepalive_timeout=_IDLE_SECONDS,
            lingering_time=_GRACE_SECONDS,  # for a body that is not read
            shutdown_timeout=_GRACE_SECONDS,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except (OSError, UnicodeError) as error:  # UnicodeError: no host has such a name
            self._bound.set_exception(error)
        else:
            self._bound.set_result(runner.addresses[0][1])
            await self._stop.wait()
        finally:
            await runner.cleanup()


def _listen_error(error: OSError | UnicodeError, host: str, port: int) -> str:
    place = f"FACECRAFT_HOST={host} FACECRAFT_PORT={port}"
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return (
            f"{place}: another program listens there; stop it or choose another port, for example FACECRAFT_PORT=8001"
        )
    if code == errno.EACCES:
        return f"{place}: ports below 1024 need more rights; choose another one, for example FACECRAFT_PORT=8000"
    return f"{place}: {error}; FACECRAFT_HOST must be an address of this machine, for example 0.0.0.0"
