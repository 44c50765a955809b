from __future__ import annotations

import builtins
import json
from collections.abc import Sequence

import pytest

from attnsearch import Hit, Result


@pytest.fixture
def result(index) -> Result:
    return index.query("moon", k=3)


def test_a_sequence_of_hits(result):
    assert isinstance(result, Sequence)
    assert len(result) == 3
    assert [hit.rank for hit in result] == [1, 2, 3]
    assert (result[0], result[-1]) == (result.hits[0], result.hits[2])
    assert result[1:] == result.hits[1:]
    assert result[0] in result
    assert list(reversed(result)) == list(result.hits[::-1])
    with pytest.raises(IndexError):
        result[3]


def test_empty_is_false(index):
    nothing = index.query("moon", where="year > 3000")
    assert not nothing
    assert nothing.emptied_by == "no item passes 'year > 3000'"
    assert repr(nothing) == "<Result of 'moon': 0 hits>"
    assert nothing.to_dicts() == []


def test_it_does_not_change(result):
    with pytest.raises(AttributeError):
        result.hits = ()
    with pytest.raises(TypeError):
        result[0] = None


def test_shown(result):
    assert repr(result).startswith("<Result of 'moon': 3 hits: moon ")


def test_dicts(result, index):
    dicts = result.to_dicts()
    assert json.loads(json.dumps(dicts)) == dicts
    assert set(dicts[0]) == set(Hit._fields)
    assert (dicts[0]["id"], dicts[0]["fields"]) == ("a", {"year": 1969, "rank": "high"})
    assert index.query("moon", explain=True).to_dicts()[0]["why"]["query_words"][0]["word"] == "moon"


class TestPandas:
    def test_columns(self, result):
        frame = result.to_pandas()
        assert list(frame["id"]) == [hit.id for hit in result]
        assert list(frame["rank"]) == [1, 2, 3]
        assert frame["fields.rank"][0] == "high"
        assert frame["year"][0] == 1969
        assert "fields" not in frame.columns

    def test_no_hits(self, index):
        frame = index.query("moon", where="year > 3000").to_pandas()
        assert len(frame) == 0
        assert "weight" in frame.columns

    def test_not_installed(self, result, monkeypatch):
        load = builtins.__import__

        def refuse(name, *arguments):
            if name == "pandas":
                raise ModuleNotFoundError("No module named 'pandas'")
            return load(name, *arguments)

        monkeypatch.setattr(builtins, "__import__", refuse)
        with pytest.raises(ImportError, match="to_pandas needs pandas: pip install pandas"):
            result.to_pandas()


class TestNotebook:
    def test_a_table(self, result):
        html = result._repr_html_()
        assert html.startswith("<table>")
        assert html.count("<tr>") == 4
        assert len(html) < 3000

    def test_nothing_acts(self, index, small):
        from attnsearch import Index, update

        hostile = "<script>alert(1)</script><img src=x onerror=alert(1)> \x1b[31m \u202e"
        update([{"title": hostile, "description": f"moon {hostile}"}], name="hostile")
        with Index.open("hostile") as opened:
            html = opened.query(f"moon <script>{hostile}", k=1)._repr_html_()
        assert "<script" not in html
        assert "<img" not in html
        assert not {"\x1b", "\u202e"} & set(html)
