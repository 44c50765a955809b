"""Whatever texts a result has, its page follows the rules of HTML and of its own policy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attnsearch.explanation.matrix import Line, Matrix
from attnsearch.output.columns import Column, Shown
from attnsearch.pages.ranking import ranking_page
from attnsearch.search.readout import Readout
from attnsearch.search.result import Hit, Result, Sum, Why, Word
from attnsearch.search.setting import Setting
from tests.pages.hostile import HOSTILE
from tests.pages.reading import read_page, text_of

TEXTS = st.one_of(st.text(max_size=40), st.sampled_from(HOSTILE[:11]), st.characters(codec=None))


def sum_of(text: str) -> Sum:
    half = len(text) // 2
    return Sum(text, [Word(text[:half], 0, half, 0.5), Word(text[half:], half, len(text), -0.25)], 0.125, 1e-9)


@settings(max_examples=60)
@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_every_page_can_be_read(query, title, name, address):
    hit = Hit(1, title, title, 0.5, 0.25, 3.0, name, {"url": address, name: title}, catalog=name)
    why = Why(2.5, {name: 0.25}, {title: 0.25}, sum_of(query), sum_of(title))
    result = Result(
        query, name, title, 0.05, 3, 1, 0.25, 2.0, 1.0, [hit], 0.5, [Readout(name, 1.0, None, None, {title: 0.5})],
        whys=[why], like=[title], emptied_by=name,
    )  # fmt: skip
    line = Line("word", title, 0, 1, 0.5)
    matrix = Matrix(hit, query, title, "words", [line], [line], np.ones((1, 1)), 1.0, 2.5, 0.0, {name: 0.25}, {})
    page = ranking_page(
        [result, result],
        ["attnsearch", "query", query],
        setting=Setting(priors={name: 1.0}),
        shown=Shown([Column(name, name)], {name: {}}, {name: name}),
        pairs=matrix,
    )
    assert "2 requests" in text_of(read_page(page.encode()))
