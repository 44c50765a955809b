from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsearch.sources.dates import EPOCH, Dated, Span, is_short_date, read_date

DAY = 86_400.0


def seconds(*parts: int) -> float:
    return (datetime(*parts, tzinfo=UTC) - EPOCH).total_seconds()


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("1984", 441_763_200.0, 473_385_600.0),
        ("1970-01", 0.0, 31 * DAY),
        ("1972-02", seconds(1972, 2, 1), seconds(1972, 3, 1)),
        ("1969-12-31", -DAY, 0.0),
        ("2023-12", 1_701_388_800.0, 1_704_067_200.0),
        ("1970-01-01T01:00+01:00", 0.0, 60.0),
        ("1970-01-01 00:00:01Z", 1.0, 2.0),
        ("1970-01-01T00:00:00.5", 0.5, 0.500001),
        ("9999-12-31", seconds(9999, 12, 31), seconds(9999, 12, 31) + DAY),
        ("9999", seconds(9999, 1, 1), seconds(9999, 12, 31) + DAY),
        ("1970/01/02", DAY, 2 * DAY),
        ("1970/1/2", DAY, 2 * DAY),
        ("1970.01.02", DAY, 2 * DAY),
        ("1970/01/02 10:30", DAY + 37_800, DAY + 37_860),
        ("01/01/1970", 0.0, DAY),
        ("May 1970", seconds(1970, 5, 1), seconds(1970, 6, 1)),
        ("17 May 2021", seconds(2021, 5, 17), seconds(2021, 5, 18)),
        ("17. may 2021", seconds(2021, 5, 17), seconds(2021, 5, 18)),
        ("17-May-2021", seconds(2021, 5, 17), seconds(2021, 5, 18)),
        ("May 17, 2021", seconds(2021, 5, 17), seconds(2021, 5, 18)),
        ("May 17th, 2021", seconds(2021, 5, 17), seconds(2021, 5, 18)),
        ("Sept 25, 2022", seconds(2022, 9, 25), seconds(2022, 9, 26)),
        ("Sep. 25, 2022", seconds(2022, 9, 25), seconds(2022, 9, 26)),
        ("SEPTEMBER 25 2022", seconds(2022, 9, 25), seconds(2022, 9, 26)),
        ("Tue, 18 May 2021 10:30:05 +0200", seconds(2021, 5, 18, 8, 30, 5), seconds(2021, 5, 18, 8, 30, 6)),
        ("May 17, 2021 12:05 AM", seconds(2021, 5, 17, 0, 5), seconds(2021, 5, 17, 0, 6)),
        ("May 17, 2021, 1:05 p.m.", seconds(2021, 5, 17, 13, 5), seconds(2021, 5, 17, 13, 6)),
        ("2021/05/17 10:00:00.25", seconds(2021, 5, 17, 10) + 0.25, seconds(2021, 5, 17, 10) + 0.250001),
    ],
)
def test_dates_without_an_order(text, begin, end):
    assert read_date(text) == Dated(Span(begin, end), Span(begin, end))


@pytest.mark.parametrize(
    ("text", "day_first", "month_first"),
    [
        ("17.05.2021", date(2021, 5, 17), None),
        ("05/17/2021", None, date(2021, 5, 17)),
        ("5-6-2021", date(2021, 6, 5), date(2021, 5, 6)),
        ("29/02/2024", date(2024, 2, 29), None),
        ("31.12.9999", date(9999, 12, 31), None),
        ("13/12/2021 10:30", date(2021, 12, 13), None),
    ],
)
def test_dates_with_an_order(text, day_first, month_first):
    dated = read_date(text)
    for span, expected in zip(dated, (day_first, month_first), strict=True):
        assert (span and (EPOCH + timedelta(seconds=span.begin)).date()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "moon", "0000", "2023-02-30", "2021-13", "2021/05", "2021/22", "1.2.3", "17.05.21", "31/31/2021",
        "29/02/2023", "17/05-2021", "May", "May 17", "17 May", "Mayor 2021", "17 May 17, 2021", "May 32, 2021",
        "May 2021 10:30", "17 May 2021 25:00", "17 May 2021 13:00 PM", "17 May 2021 10:61", "٢٠٢١",
        "2021-05-17T10:30 x", "12 Monkeys 1995",
    ],
)  # fmt: skip
def test_what_is_not_a_date(text):
    assert read_date(text) is None


@given(st.dates(date(1000, 1, 1)))
def test_every_day_in_every_form(day):
    begin = (datetime(day.year, day.month, day.day, tzinfo=UTC) - EPOCH).total_seconds()
    span = Span(begin, begin + DAY)
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%d %B %Y", "%B %d, %Y", "%b %d, %Y", "%A, %d %b %Y"):
        assert read_date(day.strftime(form)) == Dated(span, span)
    assert read_date(day.strftime("%d.%m.%Y")).day_first == span
    assert read_date(day.strftime("%m/%d/%Y")).month_first == span


def test_a_year_of_two_digits():
    assert is_short_date("05/17/21")
    assert not any(map(is_short_date, ("1.2.10", "05/17/2021", "24/7", "1/2/3")))
