"""A real client over a real socket, behind the guard."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from http.client import HTTPConnection
from typing import Any

import pytest
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from attnsearch.serve import server
from attnsearch.serve.guard import Access
from attnsearch.serve.http import make_app

TOKEN = "a-token-of-this-test"
SECONDS = 30


@pytest.fixture
def address(served, shop):
    """A server of the catalog `shop` that needs a token: the address of its tools."""
    (listener,) = server.listen("127.0.0.1", 0)
    app = make_app(served, Access(token=TOKEN))
    running = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    end = time.monotonic() + SECONDS
    while not running.started and time.monotonic() < end:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    running.should_exit = True
    thread.join(SECONDS)
    listener.close()


def connect(address: str, task: Any, mode: str = "legacy") -> Any:
    """What a task gets from a client that is connected."""

    async def run() -> Any:
        async with (
            asyncio.timeout(SECONDS),
            create_mcp_http_client(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
            Client(streamable_http_client(address, http_client=http), mode=mode) as client,
        ):
            return await task(client)

    return asyncio.run(run())


CALLS = [
    ("catalogs", {}),
    ("search", {"query": "moon"}),
    ("like", {"item": "a"}),
    ("get", {"ids": ["a"]}),
    ("explain", {"query": "moon", "item": "a"}),
]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_every_tool(address, mode):
    async def task(client):
        tools = [tool.name for tool in (await client.list_tools()).tools]
        results = await asyncio.gather(*(client.call_tool(*call) for call in CALLS * 4))
        return tools, results

    tools, results = connect(address, task, mode)
    assert {*tools} == {name for name, _ in CALLS}
    for result in results:
        assert not result.is_error, result.content
        assert json.loads(result.content[0].text) == result.structured_content


def test_a_mistake_is_the_tools_answer(address):
    result = connect(address, lambda client: client.call_tool("search", {"query": "moon", "catalog": "ship"}))
    assert result.is_error
    assert result.content[0].text == "there is no catalog 'ship'; did you mean 'shop'?"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Authorization": "Bearer another-token-of-it"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_the_guard_stands_before_it(address, headers, status):
    usual = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json",
             "Accept": "application/json, text/event-stream"}  # fmt: skip
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    connection = HTTPConnection(address.split("/")[2], timeout=SECONDS)
    connection.request("POST", "/mcp", json.dumps(message), {**usual, **headers})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status == status
    assert ("explain" in text) is (status == 200)
