"""Input that means harm: refused in one line, in bounded time and memory; shown without acting on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsearch import catalog, render
from attnsearch.errors import InputError
from attnsearch.explain import Step
from attnsearch.render import FORMATS, Screen
from attnsearch.search import Hit, Result

MB = 1 << 20
TIME = 10  # seconds of the processor
MEMORY = 1024  # MiB
few = settings(max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))

# What could act on a terminal: OSC 8, OSC 52, CSI, C1, other controls, rich's markup, bidi, halves of pairs.
ATTACKS = [
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]52;c;Y3VybA==\x07",
    "\x1b[2J\x1b[31mred\x1b[0m",
    "\x9b31m\x9d52;c;eA==\x9c",
    "\r\nattnsearch: all is well\b\b\v\f\x85",
    "[bold]x[/bold] [/] [link=http://evil.example]x[/link]",
    "\u202egnp.exe\u2066\u200f\u061c\ufeff",
    "nul\x00byte\x7f",
    "half \ud800 a pair \udfff",
    "a|b `c` <script> \\| *d*",
]
TEXT = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(max_size=30),
    st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Po"]), max_size=30),
)
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def acting(text: str, *, but: str = "\n") -> set[str]:
    """The characters of an output that could do something other than be seen."""
    return {c for c in text if (unicodedata.category(c) in ("Cc", "Cs") or c in BIDI) and c not in but}


def repeated(unit: str, size: int, head: str = "", tail: str = "") -> Callable[[], Iterator[bytes]]:
    """Pieces of a file of about `size` bytes: head, unit again and again, tail."""

    def pieces() -> Iterator[bytes]:
        yield head.encode()
        some = unit.encode() * max(1, MB // len(unit.encode()))
        for _ in range(size // len(some)):
            yield some
        yield tail.encode()

    return pieces


def numbered(line: str, count: int, head: str = "", tail: str = "") -> Callable[[], Iterator[bytes]]:
    return lambda: iter([head.encode(), "".join(line.format(i) for i in range(count)).encode(), tail.encode()])


MANY = "more than 1,000,000 keys and values"
BOMB = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
# What each file is made of (a number: so many bytes on one line), and what is said of it.
FILES = {
    "bomb.yaml": (lambda: iter([BOMB.encode()]), ":7: aliases repeat too much"),
    "deep-flow.yaml": (repeated("[", 8 * MB), ":1: nested more than 64 deep"),
    "deep-flow-map.yaml": (repeated("{a: ", 8 * MB), ":1: nested more than 64 deep"),
    "deep-block.yaml": (repeated("- ", 8 * MB), ":1: nested more than 64 deep"),
    "deep-keys.yaml": (repeated("? ", 8 * MB), ":1: a key must be text"),
    "deep.json": (repeated("[", 8 * MB), MANY),
    "deep-map.json": (numbered('{{"a":', 100_000), ":1: nested more than 64 deep"),
    "deep-70.json": (numbered("", 0, '[{"title": "a", "x": ' + "[" * 70 + "]" * 70 + "}]"), "nested more than 64 deep"),
    "deep.jsonl": (repeated("[" * 400_000, 0, "[" * 400_000), ":1: nested more than 64 deep"),
    "maps.yaml": (repeated("{},\n", 4 * MB, "[", "{}]"), MANY),
    "maps.json": (repeated("{},\n", 60 * MB, "[", "{}]"), MANY),
    "numbers.json": (repeated("1,\n", 60 * MB, "[", "{}]"), MANY),
    "strings.json": (repeated('"",\n', 60 * MB, "[", "{}]"), MANY),
    "maps.jsonl": (repeated("{},", 15 * MB, '{"title":"a","x":[', "{}]}"), MANY),
    "gigabyte.jsonl": (1 << 30, ":1: a line of more than 16 MiB"),
    "gigabyte.csv": (1 << 30, ":1: a line of more than 16 MiB"),
    "gigabyte.yaml": (1 << 30, "over 64 MiB"),
    "gigabyte": (1 << 30, ":1: a line of more than 16 MiB"),
    "comments": (repeated("#\n", 100 * MB), "over 64 MiB"),
    "lines.yaml": (repeated("\n", 30 * MB), "no items"),
    "comments.yaml": (repeated("#\n", 30 * MB), "no items"),
    "open-quote.yaml": (repeated("a\n", 30 * MB, '- "'), "not YAML: found unexpected end of stream"),
    "tags.yaml": (numbered("%TAG !a{0}! b\n", 20_000), "more than 100 %TAG directives"),
    "tags-other-lines.yaml": (numbered("%TAG !a{0}! b\u2028", 20_000), "more than 100 %TAG directives"),
    "long-tag.yaml": (repeated("a", 8 * MB, "- !"), "is not one of YAML's own"),
    "long-text.yaml": (repeated("x", 30 * MB, '- {title: "', '"}'), "at most 4,000,000 are read"),
    "long-text.csv": (repeated("x", 15 * MB, "title,description\na,"), "at most 4,000,000 are read"),
    "digits.yaml": (repeated("9", 15 * MB, "- {title: a, n: ", "}"), ":1: a number of 15,728,640 digits"),
    "digits.json": (repeated("9", 15 * MB, '[{"title": "a", "n": ', "}]"), ":1: a number of 15,728,640 digits"),
    "exponent.yaml": (repeated("9", 15 * MB, "- {title: a, n: 1e", "}"), "is not a finite number"),
    "exponent.json": (repeated("9", 15 * MB, '[{"title": "a", "n": 1e', "}]"), "is not a finite number"),
    "twice.json": (numbered('"k{0}":1,', 300_000, '[{"title":"a",', '"k299999":1}]'), "the key 'k299999' is used"),
    "open-quote.csv": (repeated("x" * 63 + "\n", 300 * MB, 'title,b\na,"'), ":2: a row of more than 16 MiB; is a"),
    "open-quote-empty.csv": (repeated("\n", 100 * MB, 'title,b\na,"'), ":2: a row of more than 16 MiB"),
    "cells-in-quotes.csv": (repeated('x","\n', 100 * MB, 'title,b\na,"'), ":2: a row of more than 16 MiB"),
    "empty-lines.csv": (repeated("\n", 20 * MB, "title\n"), ":1000002: more than 1,000,000 empty lines"),
    "empty-lines.jsonl": (repeated(" \r\n", 20 * MB), ":1000001: more than 1,000,000 empty lines"),
    "columns.csv": (numbered("c{0},", 500_000, "", "z\n"), ":1: 500,001 columns; at most 10,000"),
    "cells.csv": (repeated(",", 15 * MB, "title,b\na", "\n"), ":2: 15728641 cells under 2 columns"),
    "nul.yaml": (lambda: iter([b"- title: a\0b\n"]), ":1: not YAML: control characters are not allowed"),
    "nul.jsonl": (lambda: iter([b'{"title": "a\0b"}\n']), ":1: not JSON"),
    "surrogate.yaml": (lambda: iter([b'- title: "\\ud800"\n']), ":1: not YAML"),
    "surrogate.json": (lambda: iter([b'[{"title": "\\ud800"}]']), ":1: half of a surrogate pair"),
}  # fmt: skip

# Reads each of the files named, in a process of its own that is ended when it takes too much of anything.
READ_ALL = """
import os, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from attnsearch import catalog
from attnsearch.errors import InputError
from attnsearch.render import error
for name in sys.stdin.read().split():
    began = time.process_time()
    try:
        for item in catalog.read([name]).items:
            pass
        told = "read\\n"
    except InputError as problem:
        told = error(problem)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{time.process_time() - began:.1f} {memory} {told}", end="", flush=True)
"""


def python(program: str, *argv: str, stdin: object = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    how = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    command = [sys.executable, "-c", program, *argv]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, timeout=300, check=False, **how)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_refused(name, tmp_path):
    pieces, message = FILES[name]
    path = tmp_path / name
    with path.open("wb") as file:
        if isinstance(pieces, int):
            file.truncate(pieces)  # so many zeros, which take no room on disk
        else:
            file.writelines(pieces())
    ran = python(READ_ALL, stdin=str(path).encode())
    took, memory, told = ran.stdout.decode().split(" ", 2)
    assert message in told
    assert told.count("\n") == 1
    assert len(told) < 2500
    assert float(took) < TIME
    assert int(memory) < MEMORY


class TestFiles:
    @pytest.mark.parametrize("name", ["x\udcff.yaml", "\udcff/x.yaml"])
    def test_a_name_that_is_not_utf_8(self, name, write, run, small):
        path = write(name, "- title: moon\n")
        for argv in (["index", str(path), "--name", "x"], ["query", "moon", "-c", str(path)]):
            code, out, err = run(*argv)
            assert (code, out) == (2, "")
            assert "its name is not UTF-8" in err

    def test_a_name_that_acts(self, write, run, small, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        for number, attack in enumerate(ATTACKS):
            name = f"./{number}{attack.replace('/', '').replace(chr(0), '').encode(errors='ignore').decode()}.yaml"
            write(name, "- title: moon\n")
            for argv in (["query", "moon"], ["explain", "moon"], ["info"], ["remove"]):
                code, out, err = run(*argv, *(["-c"] if argv[1:] else []), name)
                assert (code, acting(out + err)) == (0, set()), argv

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_words_of_the_command_line(self, attack, run, shop):
        attack = attack.replace("\0", "")
        for argv in (
            [attack],
            ["query", attack],
            ["query", f"--{attack}"],
            ["query", "moon", "-c", attack],
            ["query", "moon", "-f", attack],
            ["query", "moon", "-k", attack],
            ["index", attack],
            ["index", str(shop), "--name", attack],
            ["index", str(shop), "--from", attack],
            ["index", str(shop), "--model", attack],
            ["index", str(shop), "--title-field", attack],
            ["index", str(shop), "--text-field", attack],
            ["info", attack],
            ["remove", attack],
        ):
            code, out, err = run(*argv)
            assert code in (0, 2, 3, 4), argv
            assert acting(out + err) == set(), argv
            assert code == 0 or err.count("\n") == 1

    @pytest.mark.parametrize("name", ["ATTNSEARCH_CATALOG", "ATTNSEARCH_HOME", "XDG_DATA_HOME", "COLUMNS", "TERM"])
    @pytest.mark.parametrize("attack", [ATTACKS[0], ATTACKS[2], ATTACKS[6], "\udcff", "9" * 30, "../../x"])
    def test_the_environment(self, name, attack, run, shop, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv(name, attack)
        for argv in (["query", "moon"], ["list"], ["info", "shop"]):
            code, out, err = run(*argv)
            assert code in (0, 2, 3)
            assert acting(out + err) == set()


class TestStandardInput:
    def test_a_line_without_end(self, run, shop):
        code, out, err = run("query", "-c", "shop", stdin=b"x" * (64 * MB))
        assert (code, out) == (2, "")
        assert err == "attnsearch: standard input:1: a query of more than 128 KiB; write one on each line\n"
        code, _, err = run("query", "-c", "shop", stdin=b"moon\n" + b"x" * (64 * MB))
        assert (code, "standard input:2: a query of more than" in err) == (2, True)

    def test_lines_without_end_for_an_index(self, run, shop):
        code, _, err = run("index", "-", "--name", "x", stdin=b"#\n" * (40 * MB))
        assert (code, err[:35]) == (2, "attnsearch: standard input: over 64")

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_a_query(self, attack, run, shop):
        for form in FORMATS:
            code, out, err = run("query", "-c", "shop", "-f", form, stdin=attack.encode(errors="replace"))
            assert code in (0, 2)
            assert acting(out + err, but="\n\t" if form == "tsv" else "\n") == set()

    @pytest.mark.parametrize("limit", ["--min-score", "--min-weight"])
    def test_no_number(self, limit, run, shop):
        assert run("query", "moon", "-c", "shop", limit, "nan").code == 2


def a_result(text: str) -> Result:
    fields = {text: [text, {text: text}]}
    hit = Hit(1, text, text, 0.5, 0.4, 8.0, text, fields)
    return Result(text, text, text, 0.05, 3, 0, None, 2.0, 1.0, [hit, hit._replace(title="")])


@few
@given(TEXT, st.sampled_from([None, 20, 80]), st.booleans(), st.booleans())
def test_no_format_lets_through_what_acts(text, width, unicode, several):
    for form in FORMATS:
        for screen in (Screen(width=width, unicode=unicode), Screen(quiet=True)):
            out = "".join(render.render([a_result(text)], form, screen, several=several))
            assert acting(out, but="\n\t" if form == "tsv" else "\n") == set()
            if form == "json":
                told = json.loads(out)
                assert (told[0] if several else told)["hits"][0]["title"] == text  # inert, and whole


@few
@given(TEXT)
def test_nothing_else_that_is_shown_acts(text):
    problem = InputError(text, where=text, hint=text)
    step = Step("name", "formula", text, ("rank", "item"), [(1, text)])
    shown = [
        render.error(problem),
        render.error(problem, as_json=True),
        render.steps([step], Screen(width=60)),
        render.listing({"a": str}, [text]),
        render.footer(a_result(text)) + "\n",
    ]
    assert acting("".join(shown)) == set()
    assert shown[0].count("\n") == shown[1].count("\n") == shown[4].count("\n") == 1


def test_a_message_has_an_end():
    told = render.error(InputError("x" * MB, hint="y" * MB))
    assert len(told) < 3000
    assert "…; yyy" in told


@pytest.mark.parametrize("attack", ATTACKS)
def test_markup_in_what_is_said(attack, monkeypatch, capsys):
    """On a terminal, where rich would read `[/]` as markup, and fail."""
    from attnsearch.cli import terminal

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with terminal.working() as shown:
        terminal.log.info("loading the model %s", attack)
        terminal.log.warning("the model %s", attack)
        assert acting(shown.shown.renderable.plain if shown.shown else "") == set()
    assert acting(capsys.readouterr().err.replace("\x1b[?25l", "").replace("\x1b[?25h", "")) <= {"\x1b", "\r"}


@few
@given(st.binary(max_size=60) | TEXT.map(lambda text: text.encode(errors="replace")),
       st.sampled_from(["yaml", "json", "jsonl", "csv", "tsv", None]))  # fmt: skip
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, form):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        for item in catalog.read([str(path)], form=form).items:
            assert item.text
            json.dumps(item.fields, allow_nan=False).encode()
            "".join(item[:3]).encode()
