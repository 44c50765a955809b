from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from rich.cells import cell_len

from attnsearch.output.items import render
from attnsearch.output.safe_text import PIPE, Screen
from attnsearch.sources.fields import Fields
from attnsearch.sources.items import Item
from attnsearch.storage.store import ItemSpan
from tests.output.examples import NASTY, RAW

POEM = "A line\n    indented\n\nthe last 月面基地 " + "long " * 30 + "word" * 60
ITEM = Item("a", "First", POEM, {"year": 1965, "by": {"name": "Ann"}, "tags": ["x", "y; z"], "body": POEM}, "the text")
WHOLE = [ItemSpan(ITEM, 0, 8)]


def drawn(*items, form="table", screen=PIPE, **options):
    info = SimpleNamespace(name="/home/ann/shop.csv", fields=Fields(text=("title", "body")))
    return "".join(render(items or [WHOLE], info, form, screen, **options))


def test_an_item_has_everything():
    lines = drawn(screen=Screen(width=600)).splitlines()
    assert lines[:6] == ["First", "a · shop.csv", "", "A line", "    indented", ""]
    assert lines[7:12] == ["", "year     1965", "by.name  Ann", 'tags     x; "y; z"', "body     A line"]
    assert lines[12:14] == ["             indented", ""]
    assert lines[14] == f"         {' '.join(POEM.splitlines()[-1].split())}"


def test_without_a_title_or_anything_else():
    assert drawn([ItemSpan(Item("a", "", "", {}, "a"), 0, 1)]) == "a\na · shop.csv\n"


@pytest.mark.parametrize("width", [20, 40, 41, 80, 200])
def test_it_fits_the_window(width):
    """Nothing is cut."""
    out = drawn(screen=Screen(width=width))
    assert all(cell_len(line) <= width for line in out.splitlines())
    letters = "".join(out.split())
    assert letters.count("word" * 60) == letters.count("月面基地") == 2
    assert "    indented\n" in out


def test_a_pipe_is_a_hundred_wide():
    assert max(map(cell_len, drawn().splitlines())) == 100


def test_its_passages():
    item = ITEM._replace(text="one two three")
    places = [ItemSpan(item, 0, 7), ItemSpan(item, 4, 99)]
    assert drawn(places, screen=Screen(width=400)).splitlines()[-3:] == [
        "2 passages, as the encoder reads them:", "1  one two", "2  two three",
    ]  # fmt: skip
    assert "passages" not in drawn()
    assert json.loads(drawn(places, form="json"))["passages"] == [
        {"start": 0, "stop": 7, "text": "one two"}, {"start": 4, "stop": 13, "text": "two three"},
    ]  # fmt: skip


def test_json():
    fields = json.loads(drawn(form="json"))
    assert fields == {
        "schema": 1, "catalog": "/home/ann/shop.csv", "id": "a", "title": "First", "description": POEM,
        "fields": ITEM.fields, "text": "the text", "passages": [{"start": 0, "stop": 8, "text": "the text"}],
    }  # fmt: skip
    assert json.loads(drawn(form="json", several=True)) == [fields]
    assert [json.loads(line) for line in drawn(WHOLE, WHOLE, form="jsonl").splitlines()] == [fields, fields]


def test_several_are_parted():
    assert drawn(WHOLE, WHOLE, screen=Screen(width=60)).count("\n\n" + "─" * 60 + "\n\nFirst\n") == 1
    assert "\n\n" + "-" * 60 + "\n\nFirst\n" in drawn(WHOLE, WHOLE, screen=Screen(width=60, unicode=False))


@pytest.mark.parametrize("form", ["table", "json", "jsonl"])
@pytest.mark.parametrize("screen", [PIPE, Screen(width=80), Screen(width=20), Screen(width=80, colors=256)])
def test_nothing_acts_on_a_terminal(form, screen):
    item = Item(NASTY, NASTY, NASTY, {NASTY: NASTY, "list": [NASTY, {NASTY: NASTY}]}, NASTY)
    out = drawn([ItemSpan(item, 0, 5), ItemSpan(item, 5, 99)], form=form, screen=screen)
    assert not RAW.search(re.sub(r"\x1b\[[0-9;]*m", "", out) if screen.colors and form == "table" else out)
    assert "x1b]52" in "".join(out.split()) or form != "table"


def test_the_title_leads_to_the_address():
    item = ITEM._replace(fields={"url": "https://example.org/a"})
    screen = Screen(width=80, colors=256, links=True)
    assert ";https://example.org/a\x1b\\" in drawn([ItemSpan(item, 0, 8)], screen=screen).splitlines()[0]
    assert "]8;" not in drawn([ItemSpan(item, 0, 8)], screen=screen._replace(links=False))


def test_html_that_is_embedded_is_shown_as_text():
    item = Item("a", "First", "", {"body": "<p>one</p><p>two &amp; three</p>", "note": "<b>bold</b>"}, "the text")
    assert drawn([ItemSpan(item, 0, 8)]).splitlines()[3:] == ["body  one", "      two & three", "note  <b>bold</b>"]
    assert json.loads(drawn([ItemSpan(item, 0, 8)], form="json"))["fields"] == item.fields
