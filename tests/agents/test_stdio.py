"""Lines → messages, in this process, and what a client may send instead."""

from __future__ import annotations

import io
import json
import os
import threading
from typing import Any

import pytest

from attnsearch.agents import calls, stdio
from attnsearch.agents.server import AT_ONCE
from attnsearch.serve.failures import as_json

HELLO: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 0, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def call(ident: object, query: str = "moon") -> dict[str, Any]:
    params = {"name": "search", "arguments": {"query": query}}
    return {"jsonrpc": "2.0", "id": ident, "method": "tools/call", "params": params}


def lines(*messages: object) -> bytes:
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


@pytest.fixture
def talk(served, shop):
    """Send bytes, end the input, and return what is answered."""

    def talk(sent: bytes) -> list[dict[str, Any]]:
        sink = io.BytesIO()
        assert stdio.serve(served, as_json, io.BytesIO(sent), sink) == 0
        return [json.loads(line) for line in sink.getvalue().splitlines()]

    return talk


def test_calls_are_answered_before_the_end(talk):
    answers = talk(lines(HELLO, READY, *(call(number) for number in range(1, 20))))
    assert {answer["id"] for answer in answers} == {*range(20)}
    assert all(answer["result"]["structuredContent"]["hits"] for answer in answers if answer["id"])


@pytest.mark.parametrize(
    ("garbage", "code"),
    [
        (b"garbage\n", -32700),
        (b"{\n", -32700),
        (b'{"jsonrpc":"2.0","id":5,"method":\n', -32700),
        (b"\x00\xff\xfe\x80\n", -32700),
        (b"[" * 100_000 + b"\n", -32700),
        (b"[]\n", -32600),
        (b"{}\n", -32600),
        (b'{"id":1}\n', -32600),
        *((b'{"jsonrpc":"2.0","id":%s,"method":"ping"}\n' % odd, -32600) for odd in (b"null", b"1.5", b"true", b"[]")),
        (b"x" * (stdio.LONGEST + 10) + b"\n", -32600),
        (b"x" * (3 * stdio.LONGEST) + b"\n", -32600),
    ],
    ids=lambda value: str(value[:12]) if isinstance(value, bytes) else "",
)
def test_what_is_no_message_gets_an_error_and_the_next_is_answered(talk, garbage, code):
    first, second, *others = talk(garbage + lines(HELLO))
    assert (first["id"], first["error"]["code"]) == (None, code)
    assert second["id"] == 0
    assert others == []


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\r\n", b'{"jsonrpc": "2.0", "id'])
def test_half_a_line_at_the_end(talk, end):
    answers = talk(lines(HELLO) + end)
    assert {answer["id"] for answer in answers} == ({0, None} if b"id" in end else {0})


def test_the_last_line_needs_no_end(talk):
    (answer,) = talk(lines(HELLO).strip())
    assert answer["id"] == 0


@pytest.mark.parametrize("method", ["no/such", "resources/list", "sampling/createMessage"])
def test_methods_that_there_are_not(talk, method):
    _, answer = talk(lines(HELLO, READY, {"jsonrpc": "2.0", "id": "x", "method": method, "params": {}}))
    assert (answer["id"], answer["error"]["code"]) == ("x", -32601)


def test_a_call_that_is_cancelled_is_not_answered(talk, monkeypatch):
    leave = threading.Event()
    monkeypatch.setattr(calls, "search", lambda *_, **__: leave.wait(20))
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    try:
        (answer,) = talk(lines(HELLO, READY, call(1), cancel))
    finally:
        leave.set()
    assert answer["id"] == 0


def test_calls_that_are_cancelled_run_no_more_at_once(talk, monkeypatch):
    """A thread can't be stopped: it keeps its place until it ends."""
    leave, began = threading.Event(), []
    monkeypatch.setattr(calls, "search", lambda *_, **__: (began.append(1), leave.wait(20)))
    monkeypatch.setattr(stdio, "PATIENCE", 0.2)
    numbers = range(1, 3 * AT_ONCE)
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
    pairs = [(call(number), cancel | {"params": {"requestId": number}}) for number in numbers]
    try:
        talk(lines(HELLO, READY, *sum(pairs, ()), call(99)))
    finally:
        leave.set()
    assert 0 < len(began) <= AT_ONCE


def test_patience_ends(talk, monkeypatch):
    leave = threading.Event()
    monkeypatch.setattr(calls, "search", lambda *_, **__: leave.wait(20))
    monkeypatch.setattr(stdio, "PATIENCE", 0.05)
    try:
        answers = talk(lines(HELLO, READY, call(1)))
    finally:
        leave.set()
    assert [answer["id"] for answer in answers] == [0, 1]
    assert "error" in answers[1]


def test_a_reader_that_has_gone(served, shop):
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb", buffering=0) as sink:
        assert stdio.serve(served, as_json, io.BytesIO(lines(HELLO, READY, call(1))), sink) == 0
