"""The tools → a server of the Model Context Protocol, and its endpoint in an application of ASGI.

Calls run in threads, several at once. A mistake in a call is explained in the tool's answer, so that the agent can
correct itself. https://modelcontextprotocol.io/specification
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from starlette.exceptions import HTTPException

from attnsearch import __version__
from attnsearch.agents.portions import Answer, as_text
from attnsearch.agents.schemas import schema_of
from attnsearch.agents.tools import INSTRUCTIONS, TOOLS, Tool
from attnsearch.agents.words import line, short
from attnsearch.errors import AttnsearchError, InternalError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from attnsearch.agents.overview import Catalogs

AT_ONCE = 8  # calls that run; others wait
_MESSAGE = 2_000  # characters of what went wrong
_LISTED = 20  # catalogs in the instructions

# The library logs a client's mistakes with tracebacks, on stderr; the client gets an error in any case.
logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)


Describe = Callable[[AttnsearchError], Mapping[str, Any]]  # an error → its object, {"error": {"message", "hint"}}
Note = Callable[[Sequence[str], str], None]  # catalogs that are asked, and what → a line of a log


def make_server(catalogs: Catalogs, describe: Describe, note: Note = lambda *_: None) -> Server[Any]:
    """The server of these catalogs; `describe` makes the error object, without what a client must not know."""
    known = {tool.name: _publish(tool) for tool in TOOLS}
    slots: asyncio.Semaphore | None = None

    async def list_tools(_: Any, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[*known.values()])

    async def call_tool(_: Any, request: types.CallToolRequestParams) -> types.CallToolResult:
        nonlocal slots
        if request.name not in known:
            message = f"there is no tool '{short(request.name, 80)}'; there are {', '.join(known)}"
            raise MCPError(code=types.INVALID_PARAMS, message=message)
        asked, query = (text if isinstance(text := (request.arguments or {}).get(name), str) else ""
                        for name in ("catalog", "query"))  # fmt: skip
        note([asked] if asked else [], query)
        slots = slots or asyncio.Semaphore(AT_ONCE)
        await slots.acquire()
        return await _in_thread(
            lambda: _answer(catalogs, describe, request.name, request.arguments or {}), slots.release
        )

    return Server(
        "attnsearch",
        version=__version__,
        title="attnsearch",
        instructions=_instructions(catalogs),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _instructions(catalogs: Catalogs) -> str:
    try:
        names = catalogs.names()
    except AttnsearchError:  # each call reports it
        names = []
    more = ", …" if len(names) > _LISTED else ""
    listed = f"\nCatalogs when this server started: {', '.join(names[:_LISTED])}{more}." if names else ""
    return f"{INSTRUCTIONS}{listed}"


def _publish(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=schema_of(tool.arguments),
        output_schema=schema_of(tool.answer),
        annotations=types.ToolAnnotations(
            title=tool.title, read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
    )


def _answer(catalogs: Catalogs, describe: Describe, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
    """The answer of a tool, as a structure and as text; or what went wrong, as text."""
    from attnsearch.agents.calls import call  # loads numpy, which a client's greeting need not wait for

    try:
        answer: Answer = call(catalogs, name, arguments)
    except AttnsearchError as problem:
        return _failure(describe(problem))
    except Exception as problem:  # noqa: BLE001 (an agent hears of a bug, too, and goes on)
        message = f"internal error: {type(problem).__name__}"
        return _failure(describe(InternalError(message, hint="please report it")))
    return types.CallToolResult(content=[types.TextContent(text=as_text(answer))], structured_content=answer)


def _failure(problem: Mapping[str, Any]) -> types.CallToolResult:
    """What went wrong, in a sentence: as a tool's answer, which a model reads, and not as an error of the protocol."""
    message, hint = problem["error"]["message"], problem["error"]["hint"]
    text = line(f"{message}; {hint}" if hint else message)
    return types.CallToolResult(content=[types.TextContent(text=short(text, _MESSAGE))], is_error=True)


async def _in_thread(function: Callable[[], types.CallToolResult], release: Callable[[], None]) -> types.CallToolResult:
    """What a function returns, in a thread of its own: a call that is cancelled does not wait for it.

    `release` is called when the thread ends: what a cancelled call began still runs until then.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[types.CallToolResult] = loop.create_future()

    def settle(result: types.CallToolResult) -> None:
        release()
        if not future.done():
            future.set_result(result)

    def run() -> None:
        result = function()
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result)

    threading.Thread(target=run, daemon=True, name="attnsearch-call").start()
    return await future


class Endpoint:
    """The server as an application of ASGI: streamable HTTP, stateless, with answers in JSON.

    It keeps no session and opens no stream, so it refuses all but POST, as the protocol allows. Host, Origin and token
    must have been checked.
    """

    def __init__(self, catalogs: Catalogs, describe: Describe, note: Note = lambda *_: None) -> None:
        self._server = make_server(catalogs, describe, note)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Raises HTTPException for another method."""
        if scope["method"] != "POST":
            raise HTTPException(405, headers={"Allow": "POST"})
        manager = StreamableHTTPSessionManager(self._server, json_response=True, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receive, send)
