"""Filters that a model is shown read as what they are made of."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from attnsearch.agents.overview import spell_field, spell_value
from attnsearch.postings.conditions import Filter
from attnsearch.postings.filters import parse_filter

PIECES = ["'", '"', ",", " and ", "or", "not ", "in", "between", "has", "AND", "Has ", "(", ")", "<", ">=", " = ", "~",
          "?", " ", "a", "É", "月", "1,5", "1990-1999", "-", ".", "_", "&&"]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=5).map("".join).filter(str.strip)


@example("AND", "x")
@example("Has", "not in")
@given(texts, texts)
def test_a_filter_is_read_as_its_field_and_its_value(field, value):
    for op in ("=", "~", ">="):
        assert parse_filter(f"{spell_field(field)} {op} {spell_value(value)}") == Filter(field, op, (value,))
