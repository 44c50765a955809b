"""The summary of a catalog's fields after any changes is that of its items."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.sources import summary
from attnsearch.sources.fields import Fields, leaves
from attnsearch.sources.kinds import interpret
from attnsearch.sources.summary import Summary, from_cells, item_leaves, to_cells

VALUES = st.one_of(
    st.integers(-20, 2_000), st.booleans(), st.none(), st.lists(st.sampled_from(["a", "b", 3]), max_size=3),
    st.sampled_from(["x", "y", "2021-05-17", "17.05.2021", "1,5", "$7", "yes", "", " z "]),
    st.sampled_from(["12.50", "1.234", "1e400", "1e401", "1984", "2021-05-18", "May 2021"]),
)  # fmt: skip
ITEMS = st.lists(st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4), max_size=12)


def count(items, known=None):
    """The fields of these items, counted as the catalog does it."""
    known = known or Summary()
    for item in items:
        known.add(leaves(item))
    return settle(known, items)


def settle(known, items):
    while (names := known.restart()) != frozenset():
        for item in items:
            known.add(leaves(item), names)
    return known.fields()


def by_name(fields, *, with_counts=True):
    return {field.name: field if with_counts else field._replace(counts=None) for field in fields}


@pytest.mark.parametrize("most", [1_000, 2, 0])
@given(stored=ITEMS, gone=st.sets(st.integers(0, 11)), new=ITEMS)
def test_items_that_come_and_go(most, stored, gone, new):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "MOST_VALUES", most)
        known = Summary(from_cells(to_cells(field)) for field in count(stored))
        for number in gone:
            if number < len(stored):
                known.remove(leaves(stored[number]))
        for item in new:
            known.add(leaves(item))
        left = [item for number, item in enumerate(stored) if number not in gone] + new
        fields = settle(known, left)
        # What could not be counted once is only counted again when it must be.
        assert by_name(fields, with_counts=most == 1_000) == by_name(count(left), with_counts=most == 1_000)


@given(items=ITEMS)
def test_more_fields_than_are_counted(items):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "MOST_FIELDS", 2)
        names = [name for item in items for name, value in item.items() if value not in (None, "", [])]
        assert [field.name for field in count(items)] == list(dict.fromkeys(names))[:2]


def test_by_hand():
    items = [{"year": 1851, "tags": ["a", "b"]}, {"year": "1897", "tags": "a"}, {"year": "n/a", "x": {"y": True}}]
    year, tags, inner = count(items * 10)
    assert (year.kind.name, year.items, year.kind.unread, year.low, year.high) == ("mixed", 30, 10, "", "")
    assert (tags.items, tags.lists, tags.counts, tags.commonest(1)) == (20, 10, {"a": 20, "b": 10}, ["a"])
    assert (inner.name, inner.kind.name, inner.counts) == ("x.y", "yes/no", {"true": 10})
    (price,) = count([{"price": f"{n}.5"} for n in range(1_500)] + [{"price": "free"}])
    assert (price.kind.name, price.kind.unread, price.low, price.high) == ("number", 1, "0.5", "1499.5")
    assert price.counts is None


ALIKE = [
    ["1", "1.5", "1.50", "$7", "9007199254740992", "9007199254740993", "1e400", "1e401", "-3", "-3.0", "1,234.5"],
    ["1", "1,5", "1.234", "12,99", "400", "-7", "-7,5", "2.000"],
    ["2021-05-17", "2021-05-18", "1984", "2021", "May 2021", "1984-01-01", "2021/05/17", "17.05.2021"],
]


@pytest.mark.parametrize("values", ALIKE)
@given(data=st.data())
def test_the_ends_are_those_of_all_values(values, data):
    texts = data.draw(st.lists(st.sampled_from(values), min_size=4, max_size=12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summary, "MOST_VALUES", 1)
        (field,) = count([{"f": text} for text in texts])
    meanings = [(interpret(text, field.kind), text) for text in texts]
    measured = [(meaning.begin if meaning.number is None else meaning.number, text) for meaning, text in meanings]
    measured = [(measure, text) for measure, text in measured if measure is not None]
    if field.counts is None and field.kind.name in ("number", "date"):
        assert (field.low, field.high) == (min(measured)[1], max(measured)[1])


def test_the_kind_is_that_of_all_values():
    """The first thousand are in doubt between day and month; a later one settles it."""
    dates = [f"{1 + n % 12:02}/{1 + n % 11:02}/{1900 + n}" for n in range(1_100)]
    (field,) = count([{"f": date} for date in [*dates, "25/12/1850"]])
    assert (field.kind.name, field.kind.order, field.low) == ("date", "day", "25/12/1850")


def test_the_id_and_the_title_are_fields_too():
    fields = Fields(("sku",), "product")
    assert dict(item_leaves("7", "Lamp", "Light.", {"price": 2}, fields)) == {
        "sku": "7", "product": "Lamp", "description": "Light.", "price": 2,
    }  # fmt: skip
    assert dict(item_leaves("lamp", "Lamp", "", {}, Fields((), ""))) == {}
    assert dict(item_leaves("a/b", "", "", {"x": "a", "y": "b"}, Fields(("x", "y")))) == {"x": "a", "y": "b"}


@pytest.mark.parametrize(("gone", "ends"), [(0, ("1.5", "1499.5")), (1_499, ("0.5", "1498.5")), (7, ("0.5", "1499.5"))])
def test_the_lowest_of_many_goes(gone, ends):
    items = [{"price": f"{n}.5"} for n in range(1_500)]
    known = Summary(count(items))
    known.remove(leaves(items.pop(gone)))
    (price,) = settle(known, items)
    assert (price.low, price.high, price.items) == (*ends, 1_499)
