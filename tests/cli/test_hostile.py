"""Input that means harm: refused in one line, in bounded time and memory; shown without acting on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsearch.encoding import encoder, fast, loading, trial
from attnsearch.errors import InputError, ModelError
from attnsearch.explanation.steps import Step
from attnsearch.networks import coverage, weights
from attnsearch.output import formats, notes, safe_text, table
from attnsearch.output.safe_text import FORMATS, Screen
from attnsearch.pictures.walkthrough import walkthrough
from attnsearch.sources import items
from attnsearch.storage import home
from attnsearch.syntax.formats import Reading
from tests.encoding.tiny import CONFIG, bert
from tests.fuzz.targets import a_result, acting

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


def joined(text: str) -> str:
    """The text with the halves of each surrogate pair as the one character that they are, as in any JSON."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


TEXT = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(max_size=30),
    st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Po"]), max_size=30),
).map(joined)


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
    "gigabyte.jsonl": (1 << 30, ":1: has a NUL byte"),
    "gigabyte.csv": (1 << 30, ":1: has a NUL byte"),
    "gigabyte.yaml": (1 << 30, ":1: has a NUL byte"),
    "gigabyte": (1 << 30, ":1: has a NUL byte"),
    "long-line.jsonl": (repeated("x", 100 * MB), ":1: a line of more than 16 MiB"),
    "long-line.csv": (repeated("x", 100 * MB), ":1: a line of more than 16 MiB"),
    "long.yaml": (repeated("x", 100 * MB), "over 64 MiB"),
    "long-line": (repeated("x", 100 * MB), ":1: a line of more than 64 MiB"),
    "comments": (repeated("#\n", 100 * MB), "over 64 MiB"),
    "lines.yaml": (repeated("\n", 30 * MB), "no items"),
    "comments.yaml": (repeated("#\n", 30 * MB), "no items"),
    "open-quote.yaml": (repeated("a\n", 30 * MB, '- "'), "not YAML: found unexpected end of stream"),
    "tags.yaml": (numbered("%TAG !a{0}! b\n", 20_000), "more than 100 %TAG directives"),
    "tags-other-lines.yaml": (numbered("%TAG !a{0}! b\u2028", 20_000), "more than 100 %TAG directives"),
    "long-tag.yaml": (repeated("a", 8 * MB, "- !"), "is not one of YAML's own"),
    "long-text.yaml": (repeated("x", 30 * MB, '- {title: "', '"}'), "at most 4,000,000 are allowed"),
    "long-text.csv": (repeated("x", 15 * MB, "title,description\na,"), "at most 4,000,000 are allowed"),
    "digits.yaml": (repeated("9", 15 * MB, "- {title: a, n: ", "}"), ":1: a number of 15,728,640 digits"),
    "digits.json": (repeated("9", 15 * MB, '[{"title": "a", "n": ', "}]"), ":1: a number of 15,728,640 digits"),
    "exponent.yaml": (repeated("9", 15 * MB, "- {title: a, n: 1e", "}"), "is not a finite number"),
    "exponent.json": (repeated("9", 15 * MB, '[{"title": "a", "n": 1e', "}]"), "is not a finite number"),
    "twice.json": (numbered('"k{0}":1,', 300_000, '[{"title":"a",', '"k299999":1}]'), "the key 'k299999' is used"),
    "open-quote.csv": (repeated("x" * 63 + "\n", 300 * MB, 'title,b\na,"'), ":2: a row of more than 16 MiB; is a"),
    "open-quote-empty.csv": (repeated("\n", 100 * MB, 'title,b\na,"'), ":2: a row of more than 16 MiB"),
    "cells-in-quotes.csv": (repeated('x","\n', 100 * MB, 'title,b\na,"'), ":2: a row of more than 16 MiB"),
    "empty-lines.csv": (repeated("\n", 20 * MB, "title\n"), "more than 1,000,000 empty lines"),
    "empty-lines.jsonl": (repeated(" \r\n", 20 * MB), "more than 1,000,000 empty lines"),
    "columns.csv": (numbered("c{0},", 500_000, "", "z\n"), ":1: 500,001 columns; at most 10,000"),
    "cells.csv": (repeated(",", 15 * MB, "title,b\na", "\n"), ":2: 15728641 cells under 2 columns"),
    "nul.yaml": (lambda: iter([b"- title: a\0b\n"]), ":1: has a NUL byte"),
    "nul.jsonl": (lambda: iter([b'{"title": "a\0b"}\n']), ":1: has a NUL byte"),
    "surrogate.yaml": (lambda: iter([b'- title: "\\ud800"\n']), ":1: not YAML"),
    "surrogate.json": (lambda: iter([b'[{"title": "\\ud800"}]']), ":1: half of a surrogate pair"),
}  # fmt: skip

# Reads file after file, in a process of its own that can't have more memory than is good.
READER = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from attnsearch.sources import items
from attnsearch.errors import InputError
from attnsearch.output.safe_text import error
for name in sys.stdin:
    began = time.process_time()
    text = "read\\n"
    try:
        for item in items.read_items([name.strip()]).items:
            pass
    except InputError as problem:
        text = error(problem)
    # Not what getrusage says, which includes what the process had that started this one.
    memory = next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(f"{time.process_time() - began:.1f} {memory} {text}", end="", flush=True)
"""


@pytest.fixture(scope="module")
def reader():
    """A path → seconds of the processor, MiB at most until now, and what was said."""
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not say how much memory a process had")
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", READER], stdin=pipe, stdout=pipe, text=True) as process:

        def read(path: Path) -> tuple[float, int, str]:
            print(path, file=process.stdin, flush=True)
            took, memory, text = process.stdout.readline().split(" ", 2)
            return float(took), int(memory), text

        yield read
        process.stdin.close()


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_refused(name, tmp_path, reader):
    pieces, message = FILES[name]
    path = tmp_path / name
    with path.open("wb") as file:
        if isinstance(pieces, int):
            file.truncate(pieces)  # so many zeros, which take no room on disk
        else:
            file.writelines(pieces())
    took, memory, text = reader(path)
    path.unlink()
    assert message in text
    assert len(text) < 2500
    assert took < TIME
    assert memory < MEMORY


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


def test_a_folder_in_the_home_that_acts(home, shop, run):
    from attnsearch.terminal.completion import complete_catalog

    for attack in ATTACKS[:4]:
        folder = home / attack.replace("/", "")
        shutil.copytree(home / "shop", folder)
        assert folder.name not in complete_catalog("")
    assert "shop" in complete_catalog("")
    code, out, err = run("list")
    assert (code, acting(out + err)) == (0, set())


class TestStandardInput:
    def test_a_line_without_end(self, run, shop):
        code, out, err = run("query", "-c", "shop", stdin=b"x" * (64 * MB))
        assert (code, out) == (2, "")
        assert err == "attnsearch: standard input:1: the query is longer than 128 KiB; write one on each line\n"
        code, _, err = run("query", "-c", "shop", stdin=b"moon\n" + b"x" * (64 * MB))
        assert (code, "standard input:2: the query is longer than" in err) == (2, True)

    def test_no_more_than_a_line_is_held(self, run, shop, monkeypatch):
        from attnsearch.terminal import requests

        class Endless(io.BytesIO):
            def read1(self, size=-1):
                assert 0 < size <= MB
                return b"x" * size

        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Endless()))
        with pytest.raises(InputError, match="longer than 128 KiB"):
            list(requests.read_batches(["-"]))

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


@few
@given(TEXT, st.sampled_from([None, 20, 80]), st.booleans(), st.booleans())
def test_no_format_lets_through_what_acts(text, width, unicode, several):
    for form in FORMATS:
        for screen in (Screen(width=width, unicode=unicode), Screen(quiet=True)):
            out = "".join(formats.render([a_result(text)], form, screen, several=several))
            assert acting(out, but="\n\t" if form == "tsv" else "\n") == set()
            if form == "json":
                answer = json.loads(out)
                assert (answer[0] if several else answer)["hits"][0]["title"] == text  # inert, and whole


@few
@given(TEXT)
def test_nothing_else_that_is_shown_acts(text):
    problem = InputError(text, where=text, hint=text)
    step = Step("name", text, text, ("rank", text), [(1, text)], [(None, text)], {"Q": (1, 2)}, text)
    shown = [
        safe_text.error(problem),
        safe_text.error(problem, as_json=True),
        walkthrough([step], Screen(width=60)),
        table.listing(["a"], [[text]]),
        notes.footer(a_result(text)) + "\n",
    ]
    assert acting("".join(shown)) == set()
    assert shown[0].count("\n") == shown[1].count("\n") == shown[4].count("\n") == 1


def test_a_message_has_an_end():
    text = safe_text.error(InputError("x" * MB, hint="y" * MB))
    assert len(text) < 3000
    assert "…; yyy" in text


@pytest.mark.parametrize("attack", ATTACKS)
def test_markup_in_what_is_said(attack, monkeypatch, capsys):
    """On a terminal, where rich would read `[/]` as markup, and fail."""
    from attnsearch.terminal import progress

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with progress.working() as working:
        progress.log.info("loading the model %s", attack)
        progress.log.warning("the model %s", attack)
        assert acting(working.display.renderable.plain if working.display else "") == set()
    assert acting(capsys.readouterr().err.replace("\x1b[?25l", "").replace("\x1b[?25h", "")) <= {"\x1b", "\r"}


@few
@given(st.binary(max_size=60) | TEXT.map(lambda text: text.encode(errors="replace")),
       st.sampled_from(["yaml", "json", "jsonl", "csv", "tsv", None]))  # fmt: skip
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, form):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        for item in items.read_items([str(path)], reading=Reading(form)).items:
            assert item.text
            json.dumps(item.fields, allow_nan=False).encode()
            "".join(item[:3]).encode()


class TestModel:
    """A folder with a model that is damaged, or made to harm: exit 4 and one line."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch) -> Path:
        """A model that gets past its trial: what this process itself refuses is the question here."""
        monkeypatch.setattr(trial, "try_out", lambda *_, **options: None)
        return bert(tmp_path / "model")

    def refused(self, folder, run, write) -> str:
        code, out, err = run("index", write("x.yaml", "- title: moon\n"), "--model", folder)
        assert (code, out, err.count("\n")) == (4, "", 1), err
        assert acting(err) == set()
        return err

    def test_as_it_is(self, folder, run, write):
        assert isinstance(loading.load(str(folder)), fast.FastEncoder)
        assert run("index", write("x.yaml", "- title: moon\n"), "--model", folder).code == 0

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *((name, value) for name in ("hidden_size", "vocab_size", "intermediate_size", "num_hidden_layers")
              for value in (0, -1, 10**30, 1.5, True, "4", None, [4])),
            ("num_attention_heads", 0), ("num_attention_heads", 3), ("num_attention_heads", "2"),
            ("type_vocab_size", 0), ("max_position_embeddings", 10**18),
            ("layer_norm_eps", "x"), ("layer_norm_eps", float("nan")), ("layer_norm_eps", None),
        ],
    )  # fmt: skip
    def test_a_configuration_that_lies(self, name, value, folder, run, write):
        (folder / "config.json").write_text(json.dumps({**CONFIG, name: value}))
        self.refused(folder, run, write)

    @pytest.mark.parametrize("file", ["config.json", "modules.json"])
    @pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"[" * 100_000, b"\xff\xfe"])
    def test_a_file_that_the_fast_path_can_not_read(self, file, content, folder):
        (folder / file).write_bytes(content)
        assert coverage.coverage_of(folder) is None

    @pytest.mark.parametrize("window", [-5, 0.5, 1, 2, "x", True, [7]])
    def test_a_window_that_can_not_be(self, window, folder):
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": window}))
        assert coverage.coverage_of(folder) is None

    @pytest.mark.parametrize(
        "content",
        [
            *(b"", b"[]", b"null", b"{", b"[" * 100_000, b"\xff\xfe", b'{"prompts": null}', b'{"prompts": []}'),
            *(b'{"prompts": "query: "}', b'{"prompts": {"query": 1}}', b'{"prompts": {"query": ["query: "]}}'),
            *(b'{"prompts": {"query": "\\ud800"}}', b'{"default_prompt_name": "a"}', b'{"default_prompt_name": []}'),
        ],
    )
    def test_prompts_that_are_none(self, content, folder, run, write):
        (folder / "config_sentence_transformers.json").write_bytes(content)
        assert "config_sentence_transformers.json: " in self.refused(folder, run, write)

    @pytest.mark.slow
    def test_whatever_sentence_transformers_raises(self, folder, run, write):
        (folder / "1_Pooling" / "config.json").write_text('{"embedding_dimension": 8, "pooling_mode": "sideways"}')
        assert "can't be loaded as a sentence-transformers model" in self.refused(folder, run, write)

    @pytest.mark.parametrize(
        "content", [b"", b"[]", b"{}", b"[" * 100_000, b"\xff", b'{"model": {"type": "WordLevel"}}']
    )
    def test_a_tokenizer_that_is_none(self, content, folder, run, write):
        (folder / "tokenizer.json").write_bytes(content)
        assert "its tokenizer.json can't be read" in self.refused(folder, run, write)

    @pytest.mark.parametrize("field", ["ids", "marks", "positions"])
    def test_a_tokenizer_of_another_model(self, field, folder, run, write):
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        if field == "ids":
            tokenizer["model"]["vocab"]["moon"] = CONFIG["vocab_size"]
        elif field == "positions":
            tokenizer["post_processor"]["single"] *= 9
        else:
            split = {"type": "Split", "pattern": {"Regex": ".+"}, "behavior": "Removed", "invert": False}
            tokenizer.update(post_processor=None, pre_tokenizer=split)
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
        assert "its tokenizer does not fit its weights" in self.refused(folder, run, write)

    @pytest.mark.parametrize("content", [b"", b"x" * 1000, struct.pack("<Q", 1 << 62) + b"{}"])
    def test_weights_that_are_none(self, content, folder, run, write):
        (folder / "model.safetensors").write_bytes(content)
        assert "is not a complete safetensors file" in self.refused(folder, run, write)

    @pytest.mark.parametrize("other", ["folder", "loop"])
    def test_weights_that_are_no_file(self, other, folder, run, write):
        file = folder / "model.safetensors"
        file.unlink()
        file.mkdir() if other == "folder" else file.symlink_to(file.name)
        problem = "no weights" if other == "folder" else "can't be read: Too many levels of symbolic links"
        assert problem in self.refused(folder, run, write)

    def test_weights_that_end_early(self, folder, run, write):
        file = folder / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-1])
        assert "is not a complete safetensors file" in self.refused(folder, run, write)

    def test_a_name_that_is_not_utf_8(self, folder, run, write):
        other = folder.rename(folder.with_name("model\udcff"))
        assert "its name is not UTF-8" in self.refused(other, run, write)


A = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "header",
    [
        {"a": A, "b": {**A, "data_offsets": [4, 12]}},
        {"a": A, "b": {**A, "data_offsets": [0, 8]}},
        {"b": {**A, "data_offsets": [4, 12]}},
        {"a": A},
        {"a": A, "b": {**A, "data_offsets": [8, 1 << 70], "shape": [1 << 68]}},
        {"a": A, "b": {**A, "data_offsets": [8, 12], "shape": [10**400]}},
        {"a": A, "b": {**A, "data_offsets": [8, 12], "shape": [-1]}},
        {"a": A, "b": {**A, "data_offsets": [8, 12], "shape": [True]}},
        {"a": A, "b": {**A, "data_offsets": [8, 12], "shape": [1.0]}},
        {"a": A, "b": {**A, "data_offsets": [8.0, 12]}},
        {"a": A, "b": {**A, "data_offsets": [8, 12, 12]}},
        {"a": A, "b": {**A, "data_offsets": [8, 12], "shape": [1] * 9}},
        {"a": A, "b": {**A, "data_offsets": [8, 12], "shape": [1 << 40] * 100_000}},
        {"a": A, "b": {**A, "data_offsets": [8, 12], "dtype": []}},
        {"a": A, "b": {**A, "data_offsets": [8, 12], "shape": 1}},
        '{{"a": {0}, "a": {0}}}'.format(json.dumps({**A, "shape": [3], "data_offsets": [0, 12]})),
        "[" * 100_000,
        '{"a": ' * 100_000,
        "[" + "{}," * 1_500_000 + "{}]",
        "9" * 100_000,
        "null",
    ],
    ids=range(21),
)
def test_a_header_of_safetensors_that_lies(header, tmp_path):
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(text)) + text + bytes(12))
    with pytest.raises(ModelError, match="is not a complete safetensors file"):
        weights.read_weights(tmp_path / "x")


NO_NETWORK = """
import json, sys
def refuse(event, args):
    if event.startswith(("socket.", "http.", "urllib.", "ftplib.", "smtplib.")):
        raise RuntimeError(f"{event} {args}")
sys.addaudithook(refuse)
from attnsearch.cli import main
for argv in json.loads(sys.argv[1]):
    assert main(argv) == 0, argv
"""


@pytest.mark.real
class TestNoNetwork:
    """A query opens no socket, nor does anything else with a model that is on this machine, online as it is."""

    def ran(self, program: str, *argv: list[str], home: Path) -> tuple[int, str]:
        env = {**os.environ, "ATTNSEARCH_HOME": str(home), "HF_HUB_OFFLINE": ""}
        command = [sys.executable, "-c", program, json.dumps(argv)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
        return done.returncode, done.stderr

    def test_the_hook_sees_sockets(self, tmp_path):
        code, err = self.ran(
            NO_NETWORK.replace("from attnsearch.cli", "import socket; socket.socket()\n#"), home=tmp_path
        )
        assert code == 1
        assert "RuntimeError: socket.__new__" in err

    def test_every_command(self, tmp_path):
        kitchen = str(home.built_in_file("kitchen"))
        first = [["index", kitchen, "--name", "meals", "-q"], ["query", "soup", "-c", kitchen, "--explain"]]
        then = [["query", "soup", "-c", "meals", "--json"], ["explain", "soup", "-c", "meals"], ["list"],
                ["info", "meals"], ["remove", "meals", "-q"]]  # fmt: skip
        assert self.ran(NO_NETWORK, *first, home=tmp_path) == (0, "")
        assert self.ran(NO_NETWORK, *then, home=tmp_path) == (0, "")


def test_much_that_must_be_escaped(monkeypatch):
    """Strip by strip, and nothing is lost where two meet."""
    monkeypatch.setattr(safe_text, "STRIP", 1 << 12)
    text = ("\u202e" + "x" * 7) * 20_000
    tracemalloc.start()
    out = safe_text.to_json([text])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert json.loads(out) == [text]
    assert acting(out) == set()
    assert most < 9 * len(out)  # 12 without strips


def test_the_end_of_a_long_text_is_not_tokenized_for_nothing():
    """The tokenizer takes hundreds of bytes a character; a text of a million words is cut, whatever its end."""

    class Reader:
        window = 10

        def tokens(self, text):
            asked.append(len(text))
            return text.split()

    for text, is_cut in [("a " * 200_000, True), (" " * 200_000 + "a", False), ("a " * 9, False), ("a " * 11, True)]:
        asked = []
        assert encoder.is_cut(Reader(), text) == is_cut
        assert sum(asked) <= (len(text) + 1000 if not is_cut else 1000)
