"""The boundary of the process: standard streams that are closed or full, errors that nobody expected, signals."""

from __future__ import annotations

import gc
import json
import os
import pty
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from attnsearch import cli


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line in bash, where `attnsearch` is this one."""
    script = f'attnsearch() {{ {sys.executable} -m attnsearch "$@"; }}; {line}'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)


NOWHERE = "attnsearch: the output: Bad file descriptor\n"
NOWHERE_AS_JSON = {"error": {"code": 2, "message": "the output: Bad file descriptor", "hint": ""}}


class TestClosedStreams:
    """A daemon, or cron, may start a program without standard streams."""

    @pytest.mark.parametrize(
        ("line", "code", "err"),
        [
            ("attnsearch list >&-", 2, NOWHERE),
            ("attnsearch list --json >&- <&-", 2, json.dumps(NOWHERE_AS_JSON) + "\n"),
            ("attnsearch --help >&-", 2, NOWHERE),
            (
                "attnsearch remove zzz -q >&-",
                3,
                "attnsearch: there is no catalog 'zzz'; 'attnsearch list' shows what there is\n",
            ),
            ("attnsearch query <&-", 2, "attnsearch: no query on standard input; write one on each line\n"),
            ("attnsearch query moon -c nowhere 2>&-", 3, ""),
            ("attnsearch query moon -c nowhere >&- 2>&- <&-", 3, ""),
            ("attnsearch query moon -c nowhere 2>/dev/full", 3, ""),
            ("attnsearch list >/dev/full", 2, "attnsearch: the output: No space left on device\n"),
            ("attnsearch list >/dev/full 2>/dev/full", 2, ""),
        ],
    )
    def test_no_traceback(self, line, code, err):
        ran = shell(line)
        assert (ran.returncode, ran.stdout, ran.stderr) == (code, "", err)

    def test_no_other_file_gets_their_numbers(self, monkeypatch):
        """Or what is printed would be written into it. Data can't be written; what goes to stderr is lost."""
        monkeypatch.setattr(sys, "stdout", None)
        monkeypatch.setattr(sys, "stderr", None)
        cli._open_closed_streams()
        with sys.stderr:
            sys.stderr.write("nobody reads this\n")
            assert os.fstat(sys.stdout.fileno()).st_rdev == Path(os.devnull).stat().st_rdev
        with pytest.raises(OSError, match="Bad file descriptor"), sys.stdout:
            sys.stdout.write("nor this\n")

    def test_a_warning_that_nobody_reads_ends_nothing(self, home):
        home.mkdir()
        ran = shell("attnsearch list 2>/dev/full")
        assert ran.returncode == 0
        assert "library" in ran.stdout


class Panic(BaseException):
    """What a library in another language may raise: it is no Exception."""


class TestInternalErrors:
    """Whatever is not ours is exit code 70 and one line."""

    @pytest.fixture(params=[ZeroDivisionError("division\nby zero"), Panic("unwrap"), ValueError()], ids=type)
    def problem(self, request, monkeypatch):
        def fail(*_args, **_options):
            raise request.param

        monkeypatch.setattr("attnsearch.opening.index.Index.open", fail)
        monkeypatch.delenv("ATTNSEARCH_DEBUG", raising=False)
        return request.param

    def test_it_is_one_line(self, run, problem):
        code, out, err = run("query", "moon")
        assert (code, out) == (70, "")
        assert err.startswith(f"attnsearch: internal error: {type(problem).__name__}")
        assert err.endswith("; please report it with the traceback that ATTNSEARCH_DEBUG=1 shows\n")
        assert err.count("\n") == 1

    def test_no_memory(self, run, monkeypatch):
        def fail(*_args, **_options):
            raise MemoryError

        monkeypatch.setattr("attnsearch.opening.index.Index.open", fail)
        message = "attnsearch: there is not enough memory; free some, or raise the limit of this process\n"
        assert run("query", "moon") == (70, "", message)

    def test_it_is_json_where_json_was_asked_for(self, run, problem):
        assert json.loads(run("query", "moon", "--json").err)["error"]["code"] == 70

    def test_the_traceback_is_for_those_who_ask(self, run, problem, monkeypatch):
        monkeypatch.setenv("ATTNSEARCH_DEBUG", "1")
        code, _, err = run("query", "moon")
        assert code == 70
        assert err.startswith("Traceback (most recent call last):\n")
        assert "attnsearch: internal error: " in err.splitlines()[-1]


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    @pytest.mark.parametrize("is_shown", [True, False])
    def test_the_cursor_comes_back(self, number, is_shown):
        """A live display hides it."""
        master, slave = pty.openpty()
        script = f"""
            import os, signal
            from attnsearch.terminal.progress import Working
            display = Working(quiet=False)
            display.announce("busy")
            if not {is_shown}:
                display.stop()
                assert signal.getsignal({int(number)}) is signal.SIG_DFL
            os.kill(os.getpid(), {int(number)})
        """
        argv = [sys.executable, "-c", textwrap.dedent(script)]
        with subprocess.Popen(argv, stderr=slave, env={**os.environ, "TERM": "xterm"}) as process:
            assert process.wait(60) == -number
        out = os.read(master, 1 << 16)
        os.close(master)
        os.close(slave)
        assert 0 <= out.rfind(b"\x1b[?25l") < out.rfind(b"\x1b[?25h")

    def test_nohup_still_holds(self):
        script = """
            import signal
            from attnsearch.terminal import progress, signals
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signals.replace_handler(signal.SIG_DFL, progress._show_cursor_and_die)
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGTERM) is progress._show_cursor_and_die
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)

    def test_ctrl_c_in_the_first_moments(self):
        """While the command line is imported, the signal ends the process without a word."""
        script = """
            import builtins, os, runpy, signal, sys
            signal.signal(signal.SIGINT, signal.default_int_handler)
            original = builtins.__import__
            def import_(name, *args, **options):
                if name == "attnsearch.errors":
                    os.kill(os.getpid(), signal.SIGINT)
                return original(name, *args, **options)
            builtins.__import__ = import_
            runpy.run_module("attnsearch", run_name="__main__")
        """
        argv = [sys.executable, "-c", textwrap.dedent(script)]
        ran = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (-signal.SIGINT, "")

    def test_ctrl_c_twice(self, monkeypatch):
        def interrupt(*_args):
            raise KeyboardInterrupt

        ended = []
        monkeypatch.setattr(cli, "main", interrupt)
        monkeypatch.setattr(os, "_exit", ended.append)
        monkeypatch.setattr(gc, "set_threshold", print)
        cli.run()
        assert ended == [130]
