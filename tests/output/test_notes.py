from __future__ import annotations

from types import SimpleNamespace

import pytest

from attnsearch.indexing.target import Read
from attnsearch.indexing.update import Report
from attnsearch.models.model import DEFAULT
from attnsearch.output.notes import indexing_note, notes, percent, readout_as_json, readout_in_words
from attnsearch.search.readout import Readout
from attnsearch.search.result import Hit, Result

HIT = Hit(1, "a", "Moon", 1.0, 0.5, 10.0, "", {}, None)


def result(**fields) -> Result:
    usual = {
        "query": "moon", "catalog": "books", "model": DEFAULT, "temperature": 0.05, "lexical": 0.0, "items": 64,
        "masked": 0, "none_of_these": 0.02, "effective_items": 3.1, "elapsed_ms": 41.0, "hits": [HIT], "values": [],
    }  # fmt: skip
    return Result(**{**usual, **fields})


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({}, ["books · 64 items · attention spread over about 3.1 · chance that nothing fits 2.0%"]),
        (
            {"items": 1, "effective_items": 1.0},
            ["books · 1 item · attention spread over about 1 · chance that nothing fits 2.0%"],
        ),
        ({"none_of_these": None}, ["books · 64 items · attention spread over about 3.1"]),
        (
            {"none_of_these": 0.5},
            ["books · 64 items · attention spread over about 3.1 · chance that nothing fits 50.0%"],
        ),
        (
            {"none_of_these": 0.51},
            [
                "nothing here matches well",
                "books · 64 items · attention spread over about 3.1 · chance that nothing fits 51.0%",
            ],
        ),
        (
            {"none_of_these": 0.51, "unreadable": True},
            [
                "the model can't read this request, which seems to be in another language",
                "books · 64 items · attention spread over about 3.1 · chance that nothing fits 51.0%",
            ],
        ),
        (
            {"masked": 60, "lexical": 0.3, "temperature": 0.1, "effective_items": 16.58, "trained": True,
             "none_of_these": 1e-9},
            ["books · 4 of 64 items · attention spread over about 17 · chance that nothing fits <0.1% · trained"
             " · temperature 0.1 · lexical 0.3"],
        ),
        (
            {"hits": []},
            ["every item is below --min-weight or --min-score",
             "books · 64 items · attention spread over about 3.1 · chance that nothing fits 2.0%"],
        ),
        (
            {"hits": [], "masked": 64, "none_of_these": 1.0, "effective_items": 0.0},
            ["nothing is left: --where hides all 64 items", "books · 0 of 64 items"],
        ),
        (
            {"hits": [], "items": 1, "masked": 1, "effective_items": 0.0},
            ["nothing is left: --where hides the only item", "books · 0 of 1 item"],
        ),
        (
            {"values": [Readout("year\x1b", 1.0, 1968.2, 14.3, {})], "none_of_these": None, "model": "bge\x1b"},
            [r"year\x1b: about 1968 ± 14", r"books · 64 items · attention spread over about 3.1 · bge\x1b"],
        ),
        (
            {"catalog": "/home/ann/my\x1b shop.csv", "none_of_these": None},
            [r"my\x1b shop.csv · 64 items · attention spread over about 3.1"],
        ),
    ],
)  # fmt: skip
def test_lines(fields, lines):
    assert notes(result(**fields)) == lines


@pytest.mark.parametrize(
    ("readout", "words"),
    [
        (Readout("x", 1.0, 1968.2, 14.3, {}), "about 1968 ± 14"),
        (Readout("x", 1.0, 39.53, 3.27, {}), "about 39.5 ± 3.3"),
        (Readout("x", 1.0, 0.01234, 0.00021, {}), "about 0.01234 ± 0.00021"),
        (Readout("x", 1.0, 7.0, 0.0, {}), "about 7.00 ± 0.00"),
        (Readout("x", 1.0, 1.5e300, 2e299, {}), "about 1.5e+300 ± 2e+299"),
        (Readout("x", 0.4, 7.0, 1.0, {}), "about 7.0 ± 1.0 (40.0% of the attention is on items that have one)"),
        (Readout("x", 1.0, "2020-05-01", 12.4, {}), "about 2020-05-01 ± 12 days"),
        (Readout("x", 1.0, "2020-05-01", 2000.0, {}), "about 2020-05-01 ± 5.5 years"),
        (Readout("x", 1.0, None, None, {f"v{n}": 0.3 for n in range(6)}), "30.0% v0, 30.0% v1, 30.0% v2, 30.0% v3"),
        (Readout("x", 1.0, None, None, {"[red]\u202e": 1.0}), r"100.0% [red]\u202e"),
        (Readout("x", 0.0, None, None, {}), "no visible item has one"),
    ],
)
def test_readouts_in_words(readout, words):
    assert readout_in_words(readout) == words


def test_readouts_as_json():
    assert readout_as_json(Readout("x", 0.5, 3.0, 1.0, {})) == {"field": "x", "known": 0.5, "mean": 3.0, "spread": 1.0}
    assert readout_as_json(Readout("x", 0.5, "2020-05-01", 1.0, {})) == {
        "field": "x", "known": 0.5, "mean": "2020-05-01", "spread_days": 1.0,
    }  # fmt: skip
    assert readout_as_json(Readout("x", 0.5, None, None, {"a": 0.5})) == {
        "field": "x", "known": 0.5, "shares": [{"value": "a", "share": 0.5}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("share", "text"), [(1, "100.0%"), (0.4421, "44.2%"), (0.0005, "0.1%"), (1e-9, "<0.1%"), (0, "0.0%")]
)
def test_percent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("counts", "keys", "line"),
    [
        ((3, 0, 0, 3), 3, "sh\\x1bop: 3 items; 3 new; 3 embedded in 0.2 s\nread: n\\x1bame\n"),
        ((0, 0, 0, 0), 3, "sh\\x1bop: 3 items; nothing changed; nothing to embed\nread: n\\x1bame\n"),
        (
            (0, 1, 2, 1200),
            9,
            "sh\\x1bop: 3 items in 9 passages; 1 changed, 2 removed; 1,200 embedded in 0.2 s\nread: n\\x1bame\n",
        ),
        ((0, 0, 2, 0), 1, "sh\\x1bop: 1 item; 2 removed; nothing to embed\nread: n\\x1bame\n"),
    ],
)
def test_what_indexing_did(counts, keys, line):
    added, changed, removed, embedded = counts
    read = Read((), "title", ("n\x1bame",), (), None)
    info = SimpleNamespace(name="sh\x1bop", items=min(keys, 3), keys=keys)
    assert (
        indexing_note(
            Report(info, added=added, changed=changed, removed=removed, embedded=embedded, seconds=0.21, read=read)
        )
        == line
    )
