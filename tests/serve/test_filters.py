"""Filters that the page spells are read as what they are made of, whatever that is."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attnsearch.postings.conditions import Filter
from attnsearch.postings.filters import parse_filter
from attnsearch.serve.page import STATIC
from tests.pages.hostile import HOSTILE

CHROMIUM = shutil.which("chromium")
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--no-first-run"]  # fmt: skip
ORIGIN = "http://page.test/"

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="without Chromium, JavaScript is not run")

PIECES = ["'", '"', '""', ",", ", ", " and ", " or ", "not", "not ", "in", "between", "has ", "is", "where ", "AND",
          "(", ")", "<", ">=", " = ", "!=", "~", "?", "!", " ", "  ", "\n", "a", "Éa", "月", "שלום", "1,5", "1990-1999",
          "\\N", "-", ".", "_", "&&", "\u202e", "\ud7ff", "\U0001242b"]  # fmt: skip
texts = (st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=20)).filter(str.strip)
lists = st.lists(texts, min_size=1, max_size=4)


@pytest.fixture(scope="module")
def call():
    """A function of filters.js, with its arguments → what it returns."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = browser.new_page()
        script = (STATIC / "filters.js").read_text()
        page.route(f"{ORIGIN}*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
        page.route(f"{ORIGIN}*.js", lambda route: route.fulfill(body=script, content_type="text/javascript"))
        page.goto(ORIGIN)
        page.evaluate("async () => { window.filters = await import('./filters.js') }")
        yield lambda name, *arguments: page.evaluate(f"arguments => filters.{name}(...arguments)", [*arguments])
        browser.close()


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
    spelled = call("spellValues", field, values)
    assert parse_filter(spelled) == Filter(field, "=", tuple(values))
    assert call("readValues", field, spelled) == values
    assert call("readRange", field, spelled) is None


@each_hostile
@given(texts, lists)
def test_ranges(call, field, values):
    low, high = values[0], values[-1]
    for ends, op, bounds in (
        ((low, high), "between", (low, high)), ((low, ""), ">=", (low,)), (("", high), "<=", (high,)),
    ):  # fmt: skip
        spelled = call("spellRange", field, *ends)
        assert parse_filter(spelled) == Filter(field, op, bounds)
        assert call("readRange", field, spelled) == [*ends]
        assert call("readValues", field, spelled) is None


@given(texts, st.lists(st.sampled_from([*PIECES, "year", "=", ">=", "between"]), max_size=8).map("".join))
def test_another_filter_is_not_taken_apart(call, field, rest):
    for text in (rest, call("quote", field) + rest):
        values, ends = call("readValues", field, text), call("readRange", field, text)
        assert values is None or call("spellValues", field, values) == text
        assert ends is None or call("spellRange", field, *ends) == text


def test_what_is_plain_has_no_quotes(call):
    assert call("spellValues", "genre", ["science fiction", "children's"]) == 'genre = science fiction, "children\'s"'
    assert call("spellRange", "year", "1990", "1999") == "year between 1990 and 1999"
