"""`attnsearch mcp`: what it prints, and the process that a client starts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

SECONDS = 60  # of patience with a process
HELLO = {
    "jsonrpc": "2.0", "id": 0, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip
SLOW_TO_LOAD = ("torch", "fastapi", "matplotlib", "sentence_transformers")


class TestConfig:
    def test_lists_the_clients(self, run):
        ran = run("mcp", "--config")
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.splitlines()[:2] == ["claude-code     Claude Code", "claude-desktop  Claude Desktop"]

    def test_the_command_of_this_program(self, run, home):
        ran = run("mcp", "--config", "cursor", "-c", "library", "--offline")
        entry = json.loads(ran.out)["mcpServers"]["attnsearch"]
        assert os.path.isabs(entry["command"])  # noqa: PTH117 (as a client reads it)
        assert entry["args"][-4:] == ["mcp", "-c", "library", "--offline"][-4:]
        assert entry["env"] == {"ATTNSEARCH_HOME": str(home)}
        assert ran.err == "attnsearch: for Cursor: ~/.cursor/mcp.json, or .cursor/mcp.json of a project\n"
        help_ = [entry["command"], *entry["args"][:-4], "--version"]
        assert subprocess.run(help_, capture_output=True, text=True, timeout=SECONDS, check=True).stdout

    def test_writes_nothing(self, run, home, tmp_path):
        run("mcp", "--config", "codex")
        assert [path.name for path in tmp_path.rglob("*")] == []

    @pytest.mark.parametrize(
        ("argv", "says"),
        [
            (["--config", "crusor"], "there is no configuration for 'crusor'; did you mean 'cursor'?"),
            (["--url", "http://x"], "--url is for --config; attnsearch mcp --config CLIENT --url URL"),
            (["--config", "zed", "--url", "x"], "'x' is not the address of a server; such as http://127.0.0.1:8400/mcp"),
            (["--config", "zed", "--url", "http://x", "-c", "y"],
             "--url names a running server with catalogs of its own; "
             "give -c, --on and --offline to 'attnsearch serve'"),
            (["--config", "zed", "-c", "librarry"], "there is no catalog 'librarry'; did you mean 'library'?"),
        ],
    )  # fmt: skip
    def test_mistakes(self, run, argv, says):
        ran = run("mcp", *argv)
        assert (ran.out, ran.err) == ("", f"attnsearch: {says}\n")
        assert ran.code in (2, 3)


def test_without_the_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    for name in [name for name in sys.modules if name.startswith(("mcp.", "attnsearch.agents"))]:
        monkeypatch.delitem(sys.modules, name)
    ran = run("mcp")
    says = "serving needs the package mcp, which is not installed; pip install 'attnsearch[serve]'"
    assert (ran.code, ran.out, ran.err) == (2, "", f"attnsearch: {says}\n")


def test_a_file_is_not_a_catalog(run, write):
    ran = run("mcp", "-c", str(write("shop.yaml", "- {title: moon}")))
    assert ran.code == 2
    assert "is a file, not the name of a catalog" in ran.err


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """That of a process with a home in which the library is indexed."""
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "ATTNSEARCH_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "attnsearch", "query", "x", "-q"], env=environment, check=True,
                   capture_output=True, timeout=SECONDS)  # fmt: skip
    return environment


@pytest.mark.real
class TestProcess:
    @pytest.fixture
    def started(self, environment):
        """Start the process; it is ended at the end."""
        processes = []

        def start() -> subprocess.Popen[bytes]:
            command = [sys.executable, "-m", "attnsearch", "mcp"]
            pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
            processes.append(subprocess.Popen(command, env=environment, **pipes))
            return processes[-1]

        yield start
        for process in processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                pipe.close()

    def greet(self, process: subprocess.Popen[bytes]) -> None:
        process.stdin.write(json.dumps(HELLO).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "attnsearch"

    @pytest.mark.parametrize("mode", ["legacy", "auto"])
    def test_every_tool_by_a_client(self, environment, mode):
        server = StdioServerParameters(command=sys.executable, args=["-m", "attnsearch", "mcp"], env=environment)

        async def talk() -> dict[str, Any]:
            answers = {}
            async with asyncio.timeout(SECONDS), Client(server, mode=mode) as client:
                assert len((await client.list_tools()).tools) == 5
                for name, arguments in (
                    ("catalogs", {}),
                    ("search", {"query": "a planet of sand"}),
                    ("search", {"query": "how do I fix my bicycle's brakes"}),
                    ("like", {"item": "Dune"}),
                    ("get", {"ids": ["Dune"]}),
                    ("explain", {"query": "a planet of sand", "item": "Dune"}),
                ):
                    result = await client.call_tool(name, arguments)
                    assert not result.is_error, result.content
                    answers[f"{name} {arguments.get('query', '')}"] = result.structured_content
            return answers

        answers = asyncio.run(talk())
        assert answers["search a planet of sand"]["hits"][0]["title"] == "Dune"
        assert "note" not in answers["search a planet of sand"]
        nothing = answers["search how do I fix my bicycle's brakes"]
        assert nothing["none_of_these"] > 0.5
        assert nothing["note"].startswith("Nothing in this catalog fits")
        assert answers["explain a planet of sand"]["query_words"][0]["part"] == "sand"

    def test_ends_with_its_input(self, started):
        process = started()
        self.greet(process)
        out, err = process.communicate(timeout=SECONDS)
        assert (process.returncode, out, err) == (0, b"", b"")

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_ends_at_a_signal_without_a_traceback(self, started, number):
        process = started()
        self.greet(process)
        process.send_signal(number)
        process.wait(timeout=SECONDS)
        assert process.returncode in (128 + number, -number)
        assert b"Traceback" not in process.stderr.read()

    def test_what_a_library_prints_is_no_message(self, environment):
        code = (
            "import sys; from attnsearch.agents import server; from attnsearch.cli import main\n"
            "real = server._instructions\n"
            "def chatty(catalogs):\n"
            "    print('hello')\n"
            "    return real(catalogs)\n"
            "server._instructions = chatty\n"
            "main(['mcp'])"
        )
        ran = self.talk(code, environment)
        assert [json.loads(line)["id"] for line in ran.stdout.splitlines()] == [0]
        assert ran.stderr == b"hello\n"

    def test_greets_without_what_is_slow_to_load(self, environment):
        code = (
            "import sys; from attnsearch.cli import main; code = main(['mcp']);"
            "print(code, *sorted(sys.modules), file=sys.stderr)"
        )
        code_, *modules = self.talk(code, environment).stderr.decode().split()
        assert code_ == "0"
        assert "mcp" in modules
        assert not {*SLOW_TO_LOAD} & {*modules}

    def talk(self, code: str, environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
        """Run Python with a greeting as its input."""
        lines = json.dumps(HELLO).encode() + b"\n"
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, input=lines, capture_output=True, timeout=SECONDS, check=True)
