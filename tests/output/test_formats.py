from __future__ import annotations

import csv
import io
import json

import pytest

from attnsearch.output.safe_text import PIPE, Screen
from attnsearch.search.result import Result
from tests.output.examples import EMPTY, FORMS, HITS, NASTY, RAW, RESULT, drawn


def test_json_is_as_designed():
    answer = json.loads(drawn("json"))
    assert list(answer) == ["schema", "query", "catalog", "model", "temperature", "items", "masked", "none_of_these",
                          "effective_items", "elapsed_ms", "hits"]  # fmt: skip
    assert (answer["schema"], answer["none_of_these"], answer["elapsed_ms"]) == (1, None, 41.235)
    assert list(answer["hits"][0]) == ["rank", "id", "title", "weight", "score", "logit", "description", "fields",
                                       "passage", "catalog"]  # fmt: skip
    assert answer["hits"][0]["fields"] == {"year": 1965}


def test_json_of_what_the_model_cannot_read():
    assert json.loads(drawn("json", [RESULT._replace(unreadable=True)]))["unreadable"] is True


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
    answer = drawn("json", [Result("日本", "c", "m", 0.05, 1, 0, None, 1.0, 1.0, [])], plain)
    assert answer.isascii()
    assert json.loads(answer)["query"] == "日本"
    assert "█" not in drawn("table", screen=plain)


def test_a_passage_is_shown_instead_of_the_description():
    result = EMPTY._replace(hits=[HITS[0]._replace(passage="the part that was met")])
    assert "… the part that was met …" in drawn("table", [result])
    assert "… the part that was met …" in drawn("md", [result])
    assert drawn("csv", [result]).endswith(",the part that was met\n")
    assert json.loads(drawn("jsonl", [result]))["hits"][0]["passage"] == "the part that was met"
