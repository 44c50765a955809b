from __future__ import annotations

import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.output.columns import ANSWERS, choose_columns, field_texts
from attnsearch.output.safe_text import inert
from attnsearch.sources.fields import UNNAMED, Fields
from tests.asking import query


@pytest.fixture
def show(write, small):
    """The headers and the first item's cells for --show, in a catalog of these items."""

    def show(items, *names, form="table", fields=UNNAMED):
        update([str(write("x.json", json.dumps(items)))], fields=fields)
        with Index.open("x") as index:
            shown = choose_columns([index.store], names, form)
            hit = next(hit for hit in query(index, "moon").hits if hit.id == "a")
        return dict(zip([column.header for column in shown.columns], shown.cells(hit), strict=True))

    return show


ITEM = {"id": "a", "title": "moon", "description": "Up there", "tags": ["big", "far"], "year": 1969,
        "by": {"name": "Ann", "born": 1930}}  # fmt: skip
PLAIN = {"tags": "big; far", "year": "1969", "by.name": "Ann", "by.born": "1930"}


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_separated_values_have_all_plain_fields(show, form):
    assert show([ITEM], form=form) == show([ITEM], "all", form=form) == PLAIN
    assert show([ITEM], "none", form=form) == {}


@pytest.mark.parametrize("form", ["table", "md", "json"])
def test_others_have_those_that_are_asked_for(show, form):
    assert show([ITEM], form=form) == show([ITEM], "none", form=form) == {}
    assert show([ITEM], "all", form=form) == PLAIN
    assert list(show([ITEM], "year", "tags", "year", form=form).items()) == [("year", "1969"), ("tags", "big; far")]


def test_prose_is_shown_when_asked_for(show):
    """The columns description and passage have it."""
    item = {"id": "a", "title": "moon", "overview": "Up there", "author": "Ann", "genres": ["sky", "night"]}
    assert show([item], form="csv") == {"author": "Ann", "genres": "sky; night"}
    assert show([item], "all", "overview", form="csv") == {**show([item], form="csv"), "overview": "Up there"}


def test_fields_that_are_the_id_and_the_title(show):
    items = [{"sku": "a", "product": "moon", "price": 3}, {"sku": "b", "product": "sea", "price": 5}]
    fields = Fields(("sku",), "product", ("product",))
    assert show(items, form="csv", fields=fields) == {"price": "3"}
    assert show(items, "sku", "product", "id", fields=fields) == {"sku": "a", "product": "moon", "id": "a"}
    assert show(items, "sku", "id", "title", "description", form="csv", fields=fields) == {"sku": "a"}


def test_a_wrapped_id_and_title(show):
    item = {"_id": {"$oid": "a"}, "title": {"rendered": "moon"}, "content": {"rendered": "Up there"}, "n": 1}
    assert show([item, {**item, "_id": {"$oid": "b"}}], form="csv") == {"n": "1"}


def test_no_two_columns_have_the_same_header(show):
    item = {**{name: f"the {name}" for name in ANSWERS}, "id": "a", "title": "moon", "fields": {"score": 1, "logit": 2}}
    item["fields.rank"] = 3
    cells = show([item], form="csv")
    assert cells["fields.weight"] == "the weight"
    assert (cells["fields.fields.score"], cells["fields.score"]) == ("the score", "1")
    assert (cells["fields.fields.rank"], cells["fields.rank"]) == ("the rank", "3")
    assert not {*cells} & {*ANSWERS}
    assert show([item], "weight", "fields.weight", "score") == {
        "fields.weight": "the weight", "fields.fields.score": "the score",
    }  # fmt: skip


def test_names_that_are_shown_alike(show):
    """White space and controls are spelled out, and then names may be equal."""
    item = {"id": "a", "title": "moon", "a  b": 1, "a b": 2, "a\tb": 3, "\x1b": 4, "\\x1b": 5}
    assert show([item], form="csv") == {
        "fields.a b": "1", "a b": "2", "fields.fields.a b": "3", "fields.\\x1b": "4", "\\x1b": "5",
    }  # fmt: skip
    assert show([item], "a b", "a\tb") == {"a b": "2", "fields.fields.a b": "3"}


def test_another_field_with_the_name_of_an_items_own(show):
    items = [{"sku": "a", "id": 7, "product": "moon", "title": "Dr."}, {"sku": "b", "product": "sea"}]
    fields = Fields(("sku",), "product", ("product",))
    assert show(items, "id", "title", fields=fields) == {"fields.id": "7", "fields.title": "Dr."}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["yaer"], "no item of x has a field 'yaer'; did you mean 'year'?"),
        (["year", "by"], "no item of x has a field 'by'; say which: by.name, by.born"),
        (["year, by.name"], "no item of x has a field 'year, by.name'; say --show year --show by.name"),
        (["year,yaer"], "no item of x has a field 'year,yaer'; did you mean 'year'?"),
        (["fields.yaer"], "no item of x has a field 'fields.yaer'; did you mean 'year'?"),
        (["none", "year"], "--show none and other fields exclude each other; leave one of them out"),
        (["all", "none"], "--show none and other fields exclude each other; leave one of them out"),
    ],
)
def test_refused(show, names, message):
    for form in ("table", "csv", "json"):
        with pytest.raises(InputError) as caught:
            show([ITEM], *names, form=form)
        assert f"{caught.value.message}; {caught.value.hint}" == message


@pytest.mark.parametrize(("word", "meaning"), [("all", "all fields"), ("none", "no fields")])
def test_a_field_with_the_name_of_a_word(show, word, meaning):
    item = {**ITEM, word: 5}
    with pytest.raises(InputError) as caught:
        show([item], word)
    assert f"{caught.value.message}; {caught.value.hint}" == (
        f"--show {word} can mean {meaning}, or the field '{word}'; write fields.{word} for the field"
    )
    assert show([item], f"fields.{word}") == {word: "5"}
    assert show([item], form="csv")[word] == "5"


def test_a_field_that_the_catalog_does_not_list(show, monkeypatch):
    monkeypatch.setattr("attnsearch.sources.summary.MOST_FIELDS", 4)
    items = [{"id": "a", "title": "moon", "one": 1, "two": 2, "three": {"four": 3}}]
    assert show(items, "three.four") == {"three.four": "3"}
    with pytest.raises(InputError):
        show(items, "five")


def test_values():
    fields = {"yes": True, "no": False, "big": 10**30, "part": 0.1, "nothing": None, "empty": [], "text": " a; b ",
              "parts": [{"e": 1}, {"e": [True, None, "x"]}]}  # fmt: skip
    assert field_texts(fields) == {
        "yes": "true", "no": "false", "big": "1" + "0" * 30, "part": "0.1", "text": " a; b ",
        "parts.e": "1; true; x",
    }  # fmt: skip


@given(st.lists(st.text('ab;" ,\t', max_size=6), min_size=1, max_size=5))
def test_a_list_can_be_read_back(values):
    (text,) = field_texts({"x": values}).values()
    (row,) = csv.reader([text], delimiter=";", skipinitialspace=True)
    assert row == values
    assert inert(text).count('"') == text.count('"')
