"""Answers of at most so many bytes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from attnsearch.agents import portions

TEXTS = st.text(max_size=60)
ENTRIES = st.lists(st.fixed_dictionaries({"id": TEXTS, "fields": st.lists(TEXTS, max_size=3)}), max_size=8)


def advise(shown: int, count: int) -> str:
    return f"{shown} of {count}"


def sent(answer) -> int:
    """How many bytes an answer takes in both forms."""
    text = portions.as_text(answer)
    return len(text.encode()) + len(json.dumps(text, ensure_ascii=False).encode())


@given(ENTRIES, st.integers(600, 2_000))
def test_never_too_large_and_never_less_than_fits(entries, most):
    answer = {"catalog": "x", "hits": entries}
    fitted = portions.fit(answer, "hits", advise, optional={"fields": None}, most=most)
    assert sent(fitted) <= most
    assert [hit["id"] for hit in fitted["hits"]] == [hit["id"] for hit in entries[: len(fitted["hits"])]]
    if fitted["truncated"]:
        assert fitted["advice"] == f"{len(fitted['hits'])} of {len(entries)}"
        assert sent({**answer, "truncated": False}) > most - 550  # it would not have fit
    else:
        assert fitted == {**answer, "truncated": False}


def test_what_is_optional_goes_first_and_from_the_end():
    entries = [{"id": str(number), "fields": ["x" * 200]} for number in range(4)]
    fitted = portions.fit({"hits": entries}, "hits", advise, optional={"fields": None}, most=1_600)
    assert [("fields" in hit) for hit in fitted["hits"]] == [True, True, False, False]
    assert fitted["truncated"]


@given(TEXTS, st.integers(0, 200))
def test_a_text_is_cut_where_the_room_ends(text, room):
    part = portions.cut(text, room)
    assert text.startswith(part)
    assert portions.cost(part) - portions.cost("") <= room
    if len(part) < len(text):
        assert portions.cost(text[: len(part) + 1]) - portions.cost("") > room
