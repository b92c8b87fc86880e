"""`/docs`, `/openapi.json`, and where `/` leads. Swagger UI's files are beside this one: no page needs the internet."""

import base64
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiohttp import web

from handler.api.docs.openapi import document

_FOLDER: Final = Path(__file__).with_name("swagger")
_FILES: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "oauth2-redirect.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_CSP: Final = (
    "default-src 'none'; script-src 'self' 'sha256-{}'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_START: Final = (
    "SwaggerUIBundle({url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null, "
    "presets: [SwaggerUIBundle.presets.apis], oauth2RedirectUrl: location.origin + '/docs/oauth2-redirect'})"
)
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Facecraft API - Swagger UI</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script>{start}</script>
</body>
</html>
"""
_REDIRECT: Final = """<!DOCTYPE html>
<html lang="en"><head><title>Swagger UI: OAuth2 Redirect</title></head>
<body><script src="/docs/oauth2-redirect.js"></script></body></html>
"""


def routes() -> list[web.RouteDef]:
    files = [web.get(f"/docs/{name}", _file) for name in _FILES]
    return [
        web.get("/docs", _docs),
        web.get("/docs/oauth2-redirect", _redirect),
        web.get("/openapi.json", _openapi),
        *files,
    ]


async def index(_: web.Request) -> web.Response:
    return web.Response(status=307, headers={"Location": "/docs"})


async def _docs(_: web.Request) -> web.Response:
    return _page(_PAGE.replace("{start}", _START))


async def _redirect(_: web.Request) -> web.Response:
    return _page(_REDIRECT)


def _page(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": _csp()})


def _csp() -> str:
    return _CSP.format(base64.b64encode(sha256(_START.encode()).digest()).decode())


async def _openapi(_: web.Request) -> web.Response:
    return web.json_response(document())


async def _file(request: web.Request) -> web.StreamResponse:
    name = request.path.rpartition("/")[2]
    headers = {"Content-Type": _FILES[name], "Cache-Control": "public, max-age=86400"}
    return web.FileResponse(_FOLDER / name, headers=headers)
