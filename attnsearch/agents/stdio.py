"""Standard input and output → the server: a message a line.

A line that is not a message is answered with an error, as JSON-RPC has it (https://www.jsonrpc.org/specification). When
input ends, running calls are still answered.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import anyio
import mcp_types as types
from mcp.shared.message import SessionMessage
from pydantic import TypeAdapter, ValidationError

from attnsearch.agents.server import Describe, make_server

if TYPE_CHECKING:
    from mcp.server.lowlevel.server import Server

    from attnsearch.agents.overview import Catalogs

LONGEST = 1 << 20  # bytes of a line
PATIENCE = 30.0  # seconds that calls have after input ends

_OBJECT = TypeAdapter(dict[str, Any])


def serve(catalogs: Catalogs, describe: Describe, source: BinaryIO, sink: BinaryIO) -> int:
    """Answer messages from `source` on `sink` until it ends, or until a signal; returns the signal's number, else 0."""
    return asyncio.run(_serve(make_server(catalogs, describe), source, sink))


async def _serve(server: Server[Any], source: BinaryIO, sink: BinaryIO) -> int:
    task = asyncio.current_task()
    ended_by: int | None = None

    def end(number: int = 0) -> None:
        nonlocal ended_by
        ended_by = number
        if task:
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, ValueError, RuntimeError):  # Windows, or not the main thread
            loop.add_signal_handler(number, end, number)
    wire = _Wire(source, sink, end)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(wire.read)
            async with anyio.create_task_group() as answering:
                answering.start_soon(wire.write)
                await server.run(wire.incoming, wire.outgoing, server.create_initialization_options())
            group.cancel_scope.cancel()
    except (asyncio.CancelledError, BaseExceptionGroup):  # which of the two depends on which task was sending
        if ended_by is None:
            raise
    return ended_by or 0


class _Wire:
    """Lines → messages for the server, and back."""

    def __init__(self, source: BinaryIO, sink: BinaryIO, leave: Callable[[], None]) -> None:
        self._source, self._sink, self._leave = source, sink, leave
        self._messages, self.incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        self.outgoing, self._answers = anyio.create_memory_object_stream[SessionMessage](0)
        self._waiting: set[Any] = set()  # the ids of requests that are not answered yet
        self._settled = asyncio.Event()

    async def read(self) -> None:
        """Hand the messages of all lines to the server; at the end, wait until the last is answered."""
        async with self._messages:
            async for line in _read_lines(self._source):
                if line is None:
                    self._refuse(types.INVALID_REQUEST, f"a message has more than {LONGEST:,} bytes")
                    continue
                if not line.strip():
                    continue
                try:
                    message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
                except ValidationError as problem:
                    is_json = problem.errors(include_url=False)[0]["type"] != "json_invalid"
                    code = types.INVALID_REQUEST if is_json else types.PARSE_ERROR
                    self._refuse(code, "Invalid request" if is_json else "Parse error")
                    continue
                if isinstance(message, types.JSONRPCNotification) and "id" in _OBJECT.validate_json(line):
                    self._refuse(types.INVALID_REQUEST, "the id of a request is a text or a whole number")
                    continue
                self._note(message)
                await self._messages.send(SessionMessage(message))
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    while self._waiting:
                        self._settled.clear()
                        await self._settled.wait()

    def _note(self, message: types.JSONRPCMessage) -> None:
        if isinstance(message, types.JSONRPCRequest):
            self._waiting.add(message.id)
        elif isinstance(message, types.JSONRPCNotification) and message.method == "notifications/cancelled":
            self._waiting.discard((message.params or {}).get("requestId"))  # a cancelled request is not answered
            self._settled.set()

    def _refuse(self, code: int, problem: str) -> None:
        self._send(types.JSONRPCError(jsonrpc="2.0", id=None, error=types.ErrorData(code=code, message=problem)))

    async def write(self) -> None:
        """Write what the server answers."""
        async with self._answers:
            async for answer in self._answers:
                self._send(answer.message)
                if isinstance(answer.message, (types.JSONRPCResponse, types.JSONRPCError)):
                    self._waiting.discard(answer.message.id)
                    self._settled.set()

    def _send(self, message: types.JSONRPCMessage) -> None:
        text = message.model_dump_json(by_alias=True, exclude_unset=True)
        try:
            self._sink.write(text.encode() + b"\n")
            self._sink.flush()
        except OSError:  # the reader has gone
            self._leave()


async def _read_lines(source: BinaryIO) -> AsyncIterator[bytes | None]:
    """The lines of a stream, None for one that is too long. They are read in a thread that may outlive the server."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()
    room = threading.Semaphore(64)  # lines that are read ahead

    def read() -> None:
        is_rest = False  # of a line that is too long
        while line := source.readline(LONGEST):
            is_whole = line.endswith(b"\n")
            if is_rest or not (is_whole or len(line) < LONGEST):
                if not is_rest:
                    put(None)
                is_rest = not is_whole
                continue
            put(line)
        put(b"")

    def put(line: bytes | None) -> None:
        room.acquire()
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=read, daemon=True, name="attnsearch-stdin").start()
    while (line := await lines.get()) != b"":
        room.release()
        yield line
