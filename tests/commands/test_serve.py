"""`attnsearch serve`: its options, and what it says before it serves."""

from __future__ import annotations

import errno
import os
import re
import sys
import threading
import webbrowser
from pathlib import Path

import pytest

import attnsearch.serve
from attnsearch.errors import CatalogError
from attnsearch.serve import server
from attnsearch.terminal import progress

URL = r"http://127\.0\.0\.1:\d+/"


class Served:
    """What the command asked to be served."""

    def __call__(self, catalogs, sockets, access, *, ready, log, log_queries):
        self.names, self.access, self.log_queries = catalogs.names(), access, log_queries
        for listener in sockets:
            listener.close()
        ready()
        log("a line \x1b[31m")


@pytest.fixture
def served(monkeypatch):
    """A server that ends as soon as it answers."""
    served = Served()
    monkeypatch.setattr(server, "serve", served)
    return served


@pytest.fixture
def serve(run, served):
    """The command, at a free port."""
    return lambda *argv: run("serve", "--port", "0", *argv)


def test_the_address_is_on_stdout_and_all_else_on_stderr(serve, served, shop):
    ran = serve()
    assert ran.code == 0
    assert re.fullmatch(rf"{URL}\n", ran.out)
    assert ran.err == "attnsearch: serving shop; Ctrl-C ends it\na line \\x1b[31m\n"
    assert (served.access.token, served.log_queries) == (None, False)


def test_quiet(serve, shop):
    ran = serve("-q")
    assert (ran.code, ran.err) == (0, "")
    assert re.fullmatch(rf"{URL}\n", ran.out)


def test_log_queries(serve, served, shop):
    serve("--log-queries")
    assert served.log_queries


class TestCatalogs:
    def test_some(self, serve, served, shop, run, write):
        run("index", write("other.yaml", "- title: sea\n"))
        serve("-c", "other", "-c", "shop")
        assert served.names == ["other", "shop"]

    def test_a_built_in_one(self, serve, served):
        serve("-c", "library")
        assert served.names == ["library"]

    def test_a_file(self, serve, write, shop):
        """It would be read anew whenever it changes, and has a path, which nobody may name over HTTP."""
        new = write("new file.yaml", "- title: moon\n")
        for path, hint in ((new, "makes a catalog of it, and says its name\n"), (shop, "its catalog is 'shop'\n")):
            ran = serve("-c", path)
            assert (ran.code, ran.out) == (2, "")
            assert "is a file, not the name of a catalog; " in ran.err
            assert ran.err.endswith(hint)
            assert len(ran.err.splitlines()) == 1

    def test_a_home_that_cannot_be_read(self, serve, monkeypatch):
        def refuse(folder):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "iterdir", refuse)
        ran = serve()
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (3, "", 1)

    def test_none(self, serve, shop):
        ran = serve("-c", "shpo")
        assert (ran.code, ran.err) == (3, "attnsearch: there is no catalog 'shpo'; did you mean 'shop'?\n")


class TestCluster:
    @pytest.fixture
    def links(self, monkeypatch):
        """The addresses of the clusters that were opened, and what happened to each."""
        from attnsearch.opening import remote

        links = []

        class SharedCluster:
            def __init__(self, address, *, deadline):
                links.append((address, "opened"))
                if address == "tcp://127.0.0.1:1":
                    raise CatalogError("no Dask scheduler answers", where=address)

            def close(self):
                links.append(("", "closed"))

        monkeypatch.setattr(remote, "SharedCluster", SharedCluster)
        return links

    def test_one_for_all(self, serve, served, shop, links, monkeypatch):
        serve("--on", "local:2")
        monkeypatch.setenv("ATTNSEARCH_ON", "local:3")
        serve()
        assert links == [("local:2", "opened"), ("", "closed"), ("local:3", "opened"), ("", "closed")]

    def test_none_answers(self, serve, served, shop, links):
        ran = serve("--on", "tcp://127.0.0.1:1")
        assert (ran.code, ran.out) == (3, "")
        assert ran.err == "attnsearch: tcp://127.0.0.1:1: no Dask scheduler answers\n"

    def test_no_address(self, serve, served, shop):
        ran = serve("--on", "somewhere")
        assert (ran.code, ran.out) == (2, "")
        assert "invalid address of a cluster 'somewhere'" in ran.err


class TestToken:
    """Without one, only this machine may ask."""

    @pytest.mark.parametrize("argv", [["--host", "0.0.0.0"], ["--url", "https://example.org/books/"], ["--host", "::"]])
    def test_it_is_made(self, serve, served, shop, argv):
        ran = serve(*argv)
        address = r"https://example\.org/books/" if "--url" in argv else r"http://[\d.]+:\d+/"
        link = re.fullmatch(rf"({address})#token=([\w-]{{32}})\n", ran.out)
        assert link[2] == served.access.token
        assert "every request needs the token" in ran.err
        assert link[2] not in ran.err
        assert serve(*argv).out != ran.out

    @pytest.mark.parametrize(
        "argv",
        [
            [],
            ["--host", "localhost"],
            ["--host", "127.0.0.2"],
            ["--host", "::1"],
            ["--url", "http://localhost:9000/x/"],
        ],
    )
    def test_it_is_not_needed(self, serve, served, shop, argv):
        ran = serve(*argv)
        if ran.code == 0:  # a system without IPv6 has no ::1
            assert served.access.token is None
            assert "#" not in ran.out

    @pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
    def test_one_of_yours_is_not_printed(self, serve, served, shop, host):
        ran = serve("--host", host, "--token", "0123456789abcdef")
        assert served.access.token == "0123456789abcdef"
        assert "0123456789abcdef" not in ran.out + ran.err
        assert "token" not in ran.out + ran.err

    def test_from_the_environment(self, serve, served, shop, monkeypatch):
        monkeypatch.setenv("ATTNSEARCH_SERVE_TOKEN", "0123456789abcdef")
        serve()
        assert served.access.token == "0123456789abcdef"

    def test_too_short(self, serve, monkeypatch):
        ran = serve("--token", "hunter2")
        assert ran.code == 2
        assert ran.err.startswith("attnsearch: --token needs at least 16 characters")
        monkeypatch.setenv("ATTNSEARCH_SERVE_TOKEN", "hunter2")
        assert "ATTNSEARCH_SERVE_TOKEN" in serve().err
        assert "hunter2" not in serve().err


class TestAddress:
    def test_a_port_in_use(self, run, served):
        (listener,) = server.listen("127.0.0.1", 0)
        with listener:
            port = listener.getsockname()[1]
            ran = run("serve", "--port", str(port))
        assert ran.code == 2
        assert re.fullmatch(rf"attnsearch: port {port} is in use; take another: --port \d+\n", ran.err)

    @pytest.mark.parametrize(
        "argv", [["--port", "65536"], ["--port", "x"], ["--host", "a b"], ["--url", "example.org"]]
    )
    def test_what_is_none(self, run, served, argv):
        ran = run("serve", *argv)
        assert (ran.code, len(ran.err.splitlines())) == (2, 1)

    def test_another_machines(self, run, served):
        ran = run("serve", "--host", "192.0.2.1")
        assert (ran.code, ran.err) == (2, "attnsearch: 192.0.2.1 is not an address of this machine; "
                                          "take an address of this machine, or 0.0.0.0 for all\n")  # fmt: skip


def test_open(serve, shop, monkeypatch):
    """Without the token: other users of the machine see a browser's command line."""
    opened, done = [], threading.Event()
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or done.set() or True)
    ran = serve("--open", "--token", "0123456789abcdef")
    assert done.wait(30)
    assert [f"{url}\n" for url in opened] == [ran.out]


@pytest.mark.parametrize("name", ["uvicorn", "fastapi", "pydantic", "starlette"])
def test_without_the_extra(run, monkeypatch, name):
    for module in [
        module for module in sys.modules if module.startswith(("attnsearch.serve.", "attnsearch.wire.", name))
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr(attnsearch.serve, "server", raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    ran = run("serve")
    assert ran.code == 2
    assert re.fullmatch(
        rf"attnsearch: serving needs the package {name}[\w.]*, which is not installed; "
        r"pip install 'attnsearch\[serve\]'\n",
        ran.err,
    )


class TestLines:
    """The log on stderr."""

    def test_whoever_writes_never_waits(self, monkeypatch):
        """`attnsearch serve 2>&1 | less`: nobody reads on, and what is answered must not depend on it."""
        go = threading.Event()

        written = []

        class Stuck:
            def write(self, text):
                go.wait(30)
                written.append(text)

            def flush(self):
                pass

        monkeypatch.setattr(sys, "stderr", Stuck())
        monkeypatch.setattr(progress, "MOST_LINES", 3)
        lines = progress.Lines(quiet=False)
        for number in range(99):
            lines.write(f"line {number}")
        assert written == []
        go.set()
        lines._writer.join(0.05)
        lines.close()
        lines._writer.join(30)
        assert written[0] == "line 0\n"
        assert 3 <= len(written) <= 5

    def test_a_reader_that_has_gone(self, monkeypatch):
        tries = []

        class Gone:
            def write(self, text):
                tries.append(text)
                raise BrokenPipeError

        monkeypatch.setattr(sys, "stderr", Gone())
        lines = progress.Lines(quiet=False)
        lines.write("a")
        lines.write("b")
        lines.close()
        assert tries == ["a\n", "b\n"]

    def test_a_stream_that_is_silenced(self, monkeypatch, tmp_path):
        """While a model is loaded, the descriptor of stderr leads nowhere."""
        with (tmp_path / "log").open("w") as stream, Path(os.devnull).open("w") as nowhere:
            monkeypatch.setattr(sys, "stderr", stream)
            lines = progress.Lines(quiet=False)
            os.dup2(nowhere.fileno(), stream.fileno())
            lines.write("a")
            lines.close()
            lines._writer.join(30)
        assert (tmp_path / "log").read_text() == "a\n"
