from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.errors import InputError
from attnsearch.postings.conditions import Combined, Filter, spell
from attnsearch.postings.filters import DEPTH, parse_filter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("year>=1990", Filter("year", ">=", ("1990",))),
        ("  page count  <  300 ", Filter("page count", "<", ("300",))),
        ("genre = poetry , drama", Filter("genre", "=", ("poetry", "drama"))),
        ('author != "Le Guin, Ursula",Lem', Filter("author", "!=", ("Le Guin, Ursula", "Lem"))),
        ('"a = b" ~ "say ""hi"""', Filter("a = b", "~", ('say "hi"',))),
        ("series?", Filter("series", "?", ())),
        ('"who?"?', Filter("who?", "?", ())),
        ("title = who?", Filter("title", "=", ("who?",))),
        ("url=http://x/?a=b", Filter("url", "=", ("http://x/?a=b",))),
        ("temperature > -5", Filter("temperature", ">", ("-5",))),
        ('size = 5" pipe ,\n a "b" , "c,""d"""', Filter("size", "=", ('5" pipe', 'a "b"', 'c,"d"'))),
    ],
)
def test_parsing(text, expected):
    assert parse_filter(text) == expected


def f(field: str, op: str, *values: str) -> Filter:
    return Filter(field, op, values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1 and b = 2", Combined("and", (f("a", "=", "1"), f("b", "=", "2")))),
        ("a=1 AND b=2 Or c=3",
         Combined("or", (Combined("and", (f("a", "=", "1"), f("b", "=", "2"))), f("c", "=", "3")))),
        ("a=1 and (b=2 or c=3)",
         Combined("and", (f("a", "=", "1"), Combined("or", (f("b", "=", "2"), f("c", "=", "3")))))),
        ("not a = 1 and b = 2", Combined("and", (Combined("not", (f("a", "=", "1"),)), f("b", "=", "2")))),
        ("not not a?", Combined("not", (Combined("not", (f("a", "?"),)),))),
        ("((a = 1))", f("a", "=", "1")),
        ("a = x, y and b = z", Combined("and", (f("a", "=", "x", "y"), f("b", "=", "z")))),
        ("a == 1", f("a", "=", "1")),
        ("a <> 1", f("a", "!=", "1")),
        ("a IN (x, 'y, z')", f("a", "=", "x", "y, z")),
        ("a not in (x)", f("a", "!=", "x")),
        ("a between 1990 and 1999 and b = 1", Combined("and", (f("a", "between", "1990", "1999"), f("b", "=", "1")))),
        ("a not between '1' and \"2\"", Combined("not", (f("a", "between", "1", "2"),))),
        ("has a", f("a", "?")),
        ("not has page count", Combined("not", (f("page count", "?"),))),
        ("has 'and'", f("and", "?")),
        ("a? and b?", Combined("and", (f("a", "?"), f("b", "?")))),
        ("(a ?)", f("a", "?")),
        ("what? = 3", f("what?", "=", "3")),
        ("has = 3", f("has", "=", "3")),
        ("not = 3", f("not", "=", "3")),
        ("a = 'it''s'", f("a", "=", "it's")),
        ("a = \"it's\"", f("a", "=", "it's")),
        ("'it''s' ~ x", f("it's", "~", "x")),
        (r"a = 'b\'", f("a", "=", "b\\")),
        ("a = O'Brien", f("a", "=", "O'Brien")),
        ("a = rock 'n' roll", f("a", "=", "rock 'n' roll")),
        ("a = man in black", f("a", "=", "man in black")),
        ("made in = china", f("made in", "=", "china")),
        ("a = this is not it", f("a", "=", "this is not it")),
        ("title = Dune (novel) and price (EUR) < 3",
         Combined("and", (f("title", "=", "Dune (novel)"), f("price (EUR)", "<", "3")))),
        ("(a = Dune (novel) or b = 3)", Combined("or", (f("a", "=", "Dune (novel)"), f("b", "=", "3")))),
        ("author.name = x", f("author.name", "=", "x")),
        ("größe > 5", f("größe", ">", "5")),
        ("a = b=c", f("a", "=", "b=c")),
        ("a = hand", f("a", "=", "hand")),
        ("band = oracle", f("band", "=", "oracle")),
    ],
)  # fmt: skip
def test_trees(text, expected):
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "year", "= 3", "year =", "year = 1,", "year = ,1", 'x = "a" b', '"a" b = c', "year < 1, 2", 'x = ""',
        "x = ' '", "?", "and", "or", "not", "not not", "has", "()", "(a = 1", "a = 1)", "a = (b", "a = b)", "a = b(",
        "a = 1 and", "and a = 1", "a = 1 or or b = 2", "a = 1 b = 2", "a = 1 not b = 2", "a = b = c", "a = 1 < 2",
        "1990 < year < 2000", "1990<year<2000", "a = 1 && b = 2", "a = 1 || b = 2", "a === 3", "a => 3", "a =< 3",
        "a =! 3", "a ! = 3", "a = not b", "a = (b or c)", "a = (b, c)", "a = x (b, c)", "a = x (b and c)",
        "a in 1, 2", "a in ()",
        "a in (b", "a in (b) c", "a in (b and c)", "a in (b,)", "a between 1",
        "a between 1 and", "a between 1, 2",
        "a between 1 and 2, 3", "a between 1, 2 and 3", "a between 1 or 2", "has a = 3", "has 'a' b", "has a b in (c)",
        "a = 'b", 'a = "b', "'a = b", "a = 'b'c", "a = the '90s or b = '80s",
        'a = x "y, z"', "a b", "a , b",
        "a (b = c) = d",
    ],
)  # fmt: skip
def test_what_is_not_understood(text):
    with pytest.raises(InputError):
        parse_filter(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("title = war and peace", "title = 'war and peace'"),
        ("genre = sf and title = it's war or peace", "title = 'it''s war or peace'"),
        ("title = a = b", "title = 'a = b'"),
        ("title = not x", "title = 'not x'"),
        ("genre = (a or b)", "genre in (poetry, drama)"),
        ("year between 1,000 and 2,000", "in quotes"),
    ],
)
def test_both_readings_are_shown(text, hint):
    with pytest.raises(InputError) as caught:
        parse_filter(text)
    assert hint in caught.value.hint


# What people write who know other languages, and how it is written here.
WORDINGS = {
    "year => 1990": "year >= 1990",
    "year=<1990": "year <= 1990",
    "year ≥ 1990": "year >= 1990",
    "year ≠ 1990": "year != 1990",
    "year:1990": "year = 1990",
    "year:>1990": "year >1990",
    "author: 'Le Guin'": "author = 'Le Guin'",
    "genre:drama,year:1990": "genre = drama and year = 1990",
    "year>1990 && year<2000": "year>1990 and year<2000",
    "genre = drama || genre = poetry": "genre = drama or genre = poetry",
    "genre = drama; year > 1990": "genre = drama and year > 1990",
    "year>1990, year<2000": "year>1990 and year<2000",
    "1900 < year <= 1950": "year > 1900 and year <= 1950",
    "year >= 1900 <= 1950": "year >= 1900 and year <= 1950",
    "year > 1990 and < 2000": "year > 1990 and year < 2000",
    "year between 1900 1950": "year between 1900 and 1950",
    "year in 1900-1950": "year between 1900 and 1950",
    "year 1900..1950": "year between 1900 and 1950",
    "year from 1900 to 1950": "year between 1900 and 1950",
    "year is between 1900 and 1950": "year between 1900 and 1950",
    "title contains moon": "title ~ moon",
    "title LIKE '%moon%'": "title ~ 'moon'",
    "title ilike moon*": "title ~ moon",
    "title starts with The": "title ~ The",
    "title does not contain moon": "not title ~ moon",
    "title !~ moon": "not title ~ moon",
    "!title ~ moon": "not title ~ moon",
    "genre = drama and !(year > 1990)": "genre = drama and not (year > 1990)",
    "title =~ /moon/i": "title ~ moon",
    "series is null": "not has series",
    "series is not empty": "has series",
    "series exists": "has series",
    "genre is drama": "genre = drama",
    "genre equals 'war is peace'": "genre = 'war is peace'",
    "genre is not drama": "genre != drama",
    "genre not = drama": "genre != drama",
    "genre in [drama, poetry]": "genre in (drama, poetry)",
    "genre in drama, poetry": "genre in (drama, poetry)",
    "genre = drama or poetry": "genre = drama, poetry",
    "year after 1990": "year > 1990",
    "year is at least 1990": "year >= 1990",
    "price less than 20 and not genre is drama": "price < 20 and not genre = drama",
    "where year > 1990": "year > 1990",
}


@pytest.mark.parametrize("text", WORDINGS)
def test_other_words_are_refused_with_ours(text):
    with pytest.raises(InputError) as caught:
        parse_filter(text)
    assert caught.value.hint.split("; if ")[0] == f"write: {WORDINGS[text]}"
    parse_filter(WORDINGS[text])


@pytest.mark.parametrize(
    "text", ["science fiction", "a (b = c) = d", "since 1950", "x" * 300 + " is y", "\x011\x01 is y"]
)
def test_no_words_are_suggested_for_what_is_not_known(text):
    with pytest.raises(InputError) as caught:
        parse_filter(text)
    assert "write: " not in caught.value.hint


PIECES = [
    *"ab:,-()[]!'\"%<>=~",
    "1990",
    "is",
    "not",
    "and",
    "or",
    "in",
    "between",
    "like",
    "&&",
    "=>",
    "..",
    "null",
    "to",
]


@given(st.lists(st.sampled_from(PIECES), max_size=9), st.sampled_from(["", " "]))
def test_what_is_suggested_is_understood(pieces, gap):
    text = gap.join(pieces)
    with suppress(InputError):
        parse_filter(text)
        return
    with pytest.raises(InputError) as caught:
        parse_filter(text)
    if caught.value.hint.startswith("write: "):
        parse_filter(caught.value.hint.removeprefix("write: ").split("; if ")[0])


@pytest.mark.parametrize("wrap", ["({})", "not {}", "not ({})"])
def test_depth(wrap):
    def nested(depth: int) -> str:
        text = "a = 1"
        for _ in range(depth // (2 if wrap == "not ({})" else 1)):
            text = wrap.format(text)
        return text

    spell(parse_filter(nested(DEPTH)))
    for depth in (DEPTH + 2, 100_000):
        with pytest.raises(InputError, match="nested more than 64 deep"):
            parse_filter(nested(depth) if depth < 1000 else wrap.split("{")[0] * depth)


def test_a_long_filter_is_not_shown_whole():
    with pytest.raises(InputError) as caught:
        parse_filter("a = b = " + "c" * 100_000)
    assert len(str(caught.value)) < 1000


FIELDS = st.sampled_from(["a", "page count", "who?", "and", "x = y", "it's", 'say "hi"', "Größe (cm)", "in", "has"])
VALUES = st.text(min_size=1, max_size=8).filter(str.strip) | st.sampled_from(["and", "x, y", "'", '""', "(", "1 or 2"])


def quote(text: str, mark: str) -> str:
    return mark + text.replace(mark, mark * 2) + mark


@st.composite
def spelled(draw, depth: int = 3) -> tuple[str, Filter | Combined]:
    """A tree, and one of the ways to write it."""
    mark = st.sampled_from("'\"")
    if depth and draw(st.booleans()):
        op = draw(st.sampled_from(["and", "or", "not"]))
        parts = draw(st.lists(spelled(depth=depth - 1), min_size=2, max_size=3))[: 1 if op == "not" else 3]
        word = draw(st.sampled_from([op, op.upper(), op.title()]))
        texts = [f"({text})" for text, _ in parts]
        tree = Combined(op, tuple(part for _, part in parts))
        return (f"{word} {texts[0]}" if op == "not" else f" {word} ".join(texts)), tree
    field = draw(FIELDS)
    name = quote(field, draw(mark))
    op = draw(
        st.sampled_from(["=", "==", "!=", "<>", "<", "<=", ">", ">=", "~", "?", "has", "in", "not in", "between"])
    )
    values = tuple(draw(st.lists(VALUES, min_size=2, max_size=3)))
    quoted = [quote(value, draw(mark)) for value in values]
    same = {"==": "=", "<>": "!=", "in": "=", "not in": "!=", "has": "?"}.get(op, op)
    if op in ("in", "not in"):
        return f"{name} {op}({', '.join(quoted)})", Filter(field, same, values)
    if op == "between":
        return f"{name} between {quoted[0]} and {quoted[1]}", Filter(field, op, values[:2])
    if same == "?":
        return (f"has {name}" if op == "has" else f"{name}?"), Filter(field, "?", ())
    count = 1 if op[0] in "<>" and op != "<>" else len(values)
    return f"{name}{op}{','.join(quoted[:count])}", Filter(field, same, values[:count])


@given(spelled())
def test_every_tree_can_be_written(spelling):
    text, tree = spelling
    assert parse_filter(text) == tree


@given(
    st.lists(
        st.sampled_from(
            ["and", "or", "not", "has", "in", "between", "(", ")", "=", "<", "<>", "~", "!", "?", ",", "'", '"', "''",
             " ", "  ", "a", "b c", "1990", "\n", "é"]
        ),
        max_size=14,
    ).map("".join)
    | st.text(max_size=30)
)  # fmt: skip
def test_any_text_is_a_tree_or_refused(text):
    with suppress(InputError):
        assert spell(parse_filter(text))
