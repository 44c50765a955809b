"""Who may ask: Host, Origin, token, limits. It stands before every address: the page, the API and agents.

A browser sends requests to this machine for any page that it shows. What tells them apart are headers that no page can
set: Host, Origin and Sec-Fetch-Site. A page elsewhere has another Origin; one whose name has been rebound to the
address of this machine has its own name as Host. Therefore both are compared with a short list, on every address.

Fetch: https://fetch.spec.whatwg.org/#http-extensions, metadata: https://www.w3.org/TR/fetch-metadata/,
middleware: https://asgi.readthedocs.io
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import secrets
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from attnsearch.errors import InputError
from attnsearch.output.safe_text import inert, to_json
from attnsearch.serve.limits import LARGEST_HEAD, Gate, RefusalError, Responder, read_body

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
METHODS = ("GET", "HEAD", "POST")
PORTS = {"http": 80, "https": 443}
SHORTEST_TOKEN = 16  # characters

# These show nothing of a catalog, and need no token: the page is what asks a person for it.
SHELL = ("/", "/health", "/openapi.json", "/favicon.ico")
SHELL_FOLDER = "/static/"
READING = ("/v1/query", "/v1/like", "/v1/explain", "/v1/heatmap", "/mcp")  # the POSTs that change nothing

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::([0-9]{1,5}))?")
_URL = re.compile(r"(https?)://([^/?#]+)(/[\w.~/-]*)?", re.ASCII | re.IGNORECASE)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_DOT = re.compile(rb"%2e", re.IGNORECASE)
_LONGEST = 200  # characters of a path, of names, of a query in a line of the log
_ONCE = (b"host", b"origin", b"authorization", b"content-type", b"content-length", b"transfer-encoding")

_noted: ContextVar[dict[str, Any]] = ContextVar("noted")  # what the log says of the present request


class Address(NamedTuple):
    """The part of a URL that names a server; IPv6 in brackets, `port` None if it has none."""

    host: str
    port: int | None

    @classmethod
    def read(cls, text: str) -> Address | None:
        """The address in a header, in lower case; None if there is none.

        >>> Address.read("LOCALHOST:8400"), Address.read("me@localhost"), Address.read("localhost:８４")
        (Address(host='localhost', port=8400), None, None)
        """
        match = _AUTHORITY.fullmatch(text.lower())
        if not match:
            return None
        port = int(match[2]) if match[2] else None
        return cls(match[1], port) if port is None or 0 < port < 1 << 16 else None


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask: the addresses that requests may name, and the token that they need.

    `host` is the address that is listened on, `url` that of a reverse proxy. Without a `token` everyone may read, and
    what writes needs `page_token`, which only the page has. Raises InputError for a `token` or `url` that is not one.
    """

    host: str = "127.0.0.1"
    url: str | None = None
    token: str | None = None
    page_token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def is_local(self) -> bool:
        """Whether only this machine can ask."""
        proxy = self._proxy()
        return _is_loopback(self.host) and (proxy is None or _is_loopback(proxy[1].host))

    def __post_init__(self) -> None:
        if self.token is not None and (len(self.token) < SHORTEST_TOKEN or not _TOKEN.fullmatch(self.token)):
            message = f"--token needs at least {SHORTEST_TOKEN} characters: letters, digits and ._~+/-"
            raise InputError(message, hint="without --token, one is made where it is needed")
        if self.url is not None and self._proxy() is None:
            raise InputError(f"--url '{self.url}' is not an address", hint="such as https://example.org/books/")

    @property
    def prefix(self) -> str:
        """The path of the proxy's address, without the slash at its end."""
        match = _URL.fullmatch(self.url or "")
        return (match[3] or "").rstrip("/") if match else ""

    def _proxy(self) -> tuple[str, Address] | None:
        """The scheme and the address of the proxy."""
        match = _URL.fullmatch(self.url or "")
        try:
            address = Address.read(match[2].encode("idna").decode()) if match else None
        except UnicodeError:
            return None
        return (match[1].lower(), address) if match and address else None

    def check(self, scope: Scope) -> None:
        """Raise RefusalError unless this request may be asked. Its body is not looked at."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        names = [name for name, _ in scope["headers"]]
        doubled = next((name for name in _ONCE if names.count(name) > 1), None)
        if doubled or {b"content-length", b"transfer-encoding"} <= {*names}:
            # Where this request ends is not clear, so nothing that follows it may be taken for another.
            message = f"two headers say {(doubled or b'content-length').decode()}"
            raise RefusalError(400, message, connection="close")
        if sum(map(len, sum(scope["headers"], (scope.get("query_string", b""),)))) > LARGEST_HEAD:
            raise RefusalError(431, f"the headers and parameters have more than {LARGEST_HEAD >> 10} KiB")
        path, raw = scope["path"], scope.get("raw_path") or scope["path"].encode()
        if not path.startswith("/") or {b".", b".."} & {*_DOT.sub(b".", raw).split(b"/")}:
            raise RefusalError(400, "the path is not one", hint="it begins with a slash, and has no '..'")
        proxy = self._proxy()
        address = Address.read(headers.get(b"host", ""))
        if address is None or address.host not in self._hosts(scope, proxy):
            hint = "if a reverse proxy or another name leads here, start with --url and its address"
            raise RefusalError(403, "this Host is not served here", hint=hint)
        self._check_origin(scope, headers, address, proxy)
        if scope["method"] not in METHODS:
            raise RefusalError(405, "the method is not GET or POST", allow=", ".join(METHODS))
        if headers.get(b"upgrade", "").lower() == "websocket":
            raise RefusalError(400, "there are no websockets here")
        self._check_token(scope, headers.get(b"authorization", ""))
        if scope["method"] == "POST":
            kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json" or b"content-encoding" in headers:
                raise RefusalError(415, "the body must be JSON", hint="send Content-Type: application/json")

    def _hosts(self, scope: Scope, proxy: tuple[str, Address] | None) -> set[str]:
        """The hosts that a request may name."""
        host = f"[{self.host}]" if ":" in self.host else self.host.lower()
        if host in ("0.0.0.0", "[::]"):  # then it may be the address at which the request came in  # noqa: S104
            host = _literal((scope.get("server") or ("",))[0])
        return {*LOOPBACK, host, *([proxy[1].host] if proxy else [])}

    def _check_origin(
        self, scope: Scope, headers: dict[bytes, str], address: Address, proxy: tuple[str, Address] | None
    ) -> None:
        """Raise RefusalError for a request that another site's page made, unless someone followed a link."""
        origin = headers.get(b"origin")
        if origin is not None and not _is_ours(origin, address, proxy):
            raise RefusalError(403, "this Origin may not ask here", hint="behind a reverse proxy, start with --url")
        follows = (scope["method"], scope["path"], headers.get(b"sec-fetch-mode")) == ("GET", "/", "navigate")
        if headers.get(b"sec-fetch-site", "none") not in ("same-origin", "none") and not follows:
            raise RefusalError(403, "a page elsewhere may not ask here")

    def _check_token(self, scope: Scope, authorization: str) -> None:
        path = scope["path"]
        if _is_shell(path):
            return
        if self.token is None and (scope["method"] != "POST" or path in READING):
            return
        scheme, _, token = authorization.partition(" ")
        right = self.page_token if self.token is None else self.token
        if scheme.lower() != "bearer" or not secrets.compare_digest(token.strip().encode(), right.encode()):
            hint = "send Authorization: Bearer TOKEN, with the one of --token"
            if self.token is None:
                hint = "only the page may write; start with --token for programs that do"
            message = "the token is wrong" if authorization else "this needs a token"
            raise RefusalError(401, message, hint=hint, www_authenticate="Bearer")


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    return False


def _is_shell(path: str) -> bool:
    return path in SHELL or path.startswith(SHELL_FOLDER)


def _is_ours(origin: str, address: Address, proxy: tuple[str, Address] | None) -> bool:
    """Whether an Origin is the page that we serve: that of the proxy, or else that of the request's Host."""
    scheme, _, rest = origin.partition("://")
    asker = Address.read(rest)
    if asker is None or scheme not in PORTS:
        return False
    same = (scheme, asker.host, asker.port or PORTS[scheme])
    if proxy and same == (proxy[0], proxy[1].host, proxy[1].port or PORTS[proxy[0]]):
        return True
    is_proxied = proxy is not None and address.host == proxy[1].host
    return not is_proxied and same == (scheme, address.host, address.port or PORTS[scheme])


def _literal(host: str) -> str:
    """A socket's address as a URL has it; an IPv4 address that IPv6 maps is written as IPv4."""
    try:
        number = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    number = getattr(number, "ipv4_mapped", None) or number
    return f"[{number}]" if number.version == 6 else str(number)


def note(catalogs: Sequence[str], query: str = "") -> None:
    """Put the catalogs of the present request into its line of the log, and its text if texts are logged."""
    _noted.get({}).update(catalogs=catalogs, query=query)


class Guard:
    """Passes on what may be asked, and refuses everything else.

    `log` gets a line for each request, with the text of the query only if `log_queries`.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        *,
        log: Callable[[str], None] = lambda _: None,
        log_queries: bool = False,
        gate: Gate | None = None,
    ) -> None:
        self._app, self._access, self._log, self._log_queries = app, access, log, log_queries
        self._gate = gate or Gate()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        start = time.monotonic()
        noted: dict[str, Any] = {}
        _noted.set(noted)
        responder = Responder(send, scope["method"])
        try:
            await self._pass_on(self._as_ours(scope), receive, responder)
        except RefusalError as refusal:
            await responder.refuse(refusal)
        except asyncio.CancelledError:  # by a server that has no more time to finish it
            await responder.give_up(RefusalError(503, "the server ends", hint="ask again later", retry_after="1"))
            raise
        finally:
            self._log(self._line(scope, responder, time.monotonic() - start, noted))

    async def _pass_on(self, scope: Scope, receive: Receive, responder: Responder) -> None:
        self._access.check(scope)
        body = await read_body(scope, receive)
        if _is_shell(scope["path"]):
            await responder.ask(self._app, scope, body, receive)
        else:
            await self._gate.ask(self._app, scope, body, receive, responder)

    def _as_ours(self, scope: Scope) -> Scope:
        """The request without the path prefix of the proxy, if the proxy left it."""
        prefix = self._access.prefix
        if not prefix or not scope["path"].startswith(f"{prefix}/"):
            return scope
        raw = scope.get("raw_path", b"").removeprefix(prefix.encode())
        return {**scope, "path": scope["path"][len(prefix) :], "raw_path": raw}

    def _line(self, scope: Scope, responder: Responder, seconds: float, noted: Mapping[str, Any]) -> str:
        """The line of the log: nothing in it can act on a terminal, or begin a line of its own."""
        path = "%20".join(scope["path"][:_LONGEST].split())  # a blank would begin the next part of the line
        parts = [scope["method"], path, str(responder.status or "-"), f"{1000 * seconds:.0f} ms"]
        parts += [",".join(noted.get("catalogs", ()))[:_LONGEST]]
        if self._log_queries and noted.get("query"):
            parts += [to_json(noted["query"][:_LONGEST])]
        if responder.fault:
            is_whole = os.environ.get("ATTNSEARCH_DEBUG") == "1"
            parts += traceback.format_exception(responder.fault) if is_whole else [repr(responder.fault)]
        return inert(" ".join([time.strftime("%Y-%m-%d %H:%M:%S"), *filter(None, parts)]))
