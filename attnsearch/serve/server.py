"""A socket, signals, and an end in good order."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from attnsearch.errors import InputError
from attnsearch.output.safe_text import to_json
from attnsearch.serve import failures
from attnsearch.serve.catalogs import Catalogs
from attnsearch.serve.guard import Access
from attnsearch.serve.http import make_app
from attnsearch.serve.limits import ARRIVAL, AT_ONCE, HEADERS, LARGEST_HEAD, PATIENCE
from attnsearch.serve.loop import Faults, allow_files

FINISHING = 4  # seconds that running requests have after a signal to end
ENDING = 4.8  # seconds after which the process ends, whatever still runs
IDLE = 75  # seconds that a connection stays open without a request: longer than a reverse proxy keeps it, 60 for nginx
CONNECTIONS = 200  # at once; of more, one of which no whole request has come is closed, else the new one
BACKLOG = 128  # connections that the system holds until we take them
GARBAGE = 10_000  # objects between two collections; with the 100,000 of a command, a server would grow
TURN = 0.001  # seconds of Python that a thread has while others wait: connections wait for searches
NEAREST = 100  # ports that are tried in place of one in use

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # those that the system has
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 (what stands for all addresses of this machine)
_ELSEWHERE = ("192.0.2.1", 9)  # RFC 5737: nobody's


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at an address, or at every address of a host name; `port` 0 takes a free one.

    Raises InputError if that is not possible, with the next free port if this one is in use.
    """
    try:
        infos = socket.getaddrinfo(host or "?", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise InputError(f"--host {host!r} is not an address or a host name") from None
    sockets: list[socket.socket] = []
    for family, *_, address in dict.fromkeys(infos):
        try:
            place = (address[0], sockets[0].getsockname()[1], *address[2:]) if sockets else address
            sockets.append(_listen(family, place))
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and len(infos) > 1:  # a system without IPv6
                continue
            for other in sockets:
                other.close()
            raise _unavailable(host, port, family, address, error) from None
    if not sockets:
        raise InputError(f"{host} has no address of this machine")
    return sockets


def _listen(family: int, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # or asyncio delays what is small
    try:
        if os.name == "posix":  # elsewhere it would take a port from another program
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _unavailable(host: str, port: int, family: int, address: Any, error: OSError) -> InputError:
    """Why this address can't be listened on, and what can."""
    if error.errno == errno.EADDRINUSE:
        for other in range(port + 1, min(port + NEAREST, 1 << 16)):
            try:
                _listen(family, (address[0], other, *address[2:])).close()
            except OSError:
                continue
            return InputError(f"port {port} is in use", hint=f"take another: --port {other}")
        return InputError(f"port {port} is in use", hint="take a free one: --port 0")
    if error.errno == errno.EACCES:
        hint = "take one above 1023, behind a reverse proxy: --port 8400"
        return InputError(f"port {port} needs a permission from the system", hint=hint)
    if error.errno == errno.EADDRNOTAVAIL:
        hint = "take an address of this machine, or 0.0.0.0 for all"
        return InputError(f"{host} is not an address of this machine", hint=hint)
    return InputError(f"{host}, port {port}: {error.strerror or error}")


def address_of(host: str, listener: socket.socket) -> str:
    """The URL of what listens at `host`; of all addresses, the one by which other machines reach this one."""
    if host in _WILDCARDS:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(_ELSEWHERE)  # sends nothing: the system just chooses the way
                host = probe.getsockname()[0]
            except OSError:
                host = "127.0.0.1"
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class Connection(H11Protocol):
    """A connection that ends when its client does not send a request in time, or does not read the answer."""

    _unasked: asyncio.TimerHandle | None = None  # ends it unless a request comes
    _unread: asyncio.TimerHandle | None = None  # ends it unless an answer is read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; if there are too many, end one of which no whole request has come, or else this one."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:  # some of them end already, and are only not gone yet
            others = [other for other in self.connections if not other.transport.is_closing() and other is not self]
            if len(others) >= CONNECTIONS:
                spare = next((other for other in others if isinstance(other, Connection) and other.is_spare), self)
                spare.transport.abort()
        self._await_request()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_spare(self) -> bool:
        """Whether nothing is lost with it, but a request that has not come in whole."""
        return self.is_idle or self.cycle.more_body

    def data_received(self, data: bytes) -> None:
        """Read on; the head of a request must come within the time for its body."""
        super().data_received(data)
        if not self.is_idle:
            _cancel(self._unasked)
            self._unasked = None
        elif self._unasked is None:
            self._await_request()

    def pause_writing(self) -> None:
        """Wait for the client to read on."""
        super().pause_writing()
        self._unread = self.loop.call_later(PATIENCE, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        _cancel(self._unread)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        _cancel(self._unasked)
        _cancel(self._unread)

    def _await_request(self) -> None:
        self._unasked = self.loop.call_later(ARRIVAL, self.transport.abort)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's words)
        """Answer what is not HTTP as all else, and end."""
        if self.is_idle or not self.cycle.response_started:
            body = to_json(failures.as_json(InputError("this is not a request of HTTP/1.1"))).encode()
            headers = {
                **HEADERS,
                "Content-Type": "application/json",
                "Content-Length": len(body),
                "Connection": "close",
            }
            lines = ["HTTP/1.1 400 Bad Request", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
            self.transport.write("\r\n".join(lines).encode() + body)
        self.transport.close()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer:
        timer.cancel()


class _Server(uvicorn.Server):
    """Calls `ready` once it answers. The first signal lets what runs finish, the second ends the process at once."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.signal = 0
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Have signals end the server in good order; afterwards they do what they did before."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
        before = {number: signal.getsignal(number) for number in numbers}
        taken = [number for number in numbers if before[number] is not signal.SIG_IGN]  # as by nohup
        try:
            for number in taken:
                signal.signal(number, self._end)
            yield
        finally:
            for number in taken:
                signal.signal(number, before[number])

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if self.signal:
            os._exit(_code(number))
        self.signal, self.should_exit = number, True
        timer = threading.Timer(ENDING, os._exit, [_code(number)])
        timer.daemon = True
        timer.start()


def _code(number: int) -> int:
    return 128 + number if number == signal.SIGINT else 0


class _Lines(logging.Handler):
    """Warnings of the package → lines of the log."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log(record.getMessage())


def serve(
    catalogs: Catalogs,
    sockets: list[socket.socket],
    access: Access,
    *,
    ready: Callable[[], None],
    log: Callable[[str], None] = lambda _: None,
    log_queries: bool = False,
) -> None:
    """Answer at these sockets until SIGTERM or SIGINT; `ready` is called once requests are answered.

    Raises KeyboardInterrupt after SIGINT. Ends within five seconds of a signal, if need be with the whole process.
    """
    logging.getLogger().addHandler(logging.NullHandler())  # drops what libraries log: tracebacks of what a client sent
    logging.getLogger("attnsearch").addHandler(_Lines(log))
    app = make_app(catalogs, access, log=log, log_queries=log_queries)
    config = uvicorn.Config(
        app, http=Connection, ws="none", loop="asyncio", log_config=None, access_log=False, proxy_headers=False,
        server_header=False, backlog=BACKLOG, timeout_keep_alive=IDLE, timeout_graceful_shutdown=FINISHING,
        h11_max_incomplete_event_size=LARGEST_HEAD,
    )  # fmt: skip

    def begin() -> None:
        ready()
        _notify()
        threading.Thread(target=catalogs.warm, name="attnsearch-warm", daemon=True).start()

    allow_files()
    gc.freeze()  # what is loaded stays
    gc.set_threshold(GARBAGE)
    sys.setswitchinterval(TURN)
    server = _Server(config, begin)
    loop = asyncio.new_event_loop()  # asyncio.run would wait for threads at its end, however long they take
    loop.set_exception_handler(Faults(log).note)
    loop.set_default_executor(ThreadPoolExecutor(AT_ONCE, "attnsearch-answer"))
    try:
        loop.run_until_complete(server.serve(sockets))
    finally:
        for listener in sockets:
            listener.close()
        loop.set_exception_handler(lambda *_: None)  # of what is still waiting
        loop.close()
        catalogs.close()
    if server.signal == signal.SIGINT:
        raise KeyboardInterrupt


def _notify() -> None:
    """Tell systemd that there are answers, if it asks: https://www.freedesktop.org/software/systemd/man/sd_notify.html."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if name:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(f"\0{name[1:]}" if name.startswith("@") else name)
            channel.sendall(b"READY=1")
