"""Thousands of requests that nobody should send: no fault, nothing of the machine, nothing of another catalog."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest

import attnsearch
from attnsearch import update
from attnsearch.serve.http import REFUSALS
from attnsearch.wire.catalogs import CatalogSummary, Item, Judgments, Problem
from attnsearch.wire.results import Explanation, Heatmap, Result
from tests.serve.client import Answered, Client, serving
from tests.serve.hostile import SECRET, Asked, requests, streams

COUNT = int(os.environ.get("ATTNSEARCH_HOSTILE", "8000"))
SEED = int(os.environ.get("ATTNSEARCH_SEED", "21"))
SILENCE = 0.3  # seconds
AT_ONCE = 100  # connections
CANARY = "nightingale"  # a word of the catalog that is not served
STATUSES = {200, 304, *REFUSALS} - {500}
OF_AGENTS = {202, 406}  # a notification, and an answer that the client does not take
TYPES = {
    "query": Result, "like": Result, "explain": Explanation, "heatmap": Heatmap, "feedback": Judgments, "items": Item,
    "catalogs": CatalogSummary,
}  # fmt: skip

ITEMS = [
    {"id": "a", "title": "moon", "year": 1969, "day": "2020-05-01", "kind": "rock"},
    {"id": "b", "title": "sea", "year": 1950, "tags": ["deep", "blue"]},
    {"id": "c", "title": "robot moon", "kind": "machine"},
]


@pytest.fixture
def client(small):
    update(ITEMS, name="shop")
    update([{"id": "z", "title": "robot"}], name="other")
    update([{"id": "a", "title": f"{CANARY} moon", "note": CANARY}], name=SECRET)
    client = Client("shop", "other")
    yield client
    client.close()


@pytest.fixture
def leaks(home, tmp_path) -> list[str]:
    """What no answer may have: paths of the machine, the trace of a bug, another catalog's data, the system's files."""
    package = str(Path(attnsearch.__file__).parent)
    return [str(home), str(tmp_path), package, str(Path.home()), "Traceback", 'File "', CANARY, "root:x:0", "sqlite3"]


def check(asked: Asked, answered: Answered, leaks: list[str]) -> None:
    """Raise AssertionError for an answer that should not be."""
    of_agents = answered.headers.get("content-type") == "application/json" and "jsonrpc" in answered.text
    assert answered.status in (STATUSES | OF_AGENTS if asked.address.startswith("/mcp") else STATUSES), answered
    assert not [leak for leak in leaks if leak in answered.text], answered
    assert "access-control-allow-origin" not in answered.headers
    if asked.method == "HEAD" or answered.status == 304:
        return
    if of_agents or answered.status == 202:
        assert asked.address.startswith("/mcp")
    elif answered.status != 200:
        Problem.model_validate(answered.json)
        assert answered.error["message"]
    elif asked.address.startswith("/v1/"):
        kind = TYPES[asked.address.split("?")[0].split("/")[2]]
        for value in answered.json if kind is CatalogSummary else [answered.json]:
            kind.model_validate(value)
            assert SECRET not in json.dumps([value.get("catalog"), value.get("name"), value.get("catalogs")])


def test_requests(client, leaks):
    seen: set[tuple[int, str]] = set()

    async def ask_all() -> None:
        for asked in requests(SEED, COUNT):
            answered = await client.answer(asked.method, asked.address, asked.content, asked.headers)
            try:
                check(asked, answered, leaks)
            except Exception as problem:
                raise AssertionError(f"{asked!r:.2000}\n{answered!r:.2000}") from problem
            seen.add((answered.status, asked.address.split("?")[0]))

    asyncio.run(ask_all())
    assert client.post("/v1/query", {"query": "moon"}).status == 200
    assert {status for status, _ in seen} >= {200, 400, 401, 403, 404, 405, 413, 415}
    assert {path for status, path in seen if status == 200} >= {"/v1/query", "/v1/like", "/v1/heatmap", "/v1/items/a"}


@pytest.fixture
def address(client):
    with serving(client.app) as address:
        yield address


async def converse(address: tuple[str, int], content: bytes) -> bytes:
    """What a server answers to bytes until it has been silent for a while; then the client hangs up."""
    reader, writer = await asyncio.open_connection(*address)
    received = b""
    try:
        writer.write(content)
        while part := await asyncio.wait_for(reader.read(1 << 16), SILENCE):
            received += part
    except (ConnectionError, TimeoutError):  # it hung up, or waits for more
        pass
    writer.close()
    return received


def test_streams(address, leaks):
    """By a socket: what comes at once, is cut off, too long, or not HTTP."""
    contents = streams(SEED, COUNT // 10)

    async def converse_all() -> list[bytes]:
        answers = []
        for start in range(0, len(contents), AT_ONCE):
            answers += await asyncio.gather(*(converse(address, part) for part in contents[start : start + AT_ONCE]))
        return answers

    statuses = Counter[str]()
    for content, answer in zip(contents, asyncio.run(converse_all()), strict=True):
        received = answer.decode("utf-8", "replace")
        assert not [leak for leak in leaks if leak in received], (content[:2000], received[:2000])
        own = re.findall(r"^HTTP/1\.1 (\d+)", received, re.MULTILINE)
        assert "500" not in own, content[:2000]
        statuses.update(own)
    assert {"200", "400", "403"} <= {*statuses} <= {str(status) for status in STATUSES | OF_AGENTS}
    body = b'{"query": "moon"}'
    request = (
        b"POST /v1/query HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    )
    assert b"200 OK" in asyncio.run(converse(address, request % len(body) + body))
