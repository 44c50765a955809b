from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.output.formats import bar, percent, render
from attnsearch.output.safe_text import PIPE, Screen, error, inert, to_json
from attnsearch.search.result import Hit, Result

NASTY = "\x1b]52;c;ZXZpbA==\x07\x1b[31m[bold]x[/bold]\x9b2J\u202egpj.exe\u2028\r\n\tend\x7f"
HITS = [
    Hit(1, "a", "First", 0.61, 0.58, 11.6, "A description of some length, told in one line.", {"year": 1965}),
    Hit(2, "b", "", 0.0002, 0.2, 4.0, "", {}),
    Hit(3, "c", NASTY, 0.1, 0.3, 6.0, NASTY, {"note": NASTY}),
]
RESULT = Result("query", "shop", "small", 0.05, 64, 0, None, 3.14159, 41.23456, HITS)
EMPTY = Result("query", "shop", "small", 0.05, 64, 0, None, 3.14159, 41.0, [])
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
FORMS = ["table", "json", "jsonl", "csv", "tsv", "md"]


def drawn(form, results=None, screen=PIPE, **options):
    return "".join(render(results or [RESULT], form, screen, **options))


def test_json_is_as_designed():
    told = json.loads(drawn("json"))
    assert list(told) == ["schema", "query", "catalog", "model", "temperature", "items", "masked", "none_of_these",
                          "effective_items", "elapsed_ms", "hits"]  # fmt: skip
    assert (told["schema"], told["none_of_these"], told["elapsed_ms"]) == (1, None, 41.235)
    assert list(told["hits"][0]) == ["rank", "id", "title", "weight", "score", "logit", "description", "fields",
                                       "passage"]  # fmt: skip
    assert told["hits"][0]["fields"] == {"year": 1965}


def test_json_keeps_the_data():
    assert json.loads(drawn("json"))["hits"][2]["title"] == NASTY
    assert json.loads(drawn("jsonl"))["hits"][2]["fields"]["note"] == NASTY


def test_several_results():
    assert [one["query"] for one in json.loads(drawn("json", [RESULT, EMPTY], several=True))] == ["query", "query"]
    assert len(drawn("jsonl", [RESULT, EMPTY]).splitlines()) == 2
    rows = list(csv.reader(io.StringIO(drawn("csv", [RESULT, RESULT]))))
    assert [row[1] for row in rows] == ["rank", "1", "2", "3", "1", "2", "3"]
    assert drawn("table", [EMPTY, EMPTY], several=True).count("query\n") == 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("screen", [PIPE, Screen(width=80), Screen(width=30)])
def test_nothing_acts_on_a_terminal(form, screen):
    out = drawn(form, screen=screen)
    assert not RAW.search(out.replace("\t", "") if form == "tsv" else out)
    assert "[bold]" in out or form == "md" or screen.width


def test_color_is_the_only_escape():
    out = drawn("table", screen=Screen(width=120, color=True))
    assert "\x1b[" in out
    assert not RAW.search(re.sub(r"\x1b\[[0-9;]*m", "", out))


@pytest.mark.parametrize("width", range(24, 161, 4))
def test_the_table_fits_the_window(width):
    lines = drawn("table", [RESULT], Screen(width=width, quiet=True)).splitlines()
    assert len(lines) == 1 + len(HITS)
    assert all(len(line) <= width for line in lines)
    assert "61.0%" in lines[1]
    assert ("0.580" in lines[1]) == (width >= 36)
    assert ("█" in lines[1]) == (width >= 48)
    assert ("A desc" in lines[1]) == (width >= 72)
    assert "Firs" in lines[1]


def test_a_pipe_gets_whole_lines():
    lines = drawn("table").splitlines()
    assert lines[1].endswith("A description of some length, told in one line.")
    assert lines[2].split()[:3] == ["2", "b", "<0.1%"]
    assert lines[-1] == "64 items · 3.1 effective · small · 41 ms"


def test_quiet_leaves_out_the_line_below():
    assert "effective" not in drawn("table", screen=Screen(quiet=True))


def test_nothing_found():
    assert json.loads(drawn("json", [EMPTY]))["hits"] == []
    assert drawn("csv", [EMPTY]) == "query,rank,id,title,weight,score,logit,description,passage\n"
    assert drawn("table", [EMPTY], Screen(quiet=True)).split() == ["#", "title", "weight", "score", "description"]


def test_separated_values():
    (row,) = list(csv.DictReader(io.StringIO(drawn("csv", [RESULT]))))[:1]
    assert row == {"query": "query", "rank": "1", "id": "a", "title": "First", "weight": "0.61", "score": "0.58",
                   "logit": "11.6", "description": HITS[0].description, "passage": ""}  # fmt: skip
    assert all(line.count("\t") == 8 for line in drawn("tsv").splitlines())


def test_markdown():
    lines = drawn("md").splitlines()
    assert lines[2:4] == ["| # | title | weight | score | description |", "|--:|:--|--:|--:|:--|"]
    assert lines[4].startswith("| 1 | First | 61.0% | 0.580 | A description")
    assert "\\[bold\\]" in lines[6]


def test_without_unicode():
    plain = Screen(unicode=False)
    told = drawn("json", [Result("日本", "c", "m", 0.05, 1, 0, None, 1.0, 1.0, [])], plain)
    assert told.isascii()
    assert json.loads(told)["query"] == "日本"
    assert "█" not in drawn("table", screen=plain)


@pytest.mark.parametrize(
    ("share", "text"), [(1, "100.0%"), (0.4421, "44.2%"), (0.0005, "0.1%"), (1e-9, "<0.1%"), (0, "0.0%")]
)
def test_percent(share, text):
    assert percent(share) == text


@given(st.floats(0, 1), st.booleans())
def test_bars(share, unicode):
    assert len(bar(share, unicode=unicode)) <= 10


@given(st.text())
def test_inert(text):
    shown = inert(text)
    assert not RAW.search(shown)
    assert "\n" not in shown
    assert json.loads(to_json(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))) is not None


@pytest.mark.parametrize("char", "\x00\x1b\x7f\x80\x9b\x9f\u061c\u200e\u200f\u202a\u202e\u2066\u2069\ufeff\ud800")
def test_each_of_them_is_spelled_out(char):
    assert inert(f"a{char}b") in (f"a\\x{ord(char):02x}b", f"a\\u{ord(char):04x}b")
    assert char not in to_json(f"a{char}b")


def test_errors():
    problem = InputError("odd\x1b[2J", where="x.yaml:3", hint="mend it")
    assert error(problem) == "attnsearch: x.yaml:3: odd\\x1b[2J; mend it\n"
    assert json.loads(error(problem, as_json=True)) == {
        "error": {"code": 2, "message": "x.yaml:3: odd\x1b[2J", "hint": "mend it"}
    }


def test_a_passage_is_shown_instead_of_the_description():
    result = EMPTY._replace(hits=[HITS[0]._replace(passage="the part that was met")])
    assert "… the part that was met …" in drawn("table", [result])
    assert "… the part that was met …" in drawn("md", [result])
    assert drawn("csv", [result]).endswith(",the part that was met\n")
    assert json.loads(drawn("jsonl", [result]))["hits"][0]["passage"] == "the part that was met"
