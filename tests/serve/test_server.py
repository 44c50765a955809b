"""Sockets, connections that nobody may hold for nothing, and the end of the process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from http.client import HTTPConnection
from pathlib import Path

import pytest
import uvicorn
from uvicorn.server import ServerState

from attnsearch.errors import InputError
from attnsearch.serve import limits, loop, server
from attnsearch.serve.catalogs import MOST_OPEN
from attnsearch.serve.guard import Access, Guard
from attnsearch.serve.limits import HEADERS
from attnsearch.wire.requests import MOST_HITS

FULL = Path("/dev/full")
SOON = 30  # seconds after which a test gives up


class TestListening:
    def test_a_free_port(self):
        (listener,) = server.listen("127.0.0.1", 0)
        with listener:
            port = listener.getsockname()[1]
            assert server.address_of("127.0.0.1", listener) == f"http://127.0.0.1:{port}/"
            socket.create_connection(("127.0.0.1", port), SOON).close()

    def test_a_name_of_several_addresses_has_one_port(self):
        listeners = server.listen("localhost", 0)
        (port,) = {listener.getsockname()[1] for listener in listeners}
        assert server.address_of("localhost", listeners[0]) == f"http://localhost:{port}/"
        assert server.address_of("::1", listeners[0]) == f"http://[::1]:{port}/"
        for listener in listeners:
            listener.close()

    def test_a_port_in_use(self):
        """The hint is the nearest that is free, which can be taken."""
        (listener,) = server.listen("127.0.0.1", 0)
        port = listener.getsockname()[1]
        with listener, pytest.raises(InputError, match=f"port {port} is in use") as caught:
            server.listen("127.0.0.1", port)
        other = int(re.fullmatch(r"take another: --port (\d+)", caught.value.hint)[1])
        assert port < other < port + server.NEAREST
        server.listen("127.0.0.1", other)[0].close()

    def test_the_last_port(self, monkeypatch):
        monkeypatch.setattr(server, "_listen", refusing(errno.EADDRINUSE))
        with pytest.raises(InputError, match="65535 is in use") as caught:
            server.listen("127.0.0.1", 65_535)
        assert "--port 0" in caught.value.hint

    @pytest.mark.parametrize(
        ("number", "message"),
        [(errno.EACCES, "port 80 needs a permission from the system"), (errno.EMFILE, "127.0.0.1, port 80: Too many"),
         (errno.EADDRNOTAVAIL, "127.0.0.1 is not an address of this machine")],
    )  # fmt: skip
    def test_what_the_system_refuses(self, monkeypatch, number, message):
        monkeypatch.setattr(server, "_listen", refusing(number))
        with pytest.raises(InputError, match=message):
            server.listen("127.0.0.1", 80)

    def test_a_system_without_one_family(self, monkeypatch):
        """Of a name's addresses, those are taken that the system has; but one must be."""
        places = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 0)), (socket.AF_INET6, 1, 6, "", ("::1", 0, 0, 0))]
        listen, refuse = server._listen, refusing(errno.EADDRNOTAVAIL)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: places)
        monkeypatch.setattr(
            server, "_listen", lambda family, place: (listen if family == socket.AF_INET else refuse)(family, place)
        )
        (listener,) = server.listen("localhost", 0)
        listener.close()
        monkeypatch.setattr(server, "_listen", refuse)
        with pytest.raises(InputError, match="localhost has no address of this machine"):
            server.listen("localhost", 0)

    @pytest.mark.parametrize(
        "host", ["", " ", "a b", "é" * 80, "..", "127.0.0.1:8400", "http://localhost", "[::1]", "\x00"]
    )
    def test_what_is_no_address(self, host):
        with pytest.raises(InputError, match="is not an address"):
            server.listen(host, 0)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::"])
    def test_all_addresses(self, host):
        """The link has the one by which others reach this machine, and no wildcard, which leads nowhere."""
        (listener,) = server.listen(host, 0)
        with listener:
            address = re.fullmatch(r"http://([\d.]+):(\d+)/", server.address_of(host, listener))
            assert address[1] != "0.0.0.0"
            socket.create_connection((address[1], int(address[2])), SOON).close()  # of IPv4 for both


def refusing(number):
    """What listens at no address."""

    def listen(family, address):
        raise OSError(number, os.strerror(number))

    return listen


@pytest.fixture(scope="module")
def port():
    """The port of a server of one small page, of which `/large` is 16 MB."""

    async def app(scope, receive, send):
        if scope["type"] == "http":
            body = b"x" * (16 << 20 if scope["path"] == "/large" else 4)
            headers = [(b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    with pytest.MonkeyPatch.context() as patch:
        for name in ("ARRIVAL", "PATIENCE"):
            patch.setattr(server, name, 0.5)
        (listener,) = server.listen("127.0.0.1", 0)
        config = uvicorn.Config(Guard(app, Access()), http=server.Connection, ws="none", lifespan="off",
                                log_config=None, loop="asyncio", timeout_keep_alive=1)  # fmt: skip
        running = uvicorn.Server(config)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_until_complete, args=(running.serve([listener]),))
        thread.start()
        yield listener.getsockname()[1]
        running.should_exit = True
        thread.join(SOON)
        loop.close()


def connected(port, *sent):
    """A connection that has sent this."""
    connection = socket.create_connection(("127.0.0.1", port), SOON)
    for part in sent:
        connection.sendall(part)
    return connection


def read_all(connection):
    """What comes until the server ends the connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"


class TestConnections:
    def test_one_request_after_another(self, port):
        with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=SOON)) as connection:
            for _ in range(3):
                connection.request("GET", "/")
                answered = connection.getresponse()
                assert (answered.status, answered.read()) == (200, b"xxxx")
                time.sleep(0.3)  # together longer than the head of one may take

    @pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: local"])
    @pytest.mark.parametrize("requests", [0, 2])
    def test_a_request_that_never_comes(self, port, sent, requests):
        """Slowloris: hundreds of such connections cost a client nothing."""
        with connected(port) as connection:
            for _ in range(requests):
                connection.sendall(REQUEST)
                answered = b""
                while not answered.endswith(b"\r\n\r\nxxxx"):
                    answered += connection.recv(1 << 16)
            connection.sendall(sent)
            assert read_all(connection) == b""

    def test_an_answer_that_nobody_reads(self, port):
        """What is read much later is only what the system holds."""
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(SOON)
            connection.connect(("127.0.0.1", port))
            connection.sendall(REQUEST.replace(b"/ ", b"/large "))
            time.sleep(1)
            assert len(read_all(connection)) < 16 << 20

    def test_nothing_follows_a_request_of_two_lengths(self, port):
        """Smuggling: whoever stands before us may have taken what follows for its body, and not looked at it."""
        head = (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        with connected(port, head + REQUEST) as connection:
            answered = read_all(connection)
        assert answered.startswith(b"HTTP/1.1 400 ")
        assert answered.count(b"HTTP/1.1 ") == 1

    def test_what_is_no_http(self, port):
        for sent in (b"\x16\x03\x01\x02\x00\x01\x00", b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\na b: c\r\n",
                     b"GET /\xff HTTP/1.1\r\n", b"GET / HTTP/x\r\n"):  # fmt: skip
            with connected(port, sent + b"\r\n\r\n") as connection:
                head, _, body = read_all(connection).decode().partition("\r\n\r\n")
                assert head.startswith("HTTP/1.1 400 ")
                assert json.loads(body)["error"]["code"] == 2
                assert all(f"{name}: {value}" in head for name, value in HEADERS.items())

    def test_many_at_the_same_moment(self, monkeypatch):
        """Those that end already are no place for more: the loop takes a hundred before it drops one."""
        monkeypatch.setattr(server, "CONNECTIONS", 3)

        class Taken(asyncio.Transport):
            ended = False

            def is_closing(self):
                return self.ended

            def abort(self):
                self.ended = True

        async def connect(transports):
            config = uvicorn.Config(lambda *_: None, log_config=None)
            config.load()
            state = ServerState()
            for transport in transports:
                server.Connection(config, state, {}).connection_made(transport)

        transports = [Taken() for _ in range(10)]
        asyncio.run(connect(transports))
        assert [transport.ended for transport in transports].count(False) == 3
        assert not transports[-1].ended

    @pytest.mark.parametrize("sent", [b"", UPLOAD])
    def test_too_many(self, port, monkeypatch, sent):
        """One of which no whole request has come makes place; what is new is refused only if there is none."""
        monkeypatch.setattr(server, "CONNECTIONS", 3)
        monkeypatch.setattr(server, "ARRIVAL", SOON)  # none ends by itself
        with contextlib.ExitStack() as stack:
            old = [stack.enter_context(connected(port, sent)) for _ in range(3)]
            new = stack.enter_context(connected(port, REQUEST))
            assert new.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            ended, _, _ = select.select(old, [], [], 0)
            assert len(ended) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no such limit")
def test_more_files_than_macos_allows(monkeypatch):
    """A process there may have 256 open, and connections alone are 200."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < loop.FILES:
        pytest.skip("nobody may have so many here")
    try:
        for soft, after in ((256, loop.FILES), (loop.FILES + 1, loop.FILES + 1)):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
            loop.allow_files()
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (after, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert loop.FILES > server.CONNECTIONS + 10 * MOST_OPEN + 100


def test_a_fault_that_comes_again_at_once_is_noted_once(monkeypatch):
    """asyncio has one for each connection that it can't take: 200,000 in some seconds."""
    lines, now = [], []
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(monotonic=lambda: now[-1]))
    faults = loop.Faults(lines.append)
    for seconds, message in ((0, "a"), (0.5, "a"), (0.9, "b"), (1.0, "b"), (2, "b")):
        now.append(seconds)
        faults.note(None, {"message": message})
    assert lines == ["internal error: a", "internal error: b", "internal error: b"]


def test_the_limits_in_the_documents():
    text = (Path(server.__file__).parents[2] / "docs" / "serving.md").read_text()
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", text[text.index("## Limits") :].partition("\n## ")[0], re.M
    )
    assert dict(rows[1:]) == {
        "the body of a request": f"{limits.LARGEST >> 10} KiB",
        "the headers and parameters of a request": f"{limits.LARGEST_HEAD >> 10} KiB",
        "the time for either to arrive": f"{limits.ARRIVAL:.0f} seconds",
        "hits": f"{MOST_HITS:,}",
        "requests that are answered at once": f"{limits.AT_ONCE}",
        "requests that wait": f"{limits.WAITING}",
        "the time for an answer, the wait included": f"{limits.PATIENCE:.0f} seconds",
        "the time for a client to read on": f"{limits.PATIENCE:.0f} seconds",
        "connections": f"{server.CONNECTIONS}",
        "the time of a connection between two requests": f"{server.IDLE} seconds",
    }


def test_what_is_served_is_opened_once(monkeypatch):
    """When requests are answered already, and by one thread: a second would load the model again beside it."""
    warmed = []

    class Served:
        def warm(self):
            warmed.append(threading.current_thread())

        def close(self):
            pass

    class Short(server._Server):
        async def startup(self, sockets=None):
            assert not warmed
            assert self.config.backlog == server.BACKLOG  # asyncio would listen anew, with another
            await super().startup(sockets)
            self.should_exit = True

    monkeypatch.setattr(server, "_Server", Short)
    monkeypatch.setattr(server, "make_app", lambda *_, **__: lambda *_: None)
    monkeypatch.setattr(server, "gc", types.SimpleNamespace(freeze=lambda: None, set_threshold=lambda _: None))
    for name in ("", "attnsearch"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    server.serve(Served(), server.listen("127.0.0.1", 0), Access(), ready=lambda: None)
    for thread in warmed:
        thread.join(SOON)
    assert len(warmed) == 1


class TestSystemd:
    def test_it_hears_that_there_are_answers(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)  # a path of a socket has at most 107 bytes
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind("notify")
            monkeypatch.setenv("NOTIFY_SOCKET", "notify")
            server._notify()
            systemd.settimeout(SOON)
            assert systemd.recv(99) == b"READY=1"

    def test_nobody_hears_it(self, monkeypatch, tmp_path):
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
        server._notify()


# A server whose list of catalogs takes until there is a file `go`, and whose end takes as long as the arguments say.
PROGRAM = """
import sys, time
from pathlib import Path
from attnsearch.serve import answers, server

server.Catalogs.warm = lambda catalogs: None  # while a model is loaded, stderr is silenced

def wait(catalogs):
    Path("asked").touch()
    while not Path("go").exists():
        time.sleep(0.01)
    return []

answers.list_catalogs = wait
server.FINISHING, server.ENDING = float(sys.argv.pop(1)), float(sys.argv.pop(1))
from attnsearch.cli import run
run()
"""


@pytest.fixture
def start(tmp_path):
    """Start a server: the process, and its port."""
    running = []

    def start(*argv, finishing=30.0, ending=60.0, stderr=subprocess.PIPE, command=(), **env):
        program = [sys.executable, "-c", PROGRAM, str(finishing), str(ending), "serve", "--port", "0", *argv]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": stderr}
        process = subprocess.Popen([*command, *program], cwd=tmp_path, env={**os.environ, **env}, text=True, **pipes)
        running.append(process)
        line = process.stdout.readline()
        match = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\n", line)
        assert match, line + (process.communicate()[1] or "")
        return process, int(match[1])

    yield start
    for process in running:
        process.kill()
        process.communicate()


def wait_for(path):
    """Wait until there is this file."""
    end = time.monotonic() + SOON
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextlib.contextmanager
def asking(port, path="/v1/catalogs"):
    """A request that was sent."""
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=SOON)) as connection:
        connection.request("GET", path)
        yield connection


def wait_until_closed(port):
    """Wait until nothing new is taken."""
    end = time.monotonic() + SOON
    with contextlib.suppress(OSError):
        while time.monotonic() < end:
            connected(port).close()
            time.sleep(0.01)
        pytest.fail("new connections are taken")


def answers(port):
    """Whether the server says that it is well."""
    with asking(port, "/health") as connection:
        answered = connection.getresponse()
        return (answered.status, answered.read()) == (200, b'{"status": "ok"}\n')


@pytest.mark.slow
class TestEnd:
    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 0)])
    def test_what_runs_is_finished(self, start, tmp_path, number, code):
        """While connections are open that wait for nothing, and one that has sent half a request."""
        process, port = start()
        with connected(port, b"GET / HTTP"), connected(port), asking(port) as running:
            wait_for(tmp_path / "asked")
            process.send_signal(number)
            wait_until_closed(port)
            (tmp_path / "go").touch()
            answered = running.getresponse()
            assert (answered.status, answered.read()) == (200, b"[]\n")
            _, err = process.communicate(timeout=SOON)
        assert process.returncode == code
        assert "GET /v1/catalogs 200 " in err
        assert not re.search("Traceback|Error|error", err)
        assert ("interrupted" in err) == (code == 130)

    @pytest.mark.parametrize(("finishing", "ending"), [(0.1, 60), (60, 0.2)])
    def test_what_hangs_does_not_hold_it(self, start, tmp_path, finishing, ending):
        """A thread, which nothing can stop: the time to finish is over, or all of it."""
        process, port = start(finishing=finishing, ending=ending)
        with asking(port) as running:
            wait_for(tmp_path / "asked")
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=SOON)
            if finishing < ending:
                answered = running.getresponse()
                assert (answered.status, answered.headers["Retry-After"]) == (503, "1")
                assert json.loads(answered.read())["error"]["message"] == "the server ends"
        assert process.returncode == 0
        assert not re.search("Traceback|Error|error", err)

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
    def test_a_second_signal_ends_it_at_once(self, start, tmp_path, number, code):
        process, port = start(ending=999, finishing=999)
        with asking(port):
            wait_for(tmp_path / "asked")
            process.send_signal(signal.SIGTERM)
            wait_until_closed(port)  # the first has arrived
            process.send_signal(number)
            process.communicate(timeout=SOON)
        assert process.returncode == code

    def test_the_time_for_it(self):
        assert server.FINISHING < server.ENDING < 5


@pytest.mark.slow
class TestStreams:
    def test_nobody_reads_on(self, start, tmp_path):
        """`attnsearch serve | head -1`: the address was read, and the server goes on."""
        process, port = start("-q")
        process.stdout.close()
        process.stdout = None
        for _ in range(2):
            assert answers(port)
        process.send_signal(signal.SIGTERM)
        assert (process.communicate(timeout=SOON)[1], process.returncode) == ("", 0)

    @pytest.mark.skipif(not FULL.exists(), reason="the system has no full disk")
    def test_the_log_is_full(self, start):
        with FULL.open("w") as full:
            process, port = start(stderr=full)
        for _ in range(2):
            assert answers(port)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SOON)
        assert process.returncode == 0

    def test_signals_that_are_ignored_stay_so(self, start):
        """`nohup attnsearch serve &`: it outlives the terminal."""
        process, port = start(command=["sh", "-c", 'trap "" HUP; exec "$@"', "sh"])
        process.send_signal(signal.SIGHUP)
        assert answers(port)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SOON)
        assert process.returncode == 0
