"""Whatever reads text takes time in proportion to its length: each input is doubled until it has 4 MB."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from attnsearch.errors import AttnsearchError
from attnsearch.output import safe_text
from attnsearch.postings.conditions import conditions_of, filters_of, fold_text, spell
from attnsearch.postings.filters import parse_filter
from attnsearch.postings.terms import split_terms
from attnsearch.readers.documents import read_document
from attnsearch.sources import trec
from attnsearch.sources.items import read_items
from attnsearch.sources.judgments import normalize_request, read_judgments
from attnsearch.sources.kinds import Kind, decide, form_of, interpret
from attnsearch.sources.markup import to_text
from attnsearch.storage.files import check_name
from attnsearch.syntax import strict_json, yaml12
from attnsearch.syntax.formats import Reading
from attnsearch.terminal.argv import normalized
from attnsearch.terminal.setting_options import parse_lexical

SIZES = [1 << power for power in range(10, 23)]  # characters: 1 Ki to 4 Mi
SHORTEST = 0.02  # CPU seconds; less is too short to compare
STEP = 3
ENOUGH = 0.5  # CPU seconds; a cost that has not doubled by then will not explode
MOST = 5  # times the cost of a character when the input was short; a quadratic parser gets there in three doublings


def cpu_seconds(read: Callable[[str], object], text: str) -> float:
    start = time.thread_time()
    with suppress(AttnsearchError):  # to refuse it is an answer
        read(text)
    return time.thread_time() - start


def steepest_growth(read: Callable[[str], object], make: Callable[[int], str]) -> float:
    """How many times more a character costs in a longer input than in the first one that can be measured."""
    first, steepest = 0.0, 1.0
    for size in SIZES:
        text = make(size)
        seconds = cpu_seconds(read, text)
        if seconds < SHORTEST:
            continue
        if not first or seconds / size > MOST * first:  # make sure, since other load may disturb a measurement
            seconds = min(seconds, cpu_seconds(read, text), cpu_seconds(read, text))
        first = first or seconds / size
        steepest = max(steepest, seconds / size / first)
        if steepest > MOST or (seconds > ENOUGH and steepest < 2):
            break
    return steepest


def repeat(head: str, unit: str, tail: str) -> Callable[[int], str]:
    return lambda size: head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail


def read_filter(text: str) -> None:
    tree = parse_filter(text)
    for leaf in filters_of(tree):
        conditions_of(leaf, Kind("mixed"))
    spell(tree)


def interpret_value(text: str) -> None:
    interpret(text, decide({form_of(text): 1}))


UNITS = [" ", "1", "a", '"', "<", ",", "\n", "é", ": ", "&#1", "\u0315\u0300", "กิ", '\t"', ', "', '""\t']

TAGS = ["<b>", "<div>", "<p>", "<a><b>", "<select><b>", "<table>", "<td>", "</p>", "</b>", "<svg>", "<!", "<?"]

TEXT = {
    "a filter": (
        read_filter,
        [("year =", '"'), ('"', '" = 3'), ("a = b", "\n,"), ('a = "', "")],
    ),
    "a value": (
        interpret_value,
        [("$", ""), ("1,2", "EUR"), ("May 1", ", 2021"), ("", "x"), ("1.", "x"), ("1e", "x"), ("-", "")],
    ),
    "a text as ~ compares it": (fold_text, [("", "")]),
    "terms": (split_terms, [("", "")]),
    "words of the command line": (
        lambda text: normalized(["moon", "--lexical", text]),
        [("", "x"), (".", "x"), ("1.", "e")],
    ),
    "λ": (parse_lexical, [("", "x")]),
    "a request": (normalize_request, [("", "")]),
    "a name": (check_name, [("a", "a"), ("", "!")]),
    "a line of JSON": (
        lambda text: strict_json.parse_line(text, where="x"),
        [('{"a": "', '"}'), ("[", "]"), ('{"', ""), ("", "x")],
    ),
    "JSON": (
        lambda text: strict_json.parse_documents(text, where="x"),
        [('[{"title": "', '"}]'), ("[", "]"), ("", ""), ('{"a": [{"title": "', '"}]}'), ("{}", "{}")],
    ),
    "YAML": (
        lambda text: yaml12.parse_documents(text, where="x"),
        [("- title: ", "\n"), ('- title: "', '"'), ("[", "]")],
    ),
    "a message": (safe_text.inert, [("", "")]),
    "HTML": (
        to_text,
        [("<br>", ""), ("<br><a b", ">"), ("<br><a ", ">"), ("<br><!--", ""), ("<br><script>", ""), ("&", ";")],
    ),
    "a Markdown file": (
        lambda text: read_document(text, "x.md", "x.md"),
        [("", ""), ("---\n", "\n---\n"), ("---\na: ", "\n---\n"), ("+++\n", "\n+++\n"), ("# ", "#"), ("```", "")],
    ),
}

FILES = {
    "items.csv": (
        lambda path: list(read_items([path]).items),
        [("title\n", ""), ('title\n"', '"'), ("title,n\nx,", "x")],
    ),
    "items.tsv": (
        lambda path: list(read_items([path]).items),
        [("title\n", ""), ("title\tn\nx\t", "x"), ('title\tn\n"', "x"), ("title\tn\nx\t\t", '"')],
    ),
    "semicolons.csv": (
        lambda path: list(read_items([path]).items),
        [("title;n\nx; ", '"'), ('title;n\n"x', '"; "y"'), ("sep=;\n", "\n"), ("title;n,m\n", "")],
    ),
    "items.txt": (lambda path: list(read_items([path]).items), [("title|n\n", "|"), ("", ",\n"), ("x;", "\nx;y")]),
    "items.log": (lambda path: list(read_items([path], reading=Reading("lines")).items), [("", ""), ("x", "\r")]),
    "items.jsonl": (lambda path: list(read_items([path]).items), [('{"title": "', '"}')]),
    "items.yaml": (lambda path: list(read_items([path]).items), [("- {title: '", "'}")]),
    "items": (lambda path: list(read_items([path]).items), [("", ":"), ("%YAML", ""), ("-", "x")]),
    "judgments.jsonl": (
        read_judgments,
        [('{"query": "', '", "relevant": []}'), ('{"query": "a", "relevant": ["', '"]}')],
    ),
    "topics": (
        trec.read_queries,
        [("<top>\n<num> ", "x 1\n<title> moon\n</top>"), ("<top>\n<num> 1\n<title>", ""), ("<", ">")],
    ),
    "queries": (trec.read_queries, [("1\t", ""), ("", "\tmoon")]),
    "qrels": (lambda path: list(trec.read_qrels(path)), [("1 0 a ", ""), ("1\t", "\ta\t1")]),
}


def check(read: Callable[[str], object], frames: list[tuple[str, str]]) -> None:
    steep = {}
    for number, (head, tail) in enumerate(frames):
        for unit in UNITS[number % STEP :: STEP]:  # each unit comes in some of the frames
            growth = steepest_growth(read, repeat(head, unit, tail))
            if growth > MOST:
                steep[head, unit, tail] = round(growth, 1)
    assert not steep


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXT)
def test_text(name):
    check(*TEXT[name])


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["' ", "(a)", ")", "? ", " and a=1", " or a in (1)", "not "])
def test_trees_of_filters(unit):
    assert steepest_growth(read_filter, repeat("a = 1", unit, "")) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("tag", TAGS)
def test_html(tag):
    assert steepest_growth(to_text, repeat("<br>", tag, "x")) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_files(name, tmp_path):
    read, frames = FILES[name]
    path = tmp_path / name

    def read_file(text: str) -> object:
        path.write_text(text)
        return read(str(path))

    check(read_file, frames)


@pytest.mark.parametrize(("power", "is_steep"), [(1, False), (1.2, False), (1.5, True), (2, True)])
def test_what_is_steep(power, is_steep, monkeypatch):
    """The check sees growth that is not linear, and lets n·log n pass."""
    monkeypatch.setattr(f"{__name__}.cpu_seconds", lambda read, text: 0.001 * (len(text) / SIZES[0]) ** power)
    assert (steepest_growth(len, repeat("", "1", "")) > MOST) == is_steep
