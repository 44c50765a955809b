"""Double sums by hand, by property, and of the real model."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attnsearch.attention.projections import identity
from attnsearch.errors import InputError
from attnsearch.explanation.reasons import explain_pairs
from attnsearch.indexing.update import update
from attnsearch.search.index import Index
from attnsearch.search.search import rank_items, search
from attnsearch.search.setting import Setting

EXACT = 1e-9  # logits: sums of a few thousand float64 numbers are off by 1e-13
LOST = 2e-4  # logits: float32 loses up to 1.1e-5 of 1/τ = 20, by the processor's kernel

ITEMS = "- {id: m, title: moon}\n- {id: ms, title: Moon and sea}\n- {id: r, title: robot}\n"


@pytest.fixture
def index(write, small):
    update([str(write("x.yaml", ITEMS))])
    with Index.open("x") as opened:
        yield opened


def labels(lines):
    return [line.label for line in lines]


def check(matrix, lost=LOST):
    """Rows and columns add up to their margins, these to the same, and all to the logit that is shown."""
    assert matrix.cells.shape == (len(matrix.rows), len(matrix.columns))
    assert [line.sum for line in matrix.rows] == pytest.approx(matrix.cells.sum(axis=1), abs=EXACT)
    assert [line.sum for line in matrix.columns] == pytest.approx(matrix.cells.sum(axis=0), abs=EXACT)
    for lines in (matrix.rows, matrix.columns):
        assert sum(line.sum for line in lines) == pytest.approx(matrix.sum, abs=EXACT)
    assert matrix.sum + matrix.rounding == pytest.approx(matrix.semantic, abs=EXACT)
    whole = matrix.semantic + sum(matrix.lexical.values()) + sum(matrix.prior.values())
    assert whole == pytest.approx(matrix.logit, abs=EXACT)
    assert abs(matrix.rounding) < lost
    for text, lines in ((matrix.query, matrix.rows), (matrix.text, matrix.columns)):
        for line in lines:
            assert (line.start is None) == (line.stop is None)
            if matrix.by == "words" and line.start is not None:
                assert text[line.start : line.stop] == line.label


def test_by_hand(index):
    """τ = 1/4: four times (moon + sea)/√2 with (Moon + and + sea)/√3, so 4/√6 where the words are equal."""
    result = rank_items(index, "moon sea", Setting(identity(4, 0.25)), ["ms"])
    explained, (matrix,) = explain_pairs(index, result)
    assert (labels(matrix.rows), labels(matrix.columns)) == (["moon", "sea"], ["Moon", "and", "sea"])
    each = 4 / math.sqrt(6)
    assert matrix.cells == pytest.approx(np.array([[each, 0, 0], [0, 0, each]]))
    assert (matrix.hit, matrix.query, matrix.text) == (result.hits[0], "moon sea", "Moon and sea")
    assert matrix.logit == pytest.approx(2 * each)
    assert matrix.strengths == pytest.approx(np.array([[1, 0, 0], [0, 0, 1]]))
    assert [word.word for word in explained.whys[0].item.words] == labels(matrix.columns)
    check(matrix)


def test_only_with_a_trace(index):
    with pytest.raises(InputError, match="without a trace"):
        explain_pairs(index, search(index, ["moon"])[0])
