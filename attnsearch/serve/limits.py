"""How much may be asked: the size of a request, how many at once, for how long; and the headers of every answer.

ASGI: https://asgi.readthedocs.io
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attnsearch.errors import AttnsearchError, InputError, InternalError
from attnsearch.output.safe_text import to_json
from attnsearch.serve import failures

LARGEST = 256 << 10  # bytes of a body
LARGEST_HEAD = 16 << 10  # bytes of all before it
DRAINED = 4 << 20  # bytes of a too large body that are read: a client cut off while it sends never sees the answer
ARRIVAL = 10.0  # seconds for a body to arrive
PATIENCE = 30.0  # seconds for an answer, including the wait for a place
AT_ONCE = 16  # requests that are answered at a time
WAITING = 64  # requests that wait for a place

# On every answer; an answer that sets one of these itself keeps it.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' http: https:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class RefusalError(Exception):
    """A request that is refused: the status, the error, and more headers, with _ for -."""

    def __init__(self, status: int, message: str, *, hint: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status, self.problem, self.headers = status, InputError(message, hint=hint), headers


class Responder:
    """Sends an answer, with our headers. Its `status` is 0 until it begins; `fault` is an unexpected error."""

    def __init__(self, send: Send, method: str) -> None:
        self.status = 0
        self.fault: Exception | None = None
        self._send, self._is_head = send, method == "HEAD"
        self.is_asked = self._is_muted = False

    async def ask(self, app: ASGIApp, scope: Scope, body: bytes, receive: Receive) -> None:
        """Send what the application answers; of HEAD, what it answers to GET, without the body."""
        self.is_asked = True
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        try:
            await app({**scope, "method": "GET" if self._is_head else scope["method"]}, replay, self._forward)
        except AttnsearchError as problem:
            await self._fail(problem, failures.status_of(problem))
        except MemoryError:
            await self._fail(InternalError("there is not enough memory", hint="ask for less"), 503)
        except Exception as fault:  # noqa: BLE001 (a server outlives its bugs)
            self.fault = fault
            await self._fail(InternalError(f"internal error: {type(fault).__name__}"), 500)

    async def refuse(self, refusal: RefusalError) -> None:
        """Send a refusal in place of an answer."""
        await self._fail(refusal.problem, refusal.status, **refusal.headers)

    async def give_up(self, refusal: RefusalError) -> None:
        """Send a refusal, and nothing that the application may still answer."""
        self._is_muted = True
        if not self.status:
            await self.refuse(refusal)

    async def _forward(self, message: Message) -> None:
        if not self._is_muted:
            await self._write(message)

    async def _fail(self, problem: AttnsearchError, status: int, **headers: str) -> None:
        if self.status:  # half an answer is sent; without its end, no client takes it for the whole
            return
        body = to_json(failures.as_json(problem)).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await self._write({"type": "http.response.start", "status": status, "headers": pairs})
        await self._write({"type": "http.response.body", "body": body})

    async def _write(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = list(message.get("headers", []))
            names = {name.lower() for name, _ in given}
            more = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*given, *(pair for pair in more if pair[0] not in names)]}
        elif message["type"] == "http.response.body":
            message = {**message, "body": b""} if self._is_head else message
        await self._send(message)


class Gate:
    """Lets `at_once` requests in; `waiting` more may wait, the rest are refused. Each has `patience` seconds."""

    def __init__(self, at_once: int = AT_ONCE, waiting: int = WAITING, patience: float = PATIENCE) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._most, self._patience = at_once + waiting, patience
        self._inside = 0
        self._turns: set[asyncio.Task[None]] = set()

    async def ask(self, app: ASGIApp, scope: Scope, body: bytes, receive: Receive, responder: Responder) -> None:
        """Send the application's answer in turn.

        Raises RefusalError if too many wait already; refuses with 503 what is not answered within `patience` seconds.
        """
        turn = asyncio.create_task(self._ask_in_turn(app, scope, body, receive, responder))
        self._turns.add(turn)  # the loop itself has only a weak reference
        turn.add_done_callback(self._turns.discard)
        done, _ = await asyncio.wait({turn}, timeout=self._patience)
        if done:
            turn.result()
            return
        # What waits or is being sent can be stopped. A thread can't: its request keeps its place until it ends.
        if not responder.is_asked or responder.status:
            turn.cancel()
        message = f"no answer within {self._patience:g} seconds"
        await responder.give_up(RefusalError(503, message, hint="ask for less, or later", retry_after="1"))

    async def _ask_in_turn(
        self, app: ASGIApp, scope: Scope, body: bytes, receive: Receive, responder: Responder
    ) -> None:
        async with self._entered():
            await responder.ask(app, scope, body, receive)

    @asynccontextmanager
    async def _entered(self) -> AsyncIterator[None]:
        if self._inside >= self._most:
            raise RefusalError(429, "too many requests at once", hint="ask again in a second", retry_after="1")
        self._inside += 1
        try:
            async with self._free:
                yield
        finally:
            self._inside -= 1


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The body of a request, whole.

    Raises RefusalError if it has more than LARGEST bytes, takes longer than ARRIVAL seconds, or ends early.
    """
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    if length == b"0" and b"transfer-encoding" not in headers:
        return b""
    too_large = RefusalError(413, f"the request has more than {LARGEST >> 10} KiB", connection="close")
    if b"expect" in headers and int(length) > LARGEST:  # the client asks first; uvicorn checked the digits
        raise too_large
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(ARRIVAL):
            async for part in _parts(receive):
                size += len(part)
                body += part if size <= LARGEST else b""
                if size > DRAINED:
                    break
    except TimeoutError:
        message = f"the request did not arrive within {ARRIVAL:g} seconds"
        raise RefusalError(408, message, connection="close") from None
    if size > LARGEST:
        raise too_large
    return bytes(body)


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    """The parts of a body, as they come."""
    is_last = False
    while not is_last:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusalError(400, "the request ends early")  # for the log: the client has gone
        yield message.get("body", b"")
        is_last = not message.get("more_body", False)
