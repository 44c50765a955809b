from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from attnsearch.output.safe_text import PIPE, Screen, inert, simplified
from attnsearch.output.table import cut, draw, entries, listing, wrap


@pytest.mark.parametrize("width", [4, 7, 20, 79])
@pytest.mark.parametrize(
    "sentence", ["月面基地で起きた事件を調べる刑事" * 3, "the moon 月面 over the sea 海 " * 6, "e\u0301" * 30]
)
def test_a_sentence_fits_the_window(sentence, width):
    out = wrap(sentence.strip(), Screen(width=width))
    assert all(cell_len(line) <= width for line in out.splitlines())
    assert "".join(out.split()) == "".join(sentence.split())


@given(st.text("ae\u0301月か\u3099👩\u200d👧 \x1b"), st.integers(0, 30))
def test_a_cut_text_is_its_beginning(text, cells):
    shown = cut(text, cells)
    assert cell_len(shown) <= cells
    assert shown == inert(text) or not cells or inert(text).startswith(shown.removesuffix("…"))
    assert (shown == inert(text)) == (cell_len(inert(text)) <= cells)


@pytest.mark.parametrize(("text", "cells", "shown"), [
    ("か\u3099か\u3099", 3, "か\u3099…"), ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
    ("👩\u200d👧👩\u200d👧", 3, "👩\u200d👧…"),
    ("月月", 2, "…"), ("a\x1bb", 4, "a\\x…"),
])  # fmt: skip
def test_no_character_loses_its_marks(text, cells, shown):
    assert cut(text, cells) == shown


def test_only_elastic_columns_are_cut():
    rows = [("1,000", "moon " * 9, "b"), ("2", "月", "sea " * 9)]
    lines = listing(("n", "query", "item"), rows, Screen(width=40), elastic=("query", "item")).splitlines()
    assert lines == [
        "n      query            item",
        "1,000  moon moon moon…  b",
        "2      月               sea sea sea se…",
    ]


@pytest.mark.parametrize(
    ("width", "head"),
    [(80, "n      name          made        query"), (43, "n      name          query"), (30, "n      query")],
)
def test_a_narrow_window_loses_optional_columns(width, head):
    """In their order, as long as twelve cells of each text have no room."""
    row = ("1,000", "a long name", "2026-11-27", "moon " * 4)
    out = listing(("n", "name", "made", "query"), [row], Screen(width=width), elastic=("name", "query"),
                  optional=("made", "name"))  # fmt: skip
    assert out.splitlines()[0].split() == head.split()
    assert all(len(line) <= width for line in out.splitlines())


def test_entries_stand_beside_their_names_or_under_them():
    values = {"model": "all-MiniLM-L6-v2", "sum": "0123456789" * 3}
    assert entries(values, PIPE).splitlines() == [f"model  {values['model']}", f"sum    {values['sum']}"]
    assert entries(values, Screen(width=30)).splitlines() == [
        f"model  {values['model']}", "sum    01234567890123456789012", "       3456789",
    ]  # fmt: skip
    assert entries(values, Screen(width=20)).splitlines() == [
        "model", "  all-MiniLM-L6-v2", "sum", "  012345678901234567", "  890123456789",
    ]  # fmt: skip
    assert entries({}, PIPE) == ""


def test_a_list_of_parts_breaks_between_these():
    line = "library · 169 items · attention spread over about 17 · chance that nothing fits <0.1%"
    halves = ["library · 169 items · attention spread over about 17 ·", "chance that nothing fits <0.1%"]
    assert wrap(line, Screen(width=80)).splitlines() == halves
    assert wrap(line, Screen(width=85)).splitlines() == halves
    assert wrap(line, Screen(width=87)).splitlines() == [line]
    assert max(map(len, wrap(line, Screen(width=16)).splitlines())) <= 16


def test_no_dot_has_a_line_of_its_own():
    assert wrap("137 requests with an answer · library", Screen(width=27)).splitlines() == [
        "137 requests with an answer", "library",
    ]  # fmt: skip
    assert wrap("137 requests with an answer · library", Screen(width=29)).splitlines() == [
        "137 requests with an answer ·", "library",
    ]  # fmt: skip


@pytest.mark.parametrize("colors", [0, 16, 256, 1 << 24])
def test_an_ellipsis_in_ascii_leaves_colors_whole(colors):
    from rich.text import Text

    parts = [("… moon …", "dim"), (" "), ("sea…", "#00a0ff on #102030"), (" … "), ("…", "bold")]
    drawn = simplified(draw(Text.assemble(*parts), Screen(colors=colors, unicode=False)))
    plain = re.sub(r"\x1b\[[\d;]+m", "", drawn)
    assert "\x1b" not in plain
    assert plain.split() == ["...", "moon", "...", "s...", "...", "..."]
