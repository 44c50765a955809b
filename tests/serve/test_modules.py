"""What the page's modules do by themselves: filters read as what they are made of, links that hold the state, words.

Each runs in Chromium, without a server, and is compared with what it has to agree with in Python.
"""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attnsearch.output.notes import counted, percent
from attnsearch.postings.conditions import Filter
from attnsearch.postings.filters import parse_filter
from attnsearch.serve.page import STATIC
from tests.pages.hostile import HOSTILE
from tests.serve.browser import needs_browser

ORIGIN = "http://page.test/"

pytestmark = needs_browser

PIECES = ["'", '"', '""', ",", ", ", " and ", " or ", "not", "not ", "in", "between", "has ", "is", "where ", "AND",
          "(", ")", "<", ">=", " = ", "!=", "~", "?", "!", " ", "  ", "\n", "a", "Éa", "月", "שלום", "1,5", "1990-1999",
          "\\N", "-", ".", "_", "&&", "\u202e", "\ud7ff", "\U0001242b"]  # fmt: skip
texts = (st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=20)).filter(str.strip)
lists = st.lists(texts, min_size=1, max_size=4)


@pytest.fixture(scope="module")
def call(chromium):
    """A function of a module, such as "filters.quote", with its arguments → what it returns."""
    page = chromium.new_page()
    page.route(f"{ORIGIN}*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.route(f"{ORIGIN}*.js", lambda route: route.fulfill(path=STATIC / route.request.url.removeprefix(ORIGIN)))
    page.goto(ORIGIN)
    for module in ("filters", "state", "words"):
        page.evaluate(f"async () => {{ window.{module} = await import('./{module}.js') }}")
    yield lambda name, *arguments: page.evaluate(f"arguments => {name}(...arguments)", [*arguments])
    page.close()


def each_hostile(test):
    """The test, also with every hostile text, and with the words of the language."""
    words = [f"{before}{word}{after}" for word in ("and", "Or", "not", "in", "between", "has", "is", "where")
             for before in ("", "a ") for after in ("", " b")]  # fmt: skip
    for text in HOSTILE + words:
        test = example(text, [text, "x", text])(test)
    return test


@each_hostile
@given(texts, lists)
def test_values(call, field, values):
    spelled = call("filters.spellValues", field, values)
    assert parse_filter(spelled) == Filter(field, "=", tuple(values))
    assert call("filters.readValues", field, spelled) == values
    assert call("filters.readRange", field, spelled) is None


@each_hostile
@given(texts, lists)
def test_ranges(call, field, values):
    low, high = values[0], values[-1]
    for ends, op, bounds in (
        ((low, high), "between", (low, high)), ((low, ""), ">=", (low,)), (("", high), "<=", (high,)),
    ):  # fmt: skip
        spelled = call("filters.spellRange", field, *ends)
        assert parse_filter(spelled) == Filter(field, op, bounds)
        assert call("filters.readRange", field, spelled) == [*ends]
        assert call("filters.readValues", field, spelled) is None


@given(texts, st.lists(st.sampled_from([*PIECES, "year", "=", ">=", "between"]), max_size=8).map("".join))
def test_another_filter_is_not_taken_apart(call, field, rest):
    for text in (rest, call("filters.quote", field) + rest):
        values, ends = call("filters.readValues", field, text), call("filters.readRange", field, text)
        assert values is None or call("filters.spellValues", field, values) == text
        assert ends is None or call("filters.spellRange", field, *ends) == text


def test_what_is_plain_has_no_quotes(call):
    assert (
        call("filters.spellValues", "genre", ["science fiction", "children's"])
        == 'genre = science fiction, "children\'s"'
    )
    assert call("filters.spellRange", "year", "1990", "1999") == "year between 1990 and 1999"


@example("".join(HOSTILE))
@given(st.text(st.characters(), max_size=40))
def test_texts_are_inert(call, text):
    shown = call("words.inert", text)
    assert {unicodedata.category(character) for character in shown}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
    assert not re.search("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufdd0-\ufdef\ufffe\uffff]", shown)
    assert not re.search(r"[\u0300-\u036f\u0483-\u0489]{7}", shown)


@given(texts, st.integers(1, 30))
def test_a_text_is_cut_between_letters(call, text, length):
    whole, shown = call("words.inert", text), call("words.cut", text, length)
    assert len(shown) <= length + 1
    assert shown == whole or (shown.endswith("…") and whole.startswith(shown[:-1]))


@example(0.0005)
@example(1.0)
@example(0.0)
@given(st.floats(0, 1).filter(lambda share: (share * 2000) % 2 != 1))  # which a half is rounded to is not ours
def test_shares(call, share):
    assert call("words.percent", share) == percent(share)


@given(st.floats(-1000, 1000))
def test_decimals(call, number):
    assert float(call("words.decimal", number, 3).replace("−", "-")) == pytest.approx(number, abs=0.00051)
    assert "-" not in call("words.decimal", number, 3)


@given(st.integers(0, 10**9))
def test_counts(call, count):
    assert call("words.counted", count, "item") == counted(count, "item")


texts_or_none = st.lists(texts, max_size=3)
states = st.fixed_dictionaries({
    "query": st.text(max_size=20), "catalogs": texts_or_none, "where": texts_or_none,
    "temperature": st.none() | st.floats(1e-6, 1e6), "lexical": st.none() | st.floats(0, 1000),
    "k": st.integers(1, 1000), "exact": st.booleans(),
    "item": st.none() | st.fixed_dictionaries({"id": texts, "catalog": st.just("") | texts}),
})  # fmt: skip


@given(states)
def test_the_link_holds_the_whole_state(call, state):
    assert call("state.read", call("state.spell", state)) == state


@given(st.text("qcwtlkexaitmofn=&%+01.-e ", max_size=30))
def test_any_link_is_read_as_some_state(call, address):
    state = call("state.read", address)
    assert call("state.read", call("state.spell", state)) == state
    assert 1 <= state["k"] <= 1000
