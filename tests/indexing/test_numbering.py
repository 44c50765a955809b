"""Items of equal titles each get an id, and keep it however the file is ordered, and whatever comes or goes."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.indexing import check, update
from attnsearch.indexing.changes import number_items
from attnsearch.sources.items import Item
from attnsearch.storage.store import Store

FILMS = [
    {"title": "Robin the Archer", "year": 1938, "overview": "An outlaw robs the rich."},
    {"title": "Robin the Archer", "year": 2010, "overview": "An outlaw comes home from a war."},
    {"title": "Beauty", "year": 2010, "overview": "A swan learns to sing."},
]


def item(title, own_id=None, **fields):
    ident = own_id or title.lower().replace(" ", "-")
    return Item(ident, title, "", fields, f"{title}. {fields}", has_own_id=own_id is not None)


@pytest.fixture
def index(write, small, home):
    """Index records as one catalog; the year of each item by its id."""

    def index(records, **options):
        path = write("films.jsonl", "".join(json.dumps(record) + "\n" for record in records))
        update.update([str(path)], **options)
        with Store(home / "films") as store:
            return {item.id: item.fields.get("year") for _, item in store.items()}

    return index


def test_each_item_gets_an_id(index, home):
    assert index(FILMS) == {"robin-the-archer": 2010, "robin-the-archer-2": 1938, "beauty": 2010}
    assert check.find_problems(home / "films") == []


@pytest.mark.parametrize("seed", range(5))
def test_the_order_does_not_matter(index, seed):
    films = [*FILMS, *({"title": "Robin the Archer", "year": year} for year in range(1950, 1960))]
    first = index(films)
    for _ in range(2):
        random.Random(seed).shuffle(films)
        assert index(films) == first


def test_what_comes_and_goes_leaves_the_others_their_ids(index):
    first = index(FILMS)
    assert index(FILMS[:1]) == {"robin-the-archer-2": 1938}
    assert index(FILMS) == first
    new = {"title": "Robin the Archer", "year": 1991}
    assert index([new, *FILMS]) == {**first, "robin-the-archer-3": 1991}
    assert index([new, FILMS[0], FILMS[2]]) == {"robin-the-archer-2": 1938, "beauty": 2010, "robin-the-archer-3": 1991}


def test_one_that_is_edited_keeps_its_id(index):
    first = index(FILMS)
    edited = [{**film, "overview": f"{film['overview']} In color."} for film in FILMS]
    assert index(edited[::-1]) == first
    assert index([{**film, "title": film["title"].upper()} for film in edited]) == first


@pytest.mark.parametrize(
    ("items", "ids"),
    [
        ([item("Dune"), item("Dune")], ["dune", "dune-2"]),
        ([item("Dune", "dune"), item("Dune")], ["dune", "dune-2"]),
        ([item("Dune"), item("Other", "dune")], ["dune-2", "dune"]),
        ([item("Dune"), item("Dune"), item("Dune 2")], ["dune", "dune-3", "dune-2"]),
        ([item("Dune"), item("Other", "dune"), item("X", "dune-2")], ["dune-3", "dune", "dune-2"]),
        ([item("Dune", a=2), item("Dune", a=1)], ["dune-2", "dune"]),
    ],
)
def test_numbers(items, ids):
    assert [item.id for item in number_items(items, [])] == ids


@pytest.mark.parametrize(
    ("stored", "items", "ids"),
    [
        ([("dune-2", item("Dune", a=1))], [item("Dune", a=1)], ["dune-2"]),
        ([("dune-2", item("Dune", a=1))], [item("Dune 2")], ["dune-2-2"]),
        ([("dune-2", item("Dune 2"))], [item("Dune 2"), item("Dune"), item("Dune")], ["dune-2", "dune", "dune-3"]),
        ([("dune", item("Dune", a=1))], [item("Dune", a=2)], ["dune"]),
        ([("dune", item("Dune", a=1, b=1))], [item("Dune", a=2, b=2), item("Dune", a=1, b=3)], ["dune-2", "dune"]),
        ([("dune", item("Other"))], [item("Dune")], ["dune-2"]),
        ([("dune-02", item("Dune"))], [item("Dune")], ["dune"]),
        ([("dune-2", item("dune-2", a=1))],
         [item("dune-2", a=1), item("dune-2", a=2), item("dune", a=1), item("dune", b=1)],
         ["dune-2", "dune-2-2", "dune", "dune-3"]),
    ],
)  # fmt: skip
def test_numbers_beside_stored_items(stored, items, ids):
    assert [item.id for item in number_items(items, [item._replace(id=ident) for ident, item in stored])] == ids


@given(
    st.lists(st.tuples(st.sampled_from(["Dune", "Dune 2", "dune!", "dune-2", "Sea"]), st.integers(0, 3)), max_size=9),
    st.randoms(),
)
def test_ids_are_unique_and_stay(records, shuffling):
    items = [item(title, n=n)._replace(id=title.lower().strip("!").replace(" ", "-")) for title, n in records]
    first = number_items(items, [])
    assert len({row.id for row in first}) == len(items)
    shuffling.shuffle(items)
    again = number_items(items, first)
    assert sorted((row.id, row.title, row.fields["n"]) for row in again) == sorted(
        (row.id, row.title, row.fields["n"]) for row in first
    )


def test_an_id_that_the_file_says_twice(index, write):
    with pytest.raises(InputError) as caught:
        index([{"id": 1, "title": "A", "year": 7}, {"id": 1, "title": "A", "year": 8}])
    assert str(caught.value).endswith(
        "films.jsonl:2: id '1' was already used on line 1;"
        " name fields that tell items apart: --id-field id --id-field FIELD, of title, year"
    )


def test_an_id_of_two_fields(index):
    from attnsearch.sources.fields import Fields

    films = index(FILMS, fields=Fields(("title", "year")))
    assert films == {"Robin the Archer/1938": 1938, "Robin the Archer/2010": 2010, "Beauty/2010": 2010}
