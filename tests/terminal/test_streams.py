"""stdout and stderr: terminals, pipes, full disks."""

from __future__ import annotations

import io
import os
import sys

import pytest

from attnsearch.terminal import streams
from tests.conftest import SHOP_FILE


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of so many columns in the place of stdout."""

    def terminal(columns: int) -> Terminal:
        out = Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setenv("COLUMNS", str(columns))
        return out

    return terminal


class TestTerminal:
    def test_color(self, run, shop_file, terminal, monkeypatch):
        monkeypatch.setenv("TERM", "xterm")
        out = terminal(100)
        run("query", "moon", "-c", "shop.yaml")
        assert "\x1b[1m" in out.getvalue()

    @pytest.mark.parametrize(("variable", "value", "options"), [("NO_COLOR", "1", []), ("TERM", "dumb", []),
                                                                ("X", "", ["--color", "never"])])  # fmt: skip
    def test_no_color(self, run, shop_file, terminal, monkeypatch, variable, value, options):
        monkeypatch.setenv(variable, value)
        out = terminal(100)
        run("query", "moon", "-c", "shop.yaml", *options)
        assert "\x1b" not in out.getvalue()
        assert "moon" in out.getvalue()

    @pytest.mark.parametrize("columns", [30, 40, 60, 80, 200])
    def test_no_line_is_wider_than_the_window(self, run, shop_file, terminal, columns):
        shop_file.write_text(SHOP_FILE.replace("Up there", "many words " * 40))
        out = terminal(columns)
        run("query", "moon", "-c", "shop.yaml", "--color", "never", "-q")
        lines = out.getvalue().splitlines()
        assert len(lines) == 4
        assert all(len(line) <= columns for line in lines)

    @pytest.mark.parametrize(("command", "word"), [("query", "attention"), ("explain", "temperature")])
    def test_sentences_are_broken_between_words(self, run, shop_file, terminal, command, word):
        out = terminal(40)
        run(command, "moon", "-c", "shop.yaml", "--color", "never")
        assert all(len(line) <= 40 for line in out.getvalue().splitlines())
        assert word in out.getvalue().split()

    def test_progress_is_shown_and_taken_away(self, run, shop_file, monkeypatch):
        err = Terminal()
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setattr("attnsearch.terminal.progress.SOON", 0)
        monkeypatch.setenv("TERM", "xterm")
        out = run("index", "shop.yaml").out
        assert out.startswith("shop: 3 items")
        assert "embedding" in err.getvalue()
        assert "3/3" in err.getvalue()
        assert err.getvalue().endswith("\x1b[2K")

    def test_no_progress_where_it_is_not_wanted(self, run, shop_file, monkeypatch):
        monkeypatch.setattr("attnsearch.terminal.progress.SOON", 0)
        assert run("index", "shop.yaml").err == ""
        err = Terminal()
        monkeypatch.setattr(sys, "stderr", err)
        run("index", "shop.yaml", "-q", "--name", "again")
        assert err.getvalue() == ""

    def test_a_terminal_on_stdin_is_not_read(self, run, shop_file, monkeypatch):
        class Keyboard(io.TextIOWrapper):
            def isatty(self):
                return True

        from attnsearch.cli import main

        monkeypatch.setattr(sys, "stdin", Keyboard(io.BytesIO(b"")))
        assert main(["query", "-c", "shop.yaml"]) == 2


def test_a_closed_pipe_ends_quietly(shop_file, monkeypatch, capfd):
    from attnsearch.cli import main

    read, wrote = os.pipe()
    os.close(read)
    pipe = os.fdopen(wrote, "w")
    monkeypatch.setattr(sys, "stdout", pipe)
    assert main(["query", "moon", "-c", "shop.yaml"]) == 0
    pipe.close()  # its descriptor now leads to /dev/null
    assert capfd.readouterr().err == ""


def test_a_full_disk_behind_stdout(shop_file, monkeypatch, capfd):
    from attnsearch.cli import main

    full = open("/dev/full", "w")  # noqa: PTH123, SIM115
    monkeypatch.setattr(sys, "stdout", full)
    assert main(["query", "moon", "-c", "shop.yaml"]) == 2
    os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    full.close()
    assert capfd.readouterr().err == "attnsearch: the output: No space left on device\n"


class TestLinks:
    """Which terminals get hyperlinks."""

    @pytest.mark.parametrize(
        ("environment", "shown"),
        [
            ({"TERM": "xterm-256color"}, False),
            ({"TERM": "xterm-256color", "VTE_VERSION": "6003"}, True),
            ({"TERM": "xterm-256color", "VTE_VERSION": "5000"}, False),
            ({"TERM": "xterm-256color", "VTE_VERSION": "new"}, False),
            ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, True),
            ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, False),
            ({"TERM": "xterm-256color", "WT_SESSION": "1"}, True),
            ({"TERM": "xterm-kitty"}, True),
            ({"TERM": "linux", "VTE_VERSION": "6003"}, False),
            ({"TERM": "dumb", "VTE_VERSION": "6003"}, False),
            ({"VTE_VERSION": "6003"}, False),
            ({"TERM": "tmux-256color", "VTE_VERSION": "6003"}, False),
            ({"TERM": "tmux-256color", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.3a"}, False),
            ({"TERM": "screen-256color", "TERM_PROGRAM": "tmux", "TERM_PROGRAM_VERSION": "3.4"}, True),
            ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, False),
            ({"TERM": "xterm-kitty", "NO_COLOR": "1", "FORCE_HYPERLINK": "1"}, False),
            ({"TERM": "xterm-kitty", "FORCE_HYPERLINK": "0"}, False),
            ({"TERM": "xterm-256color", "FORCE_HYPERLINK": "1"}, True),
        ],
    )
    def test_on_a_terminal(self, monkeypatch, environment, shown):
        self.set(monkeypatch, environment)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert streams.screen().links == shown

    def test_in_a_pipe(self, monkeypatch):
        self.set(monkeypatch, {"TERM": "xterm-kitty"})
        monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
        assert not streams.screen(color="always").links
        monkeypatch.setenv("FORCE_HYPERLINK", "1")
        assert streams.screen(color="always").links
        assert not streams.screen().links

    @staticmethod
    def set(monkeypatch, environment):
        for name in ("TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "VTE_VERSION", "WT_SESSION", "FORCE_HYPERLINK",
                     "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):  # fmt: skip
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
