"""The last slide, with an encoder that a person can compute by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attnsearch.attention.softmax import attend
from attnsearch.errors import CatalogError
from attnsearch.lesson import built_in
from attnsearch.opening.index import Index
from attnsearch.storage.learned import LEARNED

ITEMS = """
- {id: a, title: love moon}
- {id: b, title: "\\e[31mmoon sea"}
- {id: c, title: robot}
- {id: d, title: stars}
- {id: e, title: "sea, sea"}
- {id: f, title: moon}
"""


@pytest.fixture
def library(write, run, small) -> None:
    assert run("index", write("own.yaml", ITEMS), "--name", "library").code == 0


def numbers(slide, table: int, name: str) -> list[float | None]:
    (column,) = (c for group in slide.tables[table].groups for c in group.columns if c.name.startswith(name))
    return list(column.numbers)


def test_its_numbers_are_those_of_attention(library, small):
    with Index.open("library") as index:
        slide = built_in.built_in(index)
        x = small.encode([built_in.REQUEST])
        keys = index.store.embeddings(index.store.living())
    expected = attend(x / 0.05, keys, keys, scale=1.0)
    order = np.argsort(-expected.logits[0], kind="stable")[: built_in.HITS]
    logits = [number for number in numbers(slide, 1, "÷") if number is not None]
    assert logits == pytest.approx(expected.logits[0, order])
    weights = numbers(slide, 1, "weight")
    assert weights[:-2] == pytest.approx(expected.weights[0, order])
    assert sum(weights[:-1]) == pytest.approx(1)
    assert numbers(slide, 1, "exp")[-1] == pytest.approx(np.exp(expected.logits).sum())
    assert numbers(slide, 0, "output")[:3] == pytest.approx(expected.output[0, :3])
    assert numbers(slide, 0, "k")[:3] == pytest.approx(keys[order[0], :3])
    assert slide.tables[1].rows[-2] == "2 others"


def test_what_was_learned_does_not_count(library, home, run):
    before = run("lesson", "--step", "14").out
    (home / "library" / LEARNED).write_bytes(b"damaged")
    assert run("lesson", "--step", "14").out == before


def test_titles_are_inert(library, run):
    for options in ([], ["--color", "always"], ["-f", "html"]):
        ran = run("lesson", "--step", "14", *options)
        assert ran.code == 0
        assert "\x1b[31m" not in ran.out
        assert "x1b[31mmoon sea" in ran.out


def test_a_catalog_without_items(write, run, small, monkeypatch):
    run("index", write("own.yaml", ITEMS), "--name", "library")
    real = built_in.search
    monkeypatch.setattr(built_in, "search", lambda *argv, **more: [r._replace(hits=[]) for r in real(*argv, **more)])
    with Index.open("library") as index, pytest.raises(CatalogError, match="has no items"):
        built_in.built_in(index)
    assert "has no items" in run("lesson").out
