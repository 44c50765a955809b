from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.postings.completion import MOST, complete_filter
from attnsearch.postings.filters import parse_filter
from attnsearch.sources.summary import Summary

ITEMS = [
    {"genre": "science fiction", "year": 1965, "author.name": "Lem", "Product Name": "Lamp", "out of print": True},
    {"genre": "poetry", "year": 1851, "author.name": "Le Guin, Ursula", "Product Name": "Rug", "out of print": False},
    {"genre": "poetry", "year": 1851, "author.name": "children's", "born": "1921-09-12", "a and b": "x"},
    {"genre": "drama", "mark": 'say "hi"', "born": "1929-10-21"},
]


@pytest.fixture(scope="module")
def fields():
    summary = Summary()
    for item in ITEMS:
        summary.add(item.items())
    return summary.fields()


@pytest.mark.parametrize(
    ("text", "completions"),
    [
        ("", ["genre", "year", "author.name", "Product Name", "out of print", "born", "mark"]),
        ("gen", ["genre=", "genre~"]),
        ("genre", ["genre=", "genre~"]),
        ("year", ["year=", "year>=", "year<="]),
        ("born", ["born=", "born>=", "born<="]),
        ("out", ["out of print=true", "out of print=false"]),
        ("author.", ["author.name=", "author.name~"]),
        ("Prod", ["Product Name=", "Product Name~"]),
        ("zzz", []),
        ("has gen", ["has genre"]),
        ("not gen", ["not genre=", "not genre~"]),
        ("(not (gen", ["(not (genre=", "(not (genre~"]),
        ("year > 1900 and gen", ["year > 1900 and genre=", "year > 1900 and genre~"]),
        ("year > 1900 or (has ye", ["year > 1900 or (has year"]),
        # The commonest first.
        ("genre=", ["genre=poetry", "genre=drama", "genre=science fiction"]),
        ("genre = ", ["genre = poetry", "genre = drama", "genre = science fiction"]),
        ("genre != po", ["genre != poetry"]),
        ("genre ~ sci", ["genre ~ science fiction"]),
        ("genre = poetry,dr", ["genre = poetry,drama"]),
        ("genre in (poetry, dr", ["genre in (poetry, drama"]),
        ("genre not in (dr", ["genre not in (drama"]),
        ("has year and genre = sci", ["has year and genre = science fiction"]),
        ("(genre = poetry) and genre = dr", ["(genre = poetry) and genre = drama"]),
        ("Product Name = L", ["Product Name = Lamp"]),
        ("year > 18", []),
        ("year between 1900 and ", []),
        ("year between 1900 and 1950 and gen", ["year between 1900 and 1950 and genre=",
                                                "year between 1900 and 1950 and genre~"]),
        # What would have to be quoted is not offered.
        ("author.name = ", ["author.name = Lem", "author.name = children's"]),
        ("mark = ", ['mark = say "hi"']),
        ("a and", []),
    ],
)  # fmt: skip
def test_how_a_filter_goes_on(fields, text, completions):
    assert list(complete_filter(text, fields)) == completions


def test_what_is_offered_is_a_filter_that_matches_the_value(fields):
    """Walk from nothing to whole filters: each that ends in a value can be read."""
    values = [text for name in complete_filter("", fields) for text in complete_filter(f"{name} = ", fields)]
    assert len(values) > 8
    for text in values:
        field, _, value = text.partition(" = ")
        assert (parse_filter(text).field, parse_filter(text).values) == (field, (value,))


def test_a_field_of_too_many_values_to_count():
    summary = Summary()
    for n in range(1_500):
        summary.add([("n", f"value {n}"), ("few", f"value {n % 200}")])
    assert list(complete_filter("n=", summary.fields())) == []
    assert len(list(complete_filter("few=", summary.fields()))) == MOST


@pytest.mark.parametrize("text", ["(" * 5_000, "not " * 5_000, "a and " * 5_000, "a=" + "b," * 5_000, " " * 20_000,
                                  "x between 1 and " * 2_000, "'" * 999])  # fmt: skip
def test_long_texts(fields, text):
    for completion in complete_filter(text, fields):
        assert completion.startswith(text)


def test_no_filter_that_can_not_be_read_is_offered():
    summary = Summary()
    summary.add([("a > b", "x"), ("a, b", "x"), ("a'b", "x"), ("in", "x"), ("(x", "x"), ("", "x")])
    for name in complete_filter("", summary.fields()):
        try:
            parse_filter(f"{name} = x")
        except InputError:
            pytest.fail(name)
