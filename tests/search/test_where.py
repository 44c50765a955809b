"""Random catalogs and random trees of filters: the road against a plain evaluation of the same tree in Python."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.opening.index import Index
from attnsearch.postings.filters import parse_filter
from attnsearch.search.search import search
from attnsearch.search.setting import Setting, bias_of
from tests.asking import query
from tests.search.conftest import index_items

COMPARE = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
SAME = {"==": "=", "<>": "!=", "in": "=", "not in": "!=", "not between": "between", "has": "?"}
NUMBERS = st.integers(-400, 400).map(lambda n: Decimal(n) * 25 / 4).map(lambda n: n.quantize(Decimal("0.01")))
DATES = st.dates(date(2019, 11, 1), date(2020, 3, 31)) | st.sampled_from([date(2020, 1, 1), date(2019, 12, 31)])
WORDS = st.sampled_from(["moon", "Moonlight", "sea", "SEA", "a, b", "it's", "and", "(x)", 'say "hi"', "ocean or sea"])
FLAGS = st.booleans()


def in_custom(number: Decimal, group: str, decimal: str) -> str:
    return f"{number:,.2f}".replace(",", "_").replace(".", decimal).replace("_", group)


WRITE_NUMBER = {
    "plain": str,
    "dollars": lambda n: f"${in_custom(n, ',', '.')}".replace("$-", "-$"),
    "euros": lambda n: f"{in_custom(n, '.', ',')}\u00a0€",
    "spaces": lambda n: in_custom(n, "\u202f", ","),
}
WRITE_DATE = {
    "iso": date.isoformat,
    "slashes": lambda day: day.strftime("%Y/%m/%d"),
    "day first": lambda day: day.strftime("%d.%m.%Y"),
    "month first": lambda day: day.strftime("%m/%d/%Y"),
    "words": lambda day: day.strftime("%B %d, %Y"),
}
WRITE_FLAG = {True: ["TRUE", "yes", "True"], False: ["FALSE", "No", "false"]}
FULL = {"n": [Decimal("1234567.25")], "when": [date(2020, 12, 31)], "word": ["zebra"], "flag": [True]}


class Leaf(NamedTuple):
    """A filter as it is asked: its operator as written, and what it compares with."""

    field: str
    op: str
    bounds: list


class Joined(NamedTuple):
    op: str
    parts: list


@st.composite
def leaves(draw) -> Leaf:
    field = draw(st.sampled_from(["n", "when", "word", "flag"]))
    bounds = {
        "n": NUMBERS,
        "when": DATES.map(str) | DATES.map(lambda day: str(day)[:7]) | DATES.map(lambda day: str(day)[:4]),
        "word": WORDS | st.sampled_from(["mOO", "e", "zebra"]),
        "flag": FLAGS,
    }[field]
    equal = ["=", "==", "!=", "<>", "in", "not in", "?", "has"]
    ordered = ["<", "<=", ">", ">=", "between", "not between"]
    op = draw(st.sampled_from(equal if field == "flag" else [*equal, *ordered, "~"]))
    least, most = {"?": (0, 0), "has": (0, 0), "between": (2, 2), "not between": (2, 2)}.get(op, (1, 3))
    asked = draw(st.lists(bounds, min_size=least, max_size=1 if op in COMPARE and op[0] in "<>" else most))
    if "between" in op:
        asked.sort()
    return Leaf(field, op, asked)


TREES = st.recursive(
    leaves(),
    lambda trees: (
        st.builds(Joined, st.just("not"), st.lists(trees, min_size=1, max_size=1))
        | st.builds(Joined, st.sampled_from(["and", "or"]), st.lists(trees, min_size=2, max_size=3))
    ),
    max_leaves=5,
)
VALUES = {"n": NUMBERS, "when": DATES, "word": WORDS, "flag": FLAGS}
ITEMS = st.lists(
    st.fixed_dictionaries({}, optional={name: st.lists(values, max_size=3) for name, values in VALUES.items()}),
    max_size=7,
)


def spell_tree(tree: Leaf | Joined, style: Callable[[int], int]) -> str:
    """The tree as a user writes it; `style` chooses quotes and parentheses."""
    if isinstance(tree, Joined):
        parts = [
            f"({spell_tree(part, style)})" if isinstance(part, Joined) else spell_tree(part, style)
            for part in tree.parts
        ]
        word = [tree.op, tree.op.upper()][style(2)]
        return f"{word} {parts[0]}" if tree.op == "not" else f" {word} ".join(parts)
    name = [tree.field, f'"{tree.field}"', f"'{tree.field}'"][style(3)]
    bounds = [{True: "yes", False: "FALSE"}[bound] if isinstance(bound, bool) else str(bound) for bound in tree.bounds]
    quotes = "'\""[style(2)]
    quoted = [quotes + bound.replace(quotes, quotes * 2) + quotes for bound in bounds]
    if tree.field != "word" and style(2):
        quoted = bounds
    match tree.op:
        case "?":
            return f"{name}?"
        case "has":
            return f"has {name}"
        case "in" | "not in":
            return f"{name} {tree.op} ({', '.join(quoted)})"
        case "between" | "not between":
            return f"{name} {tree.op} {quoted[0]} and {quoted[1]}"
    return f"{name} {tree.op} {','.join(quoted)}"


def holds(tree: Leaf | Joined, item: dict) -> bool:
    """What a tree means, in plain Python over the values themselves."""
    if isinstance(tree, Joined):
        results = [holds(part, item) for part in tree.parts]
        return {"and": all, "or": any, "not": lambda parts: not parts[0]}[tree.op](results)
    field, op, bounds = tree
    values = item.get(field, [])
    opposite = op in ("!=", "<>", "not in", "not between")
    op = SAME.get(op, op)
    return opposite != any(meets(value, "=" if op == "!=" else op, bounds) for value in values)


def meets(value: object, op: str, bounds: list) -> bool:
    if op == "?":
        return True
    if op == "~":
        return any(str(bound).casefold() in value.text.casefold() for bound in bounds)
    exact = value.value
    if isinstance(exact, date):  # of a date, as much as was asked for
        parts = [(str(exact)[: len(bound)], bound) for bound in bounds]
    else:
        parts = [(exact, bound) for bound in bounds]
    if op == "between":
        return parts[0][0] >= parts[0][1] and parts[1][0] <= parts[1][1]
    return any(COMPARE[op](part, bound) for part, bound in parts)


class Written(NamedTuple):
    value: object
    text: str


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    items=ITEMS,
    trees=st.lists(TREES, min_size=1, max_size=4),
    numbers=st.sampled_from(list(WRITE_NUMBER)),
    dates=st.sampled_from(list(WRITE_DATE)),
    data=st.data(),
)
def test_trees(write, fitted, items, trees, numbers, dates, data):
    def style(count: int) -> int:
        return data.draw(st.integers(0, count - 1))

    write_value = {"n": WRITE_NUMBER[numbers], "when": WRITE_DATE[dates], "word": str, "flag": lambda flag:
                   WRITE_FLAG[flag][style(3)]}  # fmt: skip
    rows = [
        {name: [Written(value, write_value[name](value)) for value in values] for name, values in row.items()}
        for row in [FULL, *items]
    ]
    listed = [
        {"id": f"{number}", "title": "moon", **{name: [value.text for value in values] for name, values in row.items()}}
        for number, row in enumerate(rows)
    ]
    with Index.open(index_items(write, "random", listed)) as index:
        for tree in trees:
            text = spell_tree(tree, style)
            visible = bias_of(index, [""], [parse_filter(text)], 0.0, {}).visible
            keys = index.store.keys_of(item["id"] for item in listed)
            passing = [bool(visible[keys[item["id"]][0]]) for item in listed]
            assert passing == [holds(tree, row) for row in rows], text


SHELF = [
    {
        "id": "a",
        "title": "moon",
        "price": 5,
        "pages": 99,
        "genre": "horror",
        "seen": True,
        "born": "25/12/2021",
        "size": "9",
    },
    {"id": "b", "title": "sea", "price": "120", "genre": ["Poetry", "horror"], "seen": "no", "born": "05/06/2021"},
    {"id": "c", "title": "robot", "price": 0.99, "genre": "drama", "code": "007", "size": "large"},
]


@pytest.fixture
def shelf(write, small):
    with Index.open(index_items(write, "shelf", SHELF)) as index:
        yield index


def ask(index: Index, where: str) -> list[str]:
    return sorted(hit.id for hit in query(index, "moon", where=where).hits)


@pytest.mark.parametrize(
    ("where", "idents"),
    [
        ("genre = horror and not price > 100", "a"),
        ("genre = Poetry or price < 1", "bc"),
        ("not has seen", "c"),
        ("seen != yes", "bc"),
        ("born >= 2021-06-05 and born < 2021-07", "b"),
        ("born between May 2021 and 06/06/2021", "b"),
        ("born = Dec 2021", "a"),
        ("code = 007", "c"),
        ("size = large", "c"),
        ("not (price > 1 and price < 6)", "bc"),
        ("genre < e", "bc"),
    ],
)
def test_by_hand(shelf, where, idents):
    assert ask(shelf, where) == list(idents)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("price < cheap", "price is a number (0.99 … 120); 'cheap' is not one"),
        ("price = cheap", "price is a number (0.99 … 120); 'cheap' is not one"),
        ("price in (5, cheap)", "price is a number (0.99 … 120); 'cheap' is not one"),
        ("price < 5 EUR", "price is a number (0.99 … 120); '5 EUR' is not one"),
        ("price > 1O", "price is a number (0.99 … 120); '1O' is not one"),
        ("pages < '1,234'", "pages: '1,234' can mean 1234 or 1.234"),
        ("born > x", "born is a date (05/06/2021 … 25/12/2021); 'x' is not one"),
        ("seen = maybe", "seen is yes or no, and has no order; it can't be compared with 'maybe'"),
        ("seen < yes", "seen is yes or no, and has no order; it can't be compared with 'yes'"),
        ("size < large", "size has numbers or dates, and text (9 … 9); 'large' is not one"),
        ("genre = NULL", "--where: NULL stands for no value"),
        ("price between 5 and 4", "--where: price between '5' and '4' is empty"),
        ("has genre and yeer = 3", "no item of shelf has a field 'yeer'"),
    ],
)
def test_what_a_field_is_not(shelf, where, message):
    with pytest.raises(InputError) as caught:
        ask(shelf, where)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("where", "hint"),
    [
        ("price = 5-9", "write 'price between 5 and 9'"),
        ("price = 20s", "write 'price between 20 and 29'"),
        ("price = cheap", "write a number, or ~ for a part of its text"),
    ],
)
def test_a_range_in_one_value(shelf, where, hint):
    with pytest.raises(InputError) as caught:
        ask(shelf, where)
    assert caught.value.hint == hint


def test_a_value_that_only_the_text_equals(write, small):
    """In a field of numbers, what some item has just so can be asked for; what none has is a mistake."""
    items = [{"id": f"{n}", "title": "moon", "price": n or "N/A"} for n in range(20)]
    with Index.open(index_items(write, "prices", items)) as index:
        assert ask(index, "price = N/A") == ["0"]
        with pytest.raises(InputError, match="is not one"):
            ask(index, "price = n/a")
        with pytest.raises(InputError, match="is not one"):
            ask(index, "price < N/A")


def test_what_is_unread_is_said_once(write, small, caplog):
    items = [{"id": f"{n}", "title": "moon", "price": n or "N/A", "when": "05/06/2021"} for n in range(20)]
    with Index.open(index_items(write, "prices", items)) as index:
        setting = Setting(where=(parse_filter("price > 5 or price < 3"),), priors={"price": 1})
        search(index, ["moon", "sea"], setting, values=["price"])
        search(index, ["moon"], setting)
        ask(index, "when > 2021")
        ask(index, "when ~ 05")
        search(index, ["moon"], values=["price"])
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "price: 1 of 20 values are not numbers, such as 'N/A'; they match nothing",
        "when: 20 of 20 values are not numbers or dates, such as '05/06/2021', which can mean 2021-06-05 or "
        "2021-05-06; they match nothing",
    ]


@pytest.mark.parametrize(
    ("values", "mean", "warnings"),
    [
        (["$12.99", "$1,000.01"], 506.5, []),
        (["12,99 €", "1.000,01 €"], 506.5, []),
        (["15%", "25 %"], 20, []),
        (["May 2021", "2021-05-01"], "2021-05-01", []),
        (["25.12.2021", "05.12.2021"], "2021-12-15", []),
        (
            [*map(str, range(1, 20)), "N/A"],
            10,
            ["f: 1 of 20 values are not numbers, such as 'N/A'; they do not count"],
        ),
        (
            ["$1", "$2", "$3", "free"],
            2,
            ["f: 1 of 4 values are not numbers, such as 'free'; they do not count"],
        ),
        (
            ["1", "2", "3", "2021-05-01"],
            2,
            ["f: 1 of 4 values are not numbers, such as '2021-05-01'; they do not count"],
        ),
        (
            ["2021-05-01", "2021-05-03", "2021-05-02", "7"],
            "2021-05-02",
            ["f: 1 of 4 values are not dates, such as '7'; they do not count"],
        ),
    ],
)  # fmt: skip
def test_priors_and_readouts_read_values_as_filters_do(write, small, caplog, values, mean, warnings):
    items = [{"id": f"{n}", "title": "moon", "f": value} for n, value in enumerate(values)]
    with Index.open(index_items(write, "values", items)) as index:
        (result,) = search(index, ["moon"], values=["f"])
        search(index, ["moon"], Setting(priors={"f": 1}))
    (readout,) = result.values
    assert readout.mean == (mean if isinstance(mean, str) else pytest.approx(mean))
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == warnings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["blue", "red"], "the field 'f' is text"),
        (["yes", "no"], "the field 'f' is yes or no"),
        (["1", "2", "2021-05-17", "May 2021"], "the field 'f' has numbers and dates, and neither are most of it"),
        (["1e999", "1e998"], "the field 'f' has numbers that are too large"),
        (
            ["05/06/2021", "07/08/2021"],
            "f: 2 of 2 values are not numbers or dates, such as '05/06/2021', which can mean 2021-06-05 or 2021-05-06",
        ),
        (["1", "blue", "red"], "f: 2 of 3 values are not numbers or dates, such as 'blue'"),
    ],
)
def test_a_prior_needs_numbers_or_dates(write, small, values, message):
    items = [{"id": f"{n}", "title": "moon", "f": value} for n, value in enumerate(values)]
    with Index.open(index_items(write, "values", items)) as index:
        with pytest.raises(InputError) as caught:
            search(index, ["moon"], Setting(priors={"f": 1}))
        (result,) = search(index, ["moon"], values=["f"])
    assert str(caught.value) == f"{message}; give --prior a field of numbers or dates"
    assert (result.values[0].mean, len(result.values[0].shares)) == (None, len(values))


@pytest.mark.parametrize(
    ("where", "emptied_by"),
    [
        (["genre = horor"], "genre: no 'horor'; did you mean 'horror'?"),
        (["genre = POETRY"], "genre: no 'POETRY'; did you mean 'Poetry'?"),
        (["genre = xyz"], "genre: no 'xyz'"),
        (["price > 5", "genre = horor"], "genre: no 'horor'; did you mean 'horror'?"),
        (["price > 5 and genre = horor"], "genre: no 'horor'; did you mean 'horror'?"),
        (["price > 500"], "no item passes 'price > 500'"),
        (["price = 6"], "price: no '6'"),
        (["genre = orro"], "genre: no 'orro', but 2 items have 'orro' in a longer text; write: genre ~ 'orro'"),
        (["genre ~ horr*"], "genre: no 'horr*', but 2 items have 'horr' in a longer text; write: genre ~ 'horr'"),
        (["genre ~ dram*"], "genre: no 'dram*', but 1 item has 'dram' in a longer text; write: genre ~ 'dram'"),
        (["genre ~ xyz*"], "no item passes 'genre ~ xyz*'"),
        (
            ["genre = horror", "price < 100", "price > 5"],
            "no item that passes the filters before it passes 'price > 5'",
        ),
        (["not (has title or price > 5)"], "no item passes 'not (has title or price > 5)'"),
        (["price > 5"], None),
    ],
)
def test_what_emptied_the_answer(shelf, where, emptied_by):
    result = query(shelf, "moon", where=where)
    assert result.emptied_by == emptied_by
    assert bool(result.hits) == (emptied_by is None)


def test_removed_items_don_t_fill_an_answer(write, small):
    """An item that is gone passes `!=` and `not`, since it has no value."""
    index_items(write, "shelf", [*SHELF, {"id": "d", "title": "moon", "genre": "sf"}])
    with Index.open(index_items(write, "shelf", SHELF[:2])) as index:
        assert query(index, "moon", where="genre != horror").emptied_by == "no item passes 'genre != horror'"


def test_one_filter_as_text(shelf):
    assert ask(shelf, "price > 100") == ["b"]
    assert [hit.id for hit in query(shelf, "sea", where=("price > 1", "price < 100")).hits] == ["a"]
