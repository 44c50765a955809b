from __future__ import annotations

import csv
import io
import json

import pytest

from attnsearch.errors import Exit
from attnsearch.indexing.update import update
from attnsearch.output.duplicates import GROUPS, MEMBERS

LAMPS = "- {id: a, title: moon moon}\n- {id: b, title: moon}\n- {id: c, title: moon moon}\n- {id: d, title: sea}\n"


@pytest.fixture
def lamps(write, small):
    path = write("lamps.yaml", LAMPS)
    update([str(path)])
    return path


class TestTable:
    def test_groups(self, run, lamps):
        code, out, err = run("duplicates", "lamps")
        assert (code, err) == (Exit.DONE, "")
        assert out.splitlines() == [
            "#  score  title      id",
            "1  keep   moon moon  a",
            "   same   moon moon  c",
            "   1.000  moon       b",
            "lamps · 4 items · 1 group · 1 the same · 1 near (cosine at least 0.95)",
        ]

    def test_none(self, run, write, small):
        update([str(write("x.yaml", "- {id: a, title: moon}\n- {id: b, title: sea}\n"))])
        assert run("duplicates", "x").out == "x · 2 items · no duplicates (cosine at least 0.95)\n"

    def test_more_than_are_shown(self, run, write, small):
        items = [f"- {{id: {name}-{n}, title: {name}}}\n" for name in ("moon", "sea") for n in range(MEMBERS + 5)]
        update([str(write("x.yaml", "".join(items)))])
        lines = run("duplicates", "x", "-k", "1").out.splitlines()
        assert lines[MEMBERS + 1 : -1] == ["          … and 5 more", "… and 1 more group; -k lists more"]
        assert len(run("duplicates", "x").out.splitlines()) == 2 * (MEMBERS + 1) + 3
        assert GROUPS > 2

    def test_nothing_in_a_title_acts(self, run, write, small):
        update([str(write("x.yaml", '- {id: a, title: "moon \\e[31m"}\n- {id: b, title: "moon \\e[31m"}\n'))])
        assert "\x1b" not in run("duplicates", "x").out


class TestData:
    def test_json(self, run, lamps):
        answer = json.loads(run("duplicates", "lamps", "--json").out)
        assert answer == {
            "schema": 1,
            "catalog": "lamps",
            "items": 4,
            "min_score": 0.95,
            "copies": 1,
            "near": 1,
            "groups": [
                {
                    "items": [
                        {"id": "a", "title": "moon moon", "score": 1.0, "same_as": None},
                        {"id": "c", "title": "moon moon", "score": 1.0, "same_as": "a"},
                        {"id": "b", "title": "moon", "score": 1.0, "same_as": None},
                    ]
                }
            ],
        }
        (line,) = run("duplicates", "lamps", "-f", "jsonl").out.splitlines()
        assert json.loads(line) == {"schema": 1, "catalog": "lamps", **answer["groups"][0]}

    @pytest.mark.parametrize(("form", "delimiter"), [("csv", ","), ("tsv", "\t")])
    def test_rows(self, run, lamps, form, delimiter):
        rows = list(csv.reader(io.StringIO(run("duplicates", "lamps", "-f", form).out), delimiter=delimiter))
        assert rows[0] == ["group", "id", "title", "score", "same_as"]
        assert rows[1:] == [["1", "a", "moon moon", "1.0", ""], ["1", "c", "moon moon", "1.0", "a"],
                            ["1", "b", "moon", "1.0", ""]]  # fmt: skip


class TestOptions:
    def test_fail_empty(self, run, lamps):
        assert run("duplicates", "lamps", "--fail-empty").code == Exit.DONE
        assert run("duplicates", "lamps", "--fail-empty", "-w", "id = d").code == Exit.EMPTY

    def test_file(self, run, lamps, small):
        assert "4 items · 1 group" in run("duplicates", str(lamps)).out

    def test_min_score(self, run, lamps):
        assert "1 the same · 2 near (cosine at least -1)" in run("duplicates", "lamps", "--min-score", "-1").out
        assert "1 near (cosine at least 0.5)" in run("duplicates", "lamps", "--min-score", "0.5").out

    @pytest.mark.parametrize("score", ["nan", "1.5", "much"])
    def test_no_score(self, run, lamps, score):
        code, out, err = run("duplicates", "lamps", "--min-score", score)
        assert (code, out) == (Exit.USAGE, "")
        assert "--min-score" in err
        assert err.count("\n") == 1

    def test_no_such_format(self, run, lamps):
        code, _, err = run("duplicates", "lamps", "-f", "md")
        assert code == Exit.USAGE
        assert "invalid --format 'md'; use one of table, json, jsonl, csv, tsv" in err

    def test_no_catalog(self, run, small):
        code, _, err = run("duplicates", "nothing")
        assert code == Exit.CATALOG
        assert "there is no catalog 'nothing'" in err
