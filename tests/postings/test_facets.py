from __future__ import annotations

from contextlib import closing
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.postings import field
from attnsearch.postings.conditions import conditions_of
from attnsearch.postings.facets import Collector, item_values
from attnsearch.postings.filters import parse_filter
from attnsearch.postings.values import Values
from attnsearch.sources.fields import Fields
from attnsearch.sources.items import Item
from tests.postings.parts import values_of

ITEMS = [
    Item(
        "a",
        "Moon",
        "white",
        {"year": 1969, "tags": ["Dust", "dust", "cold", "cold"], "author": {"name": "Ann"}, "ok": True},
        "",
    ),
    Item("b", "Sea", "blue", {"year": "2000", "tags": "salt", "author": [{"name": "Bo"}, {"name": "Ann"}]}, ""),
    Item(
        "c", "Robot", "", {"year": None, "tags": [], "a.b": "dot", "note": "  ", "price": 9.5, "born": "1999-05-01"}, ""
    ),
]


def select(values: Values, where: str) -> np.ndarray:
    return values.select_keys(conditions_of(parse_filter(where), values.kind))


def collect(field: str, items=ITEMS, **options) -> dict[str, list[int]]:
    with values_of(field, items, **options) as values:
        return {facet.value: facet.keys.tolist() for facet in values.read_facets()}


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("year", {"1969": [0], "2000": [1]}),
        ("tags", {"Dust": [0], "dust": [0], "cold": [0], "salt": [1]}),
        ("author.name", {"Ann": [0, 1], "Bo": [1]}),
        ("a.b", {"dot": [2]}),
        ("ok", {"true": [0]}),
        ("author", {'{"name": "Ann"}': [0, 1], '{"name": "Bo"}': [1]}),
        ("note", {}),
        ("nothing", {}),
        ("id", {"a": [0], "b": [1], "c": [2]}),
        ("title", {"Moon": [0], "Sea": [1], "Robot": [2]}),
        ("description", {"white": [0], "blue": [1]}),
        ("author.name.first", {}),
    ],
)
def test_values(field, values):
    assert collect(field) == values


def test_the_fields_that_are_id_and_title():
    item = Item("7", "Lamp", "", {}, "")
    assert list(item_values(item, "sku", Fields(("sku",), "product"))) == ["7"]
    assert list(item_values(item, "product", Fields(("sku",), "product"))) == ["Lamp"]


def test_the_buffer_is_bounded():
    items = [Item(f"{n}", "x", "", {"tags": [f"{n % 3}", "all"]}, "") for n in range(10)]
    with closing(Collector(["tags"], Fields(), 10, size=3)) as collector:
        for key, item in enumerate(items):
            collector.add(key, item)
            assert sum(map(len, collector.buffer["tags"].values())) < 3
    assert collect("tags", items, size=3) == {f"{r}": [n for n in range(10) if n % 3 == r] for r in range(3)} | {
        "all": list(range(10))
    }


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("year < 1970", [0]),
        ("year>=1969", [0, 1]),
        ("year ~ 9", [0]),
        ("year = 2000,1969", [0, 1]),
        ("year?", [0, 1]),
    ],
)
def test_conditions(where, keys):
    with values_of("year", ITEMS) as values:
        assert sorted(set(select(values, where).tolist())) == keys


@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", "=", "!="])
@pytest.mark.parametrize("length", [1, 2, 3, 1000])
def test_runs_of_many_values(op, length):
    """Numbers and dates, some of them equal, in short runs: as if each were compared by itself."""
    days = [f"2020-{1 + n % 12:02}-{1 + n % 5:02}" for n in range(40)]
    numbers = [n * 7 % 31 / 2 for n in range(40)]
    texts = [f"{number:g}" if n % 4 else f"{number:.2f}" for n, number in enumerate(numbers)]  # the same in two ways
    items = [Item("", "", "", {"n": text, "when": day}, "") for text, day in zip(texts, days, strict=True)]
    compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}.get(op, np.equal)
    cases = (("n", np.array(numbers), [-1, 0, 3.5, 7, 15, 99]), ("when", np.array(days), days[:12]))
    for name, column, bounds in cases:
        with values_of(name, items, run=length, cuts=(1, 17)) as values:
            for bound in bounds:
                keys = select(values, f"{name} {op} {bound}")
                assert np.unique(keys).tolist() == np.flatnonzero(compare(column, bound)).tolist()


@pytest.mark.parametrize("length", [1, 2, 3, 1000])
def test_ranges_over_runs(length):
    """Ranges that begin or end at the ends of runs, within them, between them, and outside of all values."""
    days = [f"2020-01-{1 + n * 7 % 31:02}" for n in range(31)]
    items = [Item("", "", "", {"n": str(n * 7 % 31 * 2), "when": day}, "") for n, day in enumerate(days)]
    with values_of("n", items, run=length, cuts=(9,)) as numbers, values_of("when", items, run=length) as dates:
        for low in range(-1, 62, 3):
            for high in range(low, 64, 4):
                keys = select(numbers, f"n between {low} and {high}")
                expected = [n for n in range(31) if low <= n * 7 % 31 * 2 <= high]
                assert np.unique(keys).tolist() == expected, (low, high)
        for low in range(1, 32, 2):
            for high in range(low, 32, 3):
                keys = select(dates, f"when between 2020-01-{low:02} and 2020-01-{high:02}")
                expected = [n for n, day in enumerate(days) if low <= int(day[-2:]) <= high]
                assert np.unique(keys).tolist() == expected, (low, high)


@pytest.mark.parametrize("length", [1, 2, 1000])
def test_numbers_are_compared_exactly(length):
    """Ids of 19 digits and more, neighbors of 2^53 and 2^63, and exponents beyond float64, each as its own number."""
    texts = [
        "1234567890123456789", "1234567890123456790", "1234567890123456800", "1234567890123456789.5", "1e400", "-1e400",
        "1e-400", "-1e-400", "0", "-0.0", "1.10", "1.1", str(10**400), "9" * 400,
        *(str(sign * power + step) for power in (2**53, 2**63) for sign in (1, -1) for step in (-1, 0, 1)),
    ]  # fmt: skip
    compare = {
        "=": Fraction.__eq__, "<": Fraction.__lt__, "<=": Fraction.__le__, ">": Fraction.__gt__, ">=": Fraction.__ge__
    }  # fmt: skip
    with values_of("n", [Item("", "", "", {"n": value}, "") for value in texts], run=length, cuts=(7,)) as values:
        for op, holds in compare.items():
            for bound in texts:
                keys = select(values, f"n {op} {bound}")
                expected = [n for n, value in enumerate(texts) if holds(Fraction(value), Fraction(bound))]
                assert np.unique(keys).tolist() == expected, (op, bound)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2000", "1969", "old", "1969.0"], (False, [1969, 2000], [2, 1], [1, 3, 0])),
        (["1970-01-02", "1970-01-01", "1970-01-01"], (True, [0.0, 86_400.0], [2, 1], [1, 2, 0])),
        (["5", "x"], None),
        (["5", "x", "1970-01-02"], None),
        (["x"], None),
        (["1e400", "5", "9007199254740993", "9007199254740992"], (False, [5, 2**53], [1, 2], [1, 2, 3])),
        (["1e400", "-1e400", "5"], None),
    ],
)
def test_numbers_or_dates_whichever_prevail(values, expected):
    with values_of("f", [Item("", "", "", {"f": value}, "") for value in values]) as values:
        measured = values.read_measured()
    if expected is None:
        assert measured is None
    else:
        assert (measured.is_date, *(part.tolist() for part in measured[1:])) == expected


texts_of_any_kind = st.sampled_from(
    ["1960", "1960.0", "5", "7,5", "1.234", "1,234", "05/06/2021", "25/12/2021", "2020-01-02", "yes", "no", "red",
     "Red", "12 €", "$3", "5%", "", "NULL", "1e400"]
)  # fmt: skip
filters = st.sampled_from(
    ["f = 1960", "f > 6", "f <= 1960", "f between 5 and 2000", "f = red", "f ~ r", "f?", "f = yes", "f != 5",
     "f >= 2020-01-01", "f = 05/06/2021"]
)  # fmt: skip


@given(st.lists(st.lists(texts_of_any_kind, max_size=3), min_size=1, max_size=10), filters, st.data())
def test_any_segments_and_removed_items_are_as_in_one_that_is_new(lists, where, data):
    """Kinds, filters, numbers, values and messages, whatever segments the items lie in, and what was in them before."""
    items = [Item("", "", "", {"f": texts}, "") for texts in lists]
    cuts = sorted(data.draw(st.sets(st.sampled_from(range(len(items))))) - {0})
    dead = data.draw(st.sets(st.sampled_from(range(len(items)))))
    living = [number for number in range(len(items)) if number not in dead]
    asked = parse_filter(where)

    def describe(values, number_of):
        answers = [values.kind, values.count, field.find_near_value(values, "rad")]
        answers.append({facet.value: [number_of[key] for key in facet.keys.tolist()] for facet in values.read_facets()})
        if values.kind.unread:
            answers.append(field.describe_unread(values, values.kind))
        if measured := values.read_measured():
            answers += [measured.is_date, measured.numbers.tolist(), measured.counts.tolist()]
            answers.append([number_of[key] for key in measured.keys.tolist()])
            answers.append(field.measured_kind(values, is_date=measured.is_date))
        try:
            kind = field.check_filter(values, asked)
            keys = values.select_keys(conditions_of(asked, kind))
            answers.append(sorted({number_of[key] for key in keys.tolist()}))
        except InputError as error:
            answers.append((str(error), error.hint))
        return answers

    with (
        values_of("f", items, cuts=cuts, dead=dead) as some,
        values_of("f", [items[number] for number in living]) as anew,
    ):
        assert describe(some, dict(enumerate(range(len(items))))) == describe(anew, dict(enumerate(living)))


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE facets SET rows = x'00'",
        "UPDATE facets SET rows = x'ffff'",
        "UPDATE facets SET rows = 7",
        "UPDATE forms SET rows = x'ffff'",
        "UPDATE forms SET rows = 'sand'",
    ],
)
def test_what_no_index_writes(script):
    with values_of("year", ITEMS) as values:
        values.parts[0].db.execute(script)
        with pytest.raises((ValueError, TypeError, LookupError)):
            Values(values.parts).read_facets()
