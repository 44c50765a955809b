"""An application in this process, and its clients: by ASGI without a socket, or by one."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
import uvicorn
from starlette.types import ASGIApp

from attnsearch import update
from attnsearch.calibration import calibrate
from attnsearch.encoding import loading
from attnsearch.serve.catalogs import Catalogs
from attnsearch.serve.guard import Access
from attnsearch.serve.http import make_app
from attnsearch.serve.server import Connection
from tests.conftest import SmallEncoder


class Answered(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The answer as a value."""
        return json.loads(self.text)

    @property
    def error(self) -> dict[str, Any]:
        """The error object."""
        return self.json["error"]


class Client:
    """Asks the application for these catalogs; with the page's own token, so it may write."""

    def __init__(self, *names: str, cluster: Any = None, **options: Any) -> None:
        self.catalogs = Catalogs(names, offline=True, cluster=cluster)
        access = Access()
        self.token = access.page_token
        self.app = make_app(self.catalogs, access, **options)

    def get(self, address: str, **headers: str) -> Answered:
        """The answer to a GET."""
        return self.ask("GET", address, headers=headers)

    def post(self, address: str, body: Any, **headers: str) -> Answered:
        """The answer to a POST; the body is bytes, or a value that becomes JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", address, content, headers)

    def ask(self, method: str, address: str, content: bytes = b"", headers: Mapping[str, str] = {}) -> Answered:
        """The answer to a request; `headers` beside the usual ones, or in their place."""
        return asyncio.run(self.answer(method, address, content, headers))

    async def answer(self, method: str, address: str, content: bytes, headers: Mapping[str, str]) -> Answered:
        """What `ask` returns, in a loop that runs."""
        usual = {"host": "localhost", "authorization": f"Bearer {self.token}", "content-length": str(len(content))}
        usual |= {"content-type": "application/json"} if method == "POST" else {}
        named = usual | {name.replace("_", "-").lower(): value for name, value in headers.items()}
        path, _, query = address.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in named.items()],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        inbox: list[dict[str, Any]] = [{"type": "http.request", "body": content, "more_body": False}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return inbox.pop() if inbox else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start, *parts = sent
        answered = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Answered(start["status"], answered, b"".join(part.get("body", b"") for part in parts).decode())

    def close(self) -> None:
        """Close what is open."""
        self.catalogs.close()


def build_home(folder: Path, catalogs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    """A home with catalogs of the small encoder, to be copied by each test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNSEARCH_HOME", str(folder))
        patch.setattr(loading, "load", lambda name=None, **options: SmallEncoder())
        patch.setattr(calibrate, "calibrate_if_new", lambda *_: None)
        for name, items in catalogs.items():
            update(items, name=name)
    return folder


@contextmanager
def serving(app: ASGIApp) -> Iterator[tuple[str, int]]:
    """A server of the application in another thread: its address."""
    config = uvicorn.Config(app, http=Connection, loop="asyncio", ws="none", log_config=None, server_header=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(10)
    assert not thread.is_alive()
