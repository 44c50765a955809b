from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.sources import kinds
from attnsearch.sources.dates import read_date
from attnsearch.sources.kinds import Interpretation, Kind, decide, form_of, interpret
from attnsearch.sources.numbers import number_key
from attnsearch.syntax.values import content_of


def kind_of(*values: str) -> Kind:
    return decide(Counter(map(form_of, values)))


def read(text: str, kind: Kind) -> str | float | None:
    """A value in a field of a kind: the first day that it means, or its number."""
    number, begin, _ = interpret(text, kind)
    return begin if number is None else number


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", "-3e4"], ("number", 0)),
        (["1984", "2001"], ("number", 0)),
        (["1984", "2001-05"], ("date", 0)),
        (["1984", "12"], ("number", 0)),
        (["2021/05/17", "September 25, 2022", "05/17/2019", "17.05.2023"], ("date", 0)),
        (["$12.99", "1,299.00", "8", "19,50"], ("number", 0)),
        (["TRUE", "False", "yes", "NO"], ("yes/no", 0)),
        (["Y", "N"], ("text", 0)),
        (["1", "0"], ("number", 0)),
        (["15%", "3%"], ("number", 0)),
        (["15%"] * 19 + ["0.15"], ("number", 1)),
        (["007", "012"], ("text", 0)),
        (["02134", "90210"], ("mixed", 1)),
        ([r"\N", "NULL", "", "5"], ("number", 0)),
        (["5"] * 9 + ["N/A"], ("number", 1)),
        (["5"] * 8 + ["N/A"], ("mixed", 1)),
        (["moon"] * 9 + ["1984"], ("text", 0)),
        (["moon"] * 8 + ["1984"], ("mixed", 8)),
        (["1,234", "5,678"], ("mixed", 2)),
        (["1,234", "5,678", "1,234.5"], ("number", 0)),
        (["1,234", "5,678", "1,5"], ("number", 0)),
        (["1,234", "1,234.5", "1,5"], ("mixed", 1)),
        (["1.234", "5.678"], ("number", 0)),
        (["1.234", "1,234"], ("mixed", 2)),
        (["$5"] * 18 + ["€5"], ("number", 1)),
        (["$5"] * 5 + ["€5"] * 5, ("mixed", 10)),
        (["€5", "5 EUR", "7"], ("number", 0)),
        (["05/06/2021", "07/08/2021"], ("mixed", 2)),
        (["05/06/2021", "25/08/2021"], ("date", 0)),
        (["05/06/2021", "12/25/2021"], ("date", 0)),
        (["05/06/2021", "25/12/2021", "12/25/2021"], ("mixed", 1)),
        (["05/17/21", "05/18/21"], ("mixed", 2)),
        (["true"] * 9 + ["maybe"], ("yes/no", 1)),
        (["NO", "SE", "DK"], ("text", 0)),
        ([], ("text", 0)),
    ],
)  # fmt: skip
def test_kinds(values, kind):
    decided = kind_of(*values)
    assert (decided.name, decided.unread) == kind
    assert decided.values == sum(content_of(value) is not None for value in values)


SCRAPS = st.sampled_from(
    ["May", "sept", "Mon", "USD", "US$", "R$", "€", "%", "12", "1,234", "2021", "05", "007", "i5", "/", "-", ".", ",",
     " ", ":30", "pm", "true", "No", "NULL", r"\N", '="', '"', "x", "é"]
)  # fmt: skip


@given(
    st.one_of(
        st.text(max_size=30), st.from_regex(r"[0-9.,$ -]{1,12}", fullmatch=True), st.dates().map(str),
        st.lists(SCRAPS, max_size=5).map("".join),
    )
)  # fmt: skip
def test_what_is_known_at_a_glance_is_what_reading_says(text):
    assert form_of(text) == kinds._read_form(text)


@pytest.mark.parametrize(
    ("others", "text", "number"),
    [
        (["1,234.50"], "1,234", "1234"),
        (["1.234,50"], "1,234", "1.234"),
        (["1.234,50"], "1.234", "1234"),
        (["1 234,50"], "1.234", "1234"),
        (["0.5"], "1.234", "1.234"),
        (["5"], "1.234", "1.234"),
        (["1,5", "1.5"], "1.234", None),
        (["$5"], "8", "8"),
        (["$5"], "8 EUR", None),
        (["5"], "$8", "8"),
        (["15%", "16%"], "8", None),
    ],
)
def test_the_other_values_settle_a_number(others, text, number):
    assert interpret(text, kind_of(*others, text)).number == (number and number_key(number))


@pytest.mark.parametrize(
    ("others", "day"),
    [(["25/12/2021"], "2021-06-05"), (["12/25/2021"], "2021-05-06"), (["25.12.2021", "12/25/2021"], None), ([], None)],
)
def test_the_other_values_settle_a_date(others, day):
    begin = interpret("05/06/2021", kind_of(*others, "05/06/2021")).begin
    assert begin == (day and read_date(day).day_first.begin)


def test_a_year_is_what_its_field_is():
    assert interpret("1984", Kind("number")) == Interpretation(number_key("1984"))
    assert interpret("1984", Kind("date")) == Interpretation(None, *read_date("1984").day_first)
    assert None not in interpret("1984", Kind("mixed"))
    assert interpret("1984", Kind("text")) == Interpretation()


TEXTS = st.sampled_from(
    ["1984", "12", "12.5", "12,5", "1,234", "1.234", "1,234.5", "$5", "5 €", "5%", "007", "moon", "TRUE", "no", "N/A",
     r"\N", "2021-05", "25/12/2021", "12/25/2021", "05/06/2021", "May 2021", "05/17/21", "9999", "05/05/2021"]
)  # fmt: skip


@given(st.lists(TEXTS, max_size=12) | st.lists(TEXTS, max_size=3).map(lambda texts: texts + ["12"] * 20))
def test_the_count_of_what_is_unread(values):
    """`decide` sees counts of forms alone, and yet knows how many values `interpret` will not read."""
    kind = kind_of(*values)
    if kind.name in ("number", "date", "mixed"):
        texts = [value for value in values if content_of(value) is not None]
        assert kind.unread == sum(interpret(text, kind) == Interpretation() for text in texts)


@given(st.text(max_size=80))
def test_any_text_has_a_form(text):
    kind = kind_of(text)
    assert kind.values == (content_of(text) is not None)
    assert set(form_of(text).split(" ")[0].split()) <= {"none", "yes/no", "text", "year", "number", "date"}
