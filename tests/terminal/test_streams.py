"""stdout and stderr: terminals, pipes, full disks."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import threading

import pytest
from rich.cells import cell_len

from attnsearch.errors import InputError
from attnsearch.output.safe_text import WIDTH
from attnsearch.terminal import streams
from attnsearch.terminal.progress import log
from tests.conftest import SHOP_FILE, Terminal

MANY = 1 << 24  # colors


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of so many columns in the place of stdout."""

    def terminal(columns: int) -> Terminal:
        out = Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setenv("COLUMNS", str(columns))
        return out

    return terminal


def set_environment(monkeypatch, environment):
    """The variables that say what a terminal shows: these, and no others."""
    for name in ("TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "VTE_VERSION", "WT_SESSION", "FORCE_HYPERLINK", "TMUX",
                 "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLORTERM", "COLORFGBG"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


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
            ({"TERM": "screen-256color", "TERM_PROGRAM": "vscode", "TERM_PROGRAM_VERSION": "3.4"}, False),
            ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, False),
            ({"TERM": "xterm-kitty", "NO_COLOR": "1", "FORCE_HYPERLINK": "1"}, False),
            ({"TERM": "xterm-kitty", "FORCE_HYPERLINK": "0"}, False),
            ({"TERM": "xterm-256color", "FORCE_HYPERLINK": "1"}, True),
        ],
    )
    def test_on_a_terminal(self, monkeypatch, environment, shown):
        set_environment(monkeypatch, environment)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert streams.screen().links == shown

    def test_in_a_pipe(self, monkeypatch):
        set_environment(monkeypatch, {"TERM": "xterm-kitty"})
        monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
        assert not streams.screen(color="always").links
        monkeypatch.setenv("FORCE_HYPERLINK", "1")
        assert streams.screen(color="always").links
        assert not streams.screen().links


class TestColor:
    """The option first, then NO_COLOR, then FORCE_COLOR and CLICOLOR_FORCE, then the terminal."""

    @pytest.mark.parametrize(
        ("option", "variables", "is_colored"),
        [
            ([], {}, False),
            (["--color", "always"], {"NO_COLOR": "1", "TERM": "dumb"}, True),
            (["--color=never"], {"FORCE_COLOR": "1"}, False),
            (["--no-color"], {"FORCE_COLOR": "1"}, False),
            ([], {"FORCE_COLOR": "1"}, True),
            ([], {"CLICOLOR_FORCE": "1", "TERM": "dumb"}, True),
            ([], {"FORCE_COLOR": "0", "CLICOLOR_FORCE": "0"}, False),
            ([], {"FORCE_COLOR": "0", "CLICOLOR_FORCE": "1"}, False),
            ([], {"FORCE_COLOR": ""}, False),
            ([], {"FORCE_COLOR": "true"}, True),
            ([], {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
            ([], {"NO_COLOR": "", "FORCE_COLOR": "1"}, True),
        ],
    )
    def test_in_a_pipe(self, run, shop_file, monkeypatch, option, variables, is_colored):
        for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        code, out, err = run("query", "moon", "-c", "shop.yaml", *option)
        assert (code, err) == (0, "")
        assert ("\x1b[1m" in out) == is_colored

    @pytest.mark.parametrize(
        ("environment", "colors"),
        [
            ({"TERM": "xterm"}, 16),
            ({"TERM": "linux"}, 16),
            ({"TERM": "xterm-256color"}, 256),
            ({"TERM": "tmux-256color"}, 256),
            ({"TERM": "xterm-direct"}, MANY),
            ({"TERM": "xterm-kitty"}, MANY),  # which $COLORTERM would say, but ssh does not pass it on
            ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, MANY),
            ({"TERM": "xterm", "COLORTERM": "24bit"}, MANY),
            ({"TERM": "xterm-256color", "COLORTERM": "yes"}, 256),
            ({"TERM": "xterm-256color", "WT_SESSION": "1"}, MANY),
            ({"TERM": "screen", "COLORTERM": "truecolor"}, 16),
            ({"TERM": "screen-256color", "COLORTERM": "truecolor"}, 256),
            ({"TERM": "screen-256color", "COLORTERM": "truecolor", "TMUX": "/tmp/tmux-0/default,1,0"}, MANY),
            ({"TERM": "tmux-256color", "COLORTERM": "truecolor"}, MANY),
            ({}, 0),
            ({"COLORTERM": "truecolor"}, 0),
            ({"TERM": "dumb"}, 0),
            ({"TERM": "dumb", "COLORTERM": "truecolor"}, 0),
            ({"TERM": "unknown"}, 0),
            ({"TERM": "dumb", "FORCE_COLOR": "2"}, 256),
            ({"TERM": "dumb", "FORCE_COLOR": "true"}, 16),
            ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "FORCE_COLOR": "1"}, 16),
            ({"TERM": "xterm", "FORCE_COLOR": "2"}, 256),
            ({"TERM": "xterm", "FORCE_COLOR": "3"}, MANY),
            ({"TERM": "xterm-256color", "FORCE_COLOR": "true"}, 256),
            ({"TERM": "xterm-256color", "FORCE_COLOR": "4"}, 256),
            ({"TERM": "xterm-256color", "CLICOLOR_FORCE": "1"}, 256),
            ({"TERM": "xterm-256color", "FORCE_COLOR": "0"}, 0),
            ({"TERM": "xterm-256color", "FORCE_COLOR": "False"}, 0),
            ({"TERM": "xterm-256color", "NO_COLOR": "1", "FORCE_COLOR": "3"}, 0),
            ({"TERM": "xterm-256color", "NO_COLOR": ""}, 256),
        ],
    )
    def test_on_a_terminal(self, monkeypatch, environment, colors):
        set_environment(monkeypatch, environment)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert streams.screen().colors == colors
        assert streams.screen(color="never").colors == 0
        assert streams.screen(color="always").colors >= max(colors, 16)

    @pytest.mark.parametrize(
        ("environment", "colors"),
        [({}, 16), ({"TERM": "xterm-256color"}, 256), ({"TERM": "dumb", "NO_COLOR": "1"}, 16),
         ({"TERM": "xterm-256color", "COLORTERM": "truecolor", "FORCE_COLOR": "0"}, MANY)],
    )  # fmt: skip
    def test_always_in_a_pipe(self, monkeypatch, environment, colors):
        set_environment(monkeypatch, environment)
        assert streams.screen().colors == 0
        assert streams.screen(color="always").colors == streams.screen(color="always", out="x.txt").colors == colors

    @pytest.mark.parametrize(
        ("variable", "is_light"),
        [(None, False), ("15;0", False), ("0;15", True), ("0;7", True), ("0;default;15", True), ("15;default", False),
         ("7;8", False), ("", False), ("red", False)],
    )  # fmt: skip
    def test_light_backgrounds(self, monkeypatch, variable, is_light):
        set_environment(monkeypatch, {} if variable is None else {"COLORFGBG": variable})
        assert streams.screen().is_light == is_light

    def test_another_word(self, run):
        code, _, err = run("list", "--color", "red")
        assert (code, err.count("\n")) == (2, 1)
        assert "'red' is not one of 'auto', 'always', 'never'" in err

    def test_a_page_for_a_pager(self, run):
        out = run("docs", "storage", "--color", "always").out
        assert "\x1b[" in out
        assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in out.splitlines()) <= WIDTH


class TestWidth:
    @pytest.mark.parametrize(
        ("columns", "width"),
        [
            (None, 100),
            ("80", 80),
            ("200", 200),
            *((garbage, 100) for garbage in ("0", "-5", "abc", "", "9" * 5000, "²")),
        ],
    )
    def test_in_a_pipe(self, run, shop_file, monkeypatch, columns, width):
        shop_file.write_text(SHOP_FILE.replace("Up there", "many words " * 40))
        if columns is not None:
            monkeypatch.setenv("COLUMNS", columns)
            monkeypatch.setenv("LINES", columns)
        code, out, err = run("query", "moon", "-c", "shop.yaml", "-q")
        assert (code, err) == (0, "")
        assert max(map(len, out.splitlines())) == width
        assert "many words " * 39 in run("query", "moon", "-c", "shop.yaml", "-f", "md").out

    def test_no_window_is_wider_than_anyone_has(self, run, shop_file, monkeypatch):
        monkeypatch.setenv("COLUMNS", "999999999")
        assert streams.screen().width == streams.WIDEST


class TestOut:
    """`-o FILE`: whole or not at all."""

    @pytest.fixture
    def ask(self, run, shop_file):
        def ask(out: object, *options: str, text: str = "moon"):
            return run("query", text, "-c", "shop.yaml", "-f", "csv", "-o", str(out), *options)

        return ask

    def test_what_stdout_would_have(self, run, shop_file, ask, tmp_path):
        out = tmp_path / "x.csv"
        assert ask(out) == (0, "", "")
        assert out.read_text() == run("query", "moon", "-c", "shop.yaml", "-f", "csv").out
        assert ask("-").out == out.read_text()
        assert not list(tmp_path.glob(".x.csv*"))

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_nothing_stays_of_what_a_signal_ended(self, tmp_path, number):
        out = tmp_path / "x"
        out.write_text("old")

        def parts():
            yield b"new"
            signal.raise_signal(number)
            yield b"er"

        with pytest.raises(SystemExit) as ended:
            streams.emit_bytes(parts(), str(out))
        assert ended.value.code == 128 + number
        assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "old")]
        assert signal.getsignal(number) is signal.SIG_DFL

    def test_it_is_not_stdin(self, shop_file, capsys, tmp_path, monkeypatch):
        from attnsearch.cli import main

        requests = tmp_path / "requests.txt"
        requests.write_text("moon\n")
        with requests.open() as stream:
            monkeypatch.setattr(sys, "stdin", stream)
            assert main(["query", "-c", "shop.yaml", "-o", "requests.txt"]) == 2
        assert "requests.txt: is read by this command" in capsys.readouterr().err
        assert requests.read_text() == "moon\n"

    @pytest.mark.parametrize(
        "argv",
        [
            ["query", "moon", "-c", "shop"],
            ["query", "moon", "sea", "-c", "shop", "--json"],
            ["list"],
            ["list", "--json"],
            ["info", "shop"],
            ["info", "shop", "--json"],
            ["check", "shop"],
            ["check", "shop", "--json"],
            ["explain", "moon", "-c", "shop"],
            ["explain", "moon", "a", "-c", "shop", "--json"],
            ["duplicates", "shop"],
            ["eval", "judged.yaml", "-c", "shop"],
            ["eval", "judged.yaml", "-c", "shop", "--json"],
            ["train", "judged.yaml", "-c", "shop", "--dry-run"],
            ["feedback", "--list", "-c", "shop"],
            ["feedback", "--list", "-c", "shop", "--json"],
            ["docs"],
            ["docs", "storage"],
            ["index", "shop.yaml"],
        ],
        ids=" ".join,
    )
    def test_every_command(self, run, shop_file, write, tmp_path, argv):
        write("judged.yaml", "- {query: moon, relevant: [a]}\n- {query: sea, relevant: [b]}\n")
        run("index", "shop.yaml")
        run("feedback", "moon", "--good", "a", "-c", "shop")
        expected = run(*argv)
        ran = run(*argv, "-o", "out.txt")
        assert (ran.code, ran.out, ran.err) == (0, "", "")
        time = re.compile(r'"(elapsed_ms|updated|seconds)": [^,\n]+')
        assert time.sub("", (tmp_path / "out.txt").read_text()) == time.sub("", expected.out)

    def test_an_error_leaves_it_as_it_was(self, run, ask, shop_file, tmp_path):
        out = tmp_path / "x.csv"
        out.write_text("old")
        code, _, err = run("query", "-c", "shop.yaml", "-f", "csv", "-o", str(out), stdin=b"moon\n\xff\n")
        assert (code, err) == (2, "attnsearch: standard input:2: not UTF-8\n")
        assert out.read_text() == "old"
        assert list(tmp_path.glob(".x.csv*")) == []

    def test_a_report_of_damage_is_written(self, run, shop_file, home, tmp_path):
        run("index", "shop.yaml")
        (segment,) = (home / "shop" / "segments").glob("*.npy")
        segment.write_bytes(segment.read_bytes()[:-1] + b"?")
        assert run("check", "shop", "--json", "-o", "report.json").code == 3
        assert '"whole": false' in (tmp_path / "report.json").read_text()

    def test_a_link_stays(self, ask, tmp_path):
        target, link = tmp_path / "target.csv", tmp_path / "link.csv"
        target.write_text("old")
        target.chmod(0o640)
        link.symlink_to("target.csv")
        assert ask(link).code == 0
        assert link.is_symlink()
        assert target.read_text().startswith("query,rank,")
        assert target.stat().st_mode & 0o777 == 0o640
        dangling = tmp_path / "dangling.csv"
        dangling.symlink_to("new.csv")
        assert ask(dangling).code == 0
        assert (tmp_path / "new.csv").read_text() == target.read_text()

    def test_a_pipe_is_written(self, ask, tmp_path):
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        assert ask(fifo).code == 0
        assert os.read(reader, 1 << 16).startswith(b"query,rank,")
        os.close(reader)
        assert fifo.is_fifo()

    def test_a_descriptor_is_written(self, ask, tmp_path):
        """Even if it leads to a file: what that had before stays, as after `>>`."""
        out = tmp_path / "log"
        out.write_text("old\n")
        with out.open("a") as stream:
            assert ask(f"/dev/fd/{stream.fileno()}").code == 0
        assert out.read_text().startswith("old\nquery,rank,")

    @pytest.mark.parametrize(
        ("out", "message"),
        [
            ("folder", "folder: is a folder; name a file in it"),
            ("nowhere/x.csv", "nowhere: there is no such folder; create it first"),
            ("file/x.csv", "file: there is no such folder; create it first"),
            ("new/", "new/: there is no such folder; create it, and name a file in it"),
            ("dangling", "/nowhere: there is no such folder; create it first"),
            ("", "'': is a folder; name a file in it"),
            ("/dev/full", "/dev/full: can't be written: No space left on device"),
            ("/dev/fd/999", "/dev/fd/999: can't be written: Bad file descriptor"),
            ("loop", "loop: can't be written: Too many levels of symbolic links"),
            ("a\0b", r"a\x00b: is no file's name"),
            ("\ud800", r"\ud800: is no file's name"),
        ],
    )
    def test_refused(self, ask, tmp_path, out, message):
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").touch()
        (tmp_path / "loop").symlink_to("loop")
        (tmp_path / "dangling").symlink_to("/nowhere/x")
        assert ask(out) == (2, "", f"attnsearch: {message}\n")

    @pytest.mark.parametrize(
        "argv",
        [
            ["query", "moon", "-c", "shop.yaml", "-o", "shop.yaml"],
            ["query", "moon", "-c", "./shop.yaml", "-o", "link"],
            ["index", "shop.yaml", "--json", "-o", "shop.yaml"],
            ["eval", "shop.yaml", "-o", "shop.yaml"],
        ],
        ids=" ".join,
    )
    def test_it_is_not_what_the_command_reads(self, run, shop_file, tmp_path, argv):
        (tmp_path / "link").symlink_to("shop.yaml")
        code, out, err = run(*argv)
        assert (code, out) == (2, "")
        assert f"{argv[-1]}: is read by this command" in err
        assert shop_file.read_text() == SHOP_FILE

    @pytest.mark.parametrize(
        "argv",
        [
            ["query", "moon", "-c", "shop"],
            ["query", "moon", "-c", "other", "-c", "shop"],
            ["query", "moon"],
            ["explain", "moon", "-c", "shop"],
            ["show", "a", "-c", "shop"],
            ["info", "shop"],
            ["check", "other", "shop"],
            ["export", "shop"],
            ["duplicates", "shop"],
        ],
        ids=" ".join,
    )
    def test_it_is_not_what_the_catalog_was_made_from(self, run, shop_file, tmp_path, monkeypatch, argv):
        (tmp_path / "other.yaml").write_text("- title: sea\n")
        assert run("index", "shop.yaml").code == run("index", "other.yaml").code == 0
        monkeypatch.setenv("ATTNSEARCH_CATALOG", "shop")
        (tmp_path / "link").symlink_to("shop.yaml")
        for out in ("shop.yaml", "link"):
            message = f"attnsearch: {out}: the catalog 'shop' was made from it; write to another file\n"
            assert run(*argv, "-o", out) == (2, "", message)
        assert shop_file.read_text() == SHOP_FILE
        assert run(*argv, "-o", "new.yaml").code == 0

    def test_a_full_disk_is_named_even_if_the_rest_can_t_be_written(self, ask, tmp_path):
        import resource

        assert ask("x").code == 0  # and it is indexed
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, old[1]))
        try:
            with pytest.raises(InputError, match="x: can't be written: File too large"):
                streams.emit_bytes(iter([b"a" * 10, b"b" * 100_000]), "x")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        assert (tmp_path / "x").read_text().startswith("query,rank,")

    def test_it_is_not_a_catalog_s_own_file(self, run, shop_file, home, tmp_path):
        assert run("index", "shop.yaml").code == run("use", "shop").code == 0
        (home / "notes").write_text("mine")
        for file in (*(home / "shop").iterdir(), *(home / "shop" / "segments").iterdir(), home / ".default"):
            if file.is_file():
                assert run("query", "moon", "-c", "shop", "-o", file).err == (
                    f"attnsearch: {file}: belongs to a catalog; write to another file\n"
                )
        assert run("query", "moon", "-c", "shop", "-o", home / "notes").code == 0
        assert run("check", "shop").code == 0

    def test_it_is_refused_before_anything_is_done(self, run, shop_file, home):
        assert run("query", "moon", "-c", "shop.yaml", "-o", "nowhere/x").code == 2
        assert not home.exists()

    def test_it_is_utf_8_without_colors(self, run, shop_file, terminal, monkeypatch, tmp_path):
        shop_file.write_text(SHOP_FILE.replace("Up there", "Là-haut 月"))
        monkeypatch.setenv("FORCE_COLOR", "1")
        terminal(40)
        for options, is_colored in (([], False), (["--color", "always"], True)):
            run("query", "moon", "-c", "shop.yaml", "-o", "out.txt", *options)
            text = (tmp_path / "out.txt").read_text(encoding="utf-8")
            assert ("\x1b" in text) == is_colored
        monkeypatch.setenv("COLUMNS", "200")
        run("query", "moon", "-c", "shop.yaml", "-o", "out.txt")
        assert "Là-haut 月" in (tmp_path / "out.txt").read_text(encoding="utf-8")


ENCODINGS = ["ascii", "cp1252", "cp437", "latin-1", "koi8-r", "cp932", "cp037", "utf-16", "idna"]


class TestEncodings:
    """What a stream can't say, it says otherwise; it never fails."""

    @pytest.fixture
    def speak(self, shop_file, monkeypatch):
        """The command line with streams of an encoding: argv → exit code, stdout, stderr."""
        from attnsearch.cli import main

        shop_file.write_text(SHOP_FILE.replace("Up there", "Café – λ … 月 ł “q” ☃ " * 9))

        def speak(encoding: str, *argv: str, errors: str = "strict"):
            streams = [io.TextIOWrapper(io.BytesIO(), encoding, errors) for _ in range(2)]
            for name, stream in zip(("stdout", "stderr"), streams, strict=True):
                monkeypatch.setattr(sys, name, stream)
            code = main(argv)
            for stream in streams:
                stream.flush()
            return code, *(stream.buffer.getvalue().decode(stream.encoding) for stream in streams)

        return speak

    @pytest.mark.parametrize("encoding", ENCODINGS)
    @pytest.mark.parametrize(
        "argv",
        [
            ["query", "mo…on λ", "-c", "shop.yaml"],
            ["query", "moon", "-c", "shop.yaml", "-f", "md"],
            ["query", "moon", "-c", "shop.yaml", "--json"],
            ["explain", "moon", "-c", "shop.yaml"],
            ["list"],
            ["docs", "attention"],
            ["--help"],
            *([command, "--help"] for command in ("query", "index", "explain", "eval", "train", "feedback")),
        ],
        ids=" ".join,
    )
    def test_nothing_fails(self, speak, encoding, argv):
        code, out, err = speak(encoding, *argv)
        assert (code, err) == (0, "")
        assert out

    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_nor_does_an_error(self, speak, encoding):
        code, out, err = speak(encoding, "query", "moon", "-c", "λ…月")
        assert (code, out) == (3, "")
        assert err.startswith("attnsearch: there is no catalog '")

    def test_a_table_stays_one(self, speak, shop_file, monkeypatch):
        """Each cell takes as much room as before: the columns are below each other, and no line is too wide."""
        shop_file.write_text(SHOP_FILE.replace("Up there", "Café – × 月 ł “q” ☃ " * 9))
        monkeypatch.setenv("COLUMNS", "80")
        _, out, _ = speak("ascii", "query", "moon", "-c", "shop.yaml", "-q")
        _, whole, _ = speak("utf-8", "query", "moon", "-c", "shop.yaml", "-q")
        assert [len(line) for line in out.splitlines()] == [cell_len(line) for line in whole.splitlines()]
        assert "Cafe - " in out
        assert "..." in out
        assert "…" in whole

    def test_a_product_is_no_difference(self, speak):
        _, out, _ = speak("ascii", "lesson", "--step", "4")
        assert "q.k" in out
        assert "q-k" not in out
        assert " - " in speak("ascii", "query", "moon", "-c", "shop.yaml")[1].splitlines()[-1]

    def test_what_it_can_say_stays(self, speak):
        line = speak("latin-1", "query", "moon", "-c", "shop.yaml", "-f", "md")[1]
        assert 'Café - lambda ... ?? l "q" ?' in line
        assert " · " in line

    @pytest.mark.parametrize("form", ["csv", "tsv"])
    def test_values_are_never_replaced(self, speak, form):
        code, _, err = speak("latin-1", "query", "moon", "-c", "shop.yaml", "-f", form)
        assert code == 2
        assert err == (
            "attnsearch: the encoding latin-1 lacks '\\u2013', which the output has; "
            "write UTF-8 to a file: -o FILE; or set PYTHONIOENCODING=utf-8\n"
        )
        assert speak("latin-1", "query", "moon", "-c", "shop.yaml", "-f", form, "-o", "x")[0] == 0

    def test_who_names_an_error_handler_gets_it(self, speak):
        """As by PYTHONIOENCODING=ascii:xmlcharrefreplace, for any format."""
        for form in ("csv", "md"):
            code, out, _ = speak("ascii", "query", "moon", "-c", "shop.yaml", "-f", form, errors="xmlcharrefreplace")
            assert code == 0
            assert "Caf&#233;" in out


class TestProgressGoes:
    def test_what_was_announced_leaves_nothing(self, run, shop_file, monkeypatch):
        """Not even the line that all items are read once."""
        run("index", "shop.yaml")
        err = Terminal()
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setenv("TERM", "xterm")
        assert run("query", "moon", "-c", "shop", "--lexical").code == 0
        assert "reading all 3 items of shop, once" in err.getvalue()
        assert screen_of(err.getvalue()) == []

    def test_ctrl_c_leaves_one_line(self, run, shop_file, monkeypatch):
        def stop(*_args, **_options):
            log.info("reading a lot")
            raise KeyboardInterrupt

        err = Terminal()
        monkeypatch.setattr("attnsearch.opening.index.Index.open", stop)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setenv("TERM", "xterm")
        assert run("query", "moon", "-c", "shop.yaml").code == 130
        assert "reading a lot" in err.getvalue()
        assert screen_of(err.getvalue()) == ["attnsearch: interrupted; all catalogs are intact"]
        assert err.getvalue().rfind("\x1b[?25h") > err.getvalue().rfind("\x1b[?25l")

    def test_without_threads_nothing_is_drawn(self, run, shop_file, monkeypatch):
        def refuse(_thread):
            raise RuntimeError("can't start new thread")

        run("index", "shop.yaml")
        err = Terminal()
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert run("query", "moon", "-c", "shop", "--where", "title != sea").code == 0
        assert screen_of(err.getvalue()) == []


def screen_of(written: str) -> list[str]:
    """The lines that a terminal shows in the end, without blank ones."""
    lines, row = [""], 0
    for word in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if word == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif word.endswith("A") and word.startswith("\x1b"):
            row -= int(word[2:-1])
        elif word == "\x1b[2K":
            lines[row] = ""
        elif word[0] not in "\x1b\r":
            lines[row] += word
    return [line for line in lines if line.strip()]
