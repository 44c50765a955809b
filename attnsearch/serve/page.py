"""The page's files → routes. They hold no data: the page asks the API for what it shows.

They are read at the start, and nothing else is served, whatever a path says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attnsearch.pages import shades

STATIC = Path(__file__).with_name("static")

# Our own, since the system's table may differ, and browsers refuse a wrong type.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FIRST = "page.html"
_PLACE = '<meta name="attnsearch-token" content="'


def routes(token: str = "") -> list[Route]:
    """The page at `/`, with the token that writing needs in it, and its other files.

    `colors.css` has the colors that all our pages share.
    """
    files = {path.name: path for path in sorted(STATIC.iterdir()) if path.suffix in _TYPES}
    page = files.pop(_FIRST).read_text(encoding="utf-8").replace(_PLACE, f"{_PLACE}{escape(token)}", 1).encode()
    contents = {name: path.read_bytes() for name, path in files.items()} | {"colors.css": shades.colors().encode()}
    return [
        _route("/", page, ".html", {"Cache-Control": "no-store"}),
        *(_tagged_route(f"/static/{name}", content, Path(name).suffix) for name, content in contents.items()),
    ]


def _tagged_route(address: str, content: bytes, suffix: str) -> Route:
    """The route of a file that a browser may cache, if it asks each time whether it has changed."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return _route(address, content, suffix, {"Cache-Control": "no-cache", "ETag": tag})


def _route(address: str, content: bytes, suffix: str, headers: Mapping[str, str]) -> Route:
    async def send(request: Request) -> Response:
        if request.headers.get("If-None-Match", "") == headers.get("ETag"):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=_TYPES[suffix])

    return Route(address, send, methods=["GET"], include_in_schema=False)
