"""A server of a small catalog, and a client of it in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from mcp import Client

from attnsearch.agents.server import make_server
from attnsearch.indexing.update import update
from attnsearch.serve.catalogs import Catalogs
from attnsearch.serve.failures import as_json

SHOP = """
description: Things to look at
items:
- {id: a, title: moon, description: Up there, kind: rock, price: 3, tags: [far, round]}
- {id: b, title: sea, description: Down there, kind: water, price: 12, tags: [near]}
- {id: c, title: robot moon, description: Made, kind: metal, price: 40, maker: 'Čapek, Karel'}
- {id: d, title: robot, description: Made, kind: metal, price: 50, tags: ['near, far']}
"""


@pytest.fixture
def shop(write, small):
    """The catalog `shop`."""
    update([str(write("shop.yaml", SHOP))])
    return "shop"


@pytest.fixture
def served(home):
    """The catalogs of the home, as they are served."""
    catalogs = Catalogs()
    yield catalogs
    catalogs.close()


@pytest.fixture
def ask(served) -> Callable[..., Any]:
    """Call a tool by a real client: its answer as a structure, or what went wrong as text."""

    def ask(tool: str, *, mode: str = "legacy", **arguments: Any) -> Any:
        async def call() -> Any:
            async with Client(make_server(served, as_json), mode=mode) as client:
                return await client.call_tool(tool, arguments)

        result = asyncio.run(call())
        return result.content[0].text if result.is_error else result.structured_content

    return ask
