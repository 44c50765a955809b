"""A heatmap as JSON and CSV: the same numbers, exactly."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from attnsearch.explanation.heatmap import BY, Column
from attnsearch.output.heatmap import as_csv, as_json
from attnsearch.output.safe_text import Screen
from tests.pictures.test_heatmap import BOOKS, make


def parse_csv(heatmap, by="weight") -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(as_csv(heatmap, by)))))


def with_ids(*ids: str, catalogs=("books",)):
    heatmap = make(np.full((1, len(ids)), 0.1), catalogs=catalogs)
    return heatmap._replace(
        columns=[Column(ident, "", catalogs[number % len(catalogs)]) for number, ident in enumerate(ids)]
    )


class TestJson:
    def test_everything(self):
        text = "".join(as_json(BOOKS))
        fields = json.loads(text)
        assert list(fields) == [
            "schema", "catalog", "model", "temperature", "items", "masked", "queries", "columns", "weights", "logits",
            "scores", "others", "none_of_these", "right",
        ]  # fmt: skip
        assert fields["queries"] == BOOKS.queries
        assert fields["columns"][1] == {"id": "i1", "title": "月面基地", "catalog": "books"}
        assert fields["weights"] == BOOKS.weights.tolist()
        assert fields["logits"] == [[*BOOKS.logits[0, :2], None], [*BOOKS.logits[1]]]
        assert fields["scores"] == [[*BOOKS.scores[0, :2], None], [*BOOKS.scores[1]]]
        assert fields["others"] == BOOKS.others.tolist()
        assert fields["none_of_these"] == [0.1, 0.9]
        assert fields["right"] == [[True, False, False], [False, False, True]]

    def test_a_row_is_a_line(self):
        lines = "".join(as_json(BOOKS)).splitlines()
        assert "    [0.5, 0.25, 0.0]," in lines
        assert lines[0] == "{"
        assert lines[-1] == "}"

    def test_what_is_not_always_there(self):
        heatmap = make([[0.5]], catalogs=("a", "b"), lexical=0.3, trained=True, masked=1, emptied_by="x")
        fields = json.loads("".join(as_json(heatmap)))
        assert [fields[name] for name in ("catalogs", "lexical", "trained", "emptied_by")] == [
            ["a", "b"],
            0.3,
            True,
            "x",
        ]
        assert fields["none_of_these"] is None
        assert "right" not in fields

    def test_requests_that_are_like_judged_ones(self):
        queries = json.loads("".join(as_json(BOOKS)))["queries"]
        fields = json.loads("".join(as_json(BOOKS._replace(recalled={queries[1]: {"sea": 0.5}}))))
        assert fields["recalled"] == [{}, {"sea": 0.5}]

    def test_nothing(self):
        fields = json.loads("".join(as_json(make(np.zeros((2, 0))))))
        assert (fields["columns"], fields["weights"]) == ([], [[], []])

    def test_it_is_inert(self):
        text = "".join(as_json(make([[0.5]], titles=["\x1b[31m\u202e"], queries=["月"]), Screen(unicode=False)))
        assert text.isascii()
        assert "\x1b" not in text
        assert json.loads(text)["columns"][0]["title"] == "\x1b[31m\u202e"


class TestCsv:
    def test_a_column_for_each_item(self):
        header, *rows = parse_csv(BOOKS)
        assert header == ["query", "i0", "i1", "i2", "others", "none_of_these"]
        assert rows == [
            ["moon", "0.5", "0.25", "0.0", "0.25", "0.1"],
            ["a voyage at sea", "0.125", "0.3", "0.5", repr(BOOKS.others[1].item()), "0.9"],
        ]

    @pytest.mark.parametrize("by", BY)
    def test_the_numbers_are_those_of_json(self, by):
        fields = json.loads("".join(as_json(BOOKS)))
        _, *rows = parse_csv(BOOKS, by)
        numbers = [[float(cell) if cell else None for cell in row[1:4]] for row in rows]
        assert numbers == fields[f"{by}s"]
        assert len(rows[0]) == (6 if by == "weight" else 5)  # others have a weight alone

    def test_without_a_null_key(self):
        assert parse_csv(make([[0.5]], queries=["moon"])) == [["query", "i0", "others"], ["moon", "0.5", "0.5"]]

    @pytest.mark.parametrize(
        ("heatmap", "expected"),
        [
            (with_ids("a", "a", catalogs=("x", "y")), ["x:a", "y:a"]),
            (with_ids("query", "others", "none_of_these"), ["books:query", "books:others", "books:none_of_these"]),
            (with_ids("a", "x:a", "a", catalogs=("x", "x", "y")), ["x:a", "x:x:a", "y:a"]),
            (with_ids("a\tb", "a b"), ["books:a b", "books:books:a b"]),
        ],
    )
    def test_headers_are_unique(self, heatmap, expected):
        header, _ = parse_csv(heatmap)
        assert header[1:-1] == expected

    def test_it_is_inert(self):
        text = "".join(as_csv(make([[0.5]], queries=["\x1b[31m"])))
        assert "\x1b" not in text
