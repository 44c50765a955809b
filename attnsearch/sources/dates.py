"""Dates as programs and people write them → spans of time: a year, a month, a day, a minute, or less.

2021    2021-05    2021-05-17T10:30Z      ISO 8601
2021/05/17    17.05.2021    05/17/2021    in numbers
May 2021    17 May 2021    Sept 25, 2022  with an English month
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # dates are stored as seconds since then

_ISO = re.compile(r"\d{4}(?:-\d\d(?:-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?)?)?", re.ASCII)
_DAY = timedelta(days=1)
_LAST_DAY = date.max.toordinal()
_RESOLUTION = timedelta(microseconds=1)  # of a time with a fraction of a second
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_WEEKDAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tues?|wed|thu(?:rs?)?|fri|sat|sun"


class Span(NamedTuple):
    """From `begin` to before `end`, in seconds since EPOCH."""

    begin: float
    end: float


class Dated(NamedTuple):
    """The span of a date whose day comes before its month, and of one whose month comes first; None if it can't be.

    A date without an order, such as 2021/05/17, has the same span twice.
    """

    day_first: Span | None
    month_first: Span | None


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Dates with the year first, with the year last, and with the name of a month, each with an optional time."""
    time = (
        r"(?:(?:,?\s{1,2}|T)(?P<hour>\d\d?):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.](?P<fraction>\d{1,9}))?)?"
        r"(?:\s?(?P<half>[ap])\.?m\.?)?(?:\s?(?P<zone>z|utc|gmt|[+-]\d\d:?\d\d))?)?"
    )
    names = "|".join(f"{name}|{name[:3]}" for name in _MONTHS)
    day = r"(?P<{}>\d\d?)(?:st|nd|rd|th|\.)?"
    return tuple(
        re.compile(pattern + time, re.ASCII | re.IGNORECASE)
        for pattern in (
            r"(?P<year>\d{4})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?)",
            r"(?P<first>\d\d?)(?P<mark>[-/.])(?P<second_>\d\d?)(?P=mark)(?P<year>\d{4})",
            rf"(?:(?:{_WEEKDAYS})\.?,?\s)?(?:{day.format('before')}[\s-])?(?P<name>{names}|sept)\.?"
            rf"(?:[\s-]{day.format('after')})?,?[\s-](?P<year>\d{{4}})",
        )
    )


def read_date(text: str) -> Dated | None:
    """What a text is as a date; None if it is not one.

    >>> read_date("1970-01").day_first
    Span(begin=0.0, end=2678400.0)
    >>> read_date("25/12/2021").month_first is None, read_date("May 2021") == read_date("2021-05")
    (True, True)
    """
    if _ISO.fullmatch(text):
        span = _read_iso(text)
        return span and Dated(span, span)
    for pattern in _patterns():
        if match := pattern.fullmatch(text):
            return _read_parts(match.groupdict(""))
    return None


def is_short_date(text: str) -> bool:
    """Whether a text is a date such as 05/17/21, the century of whose year nobody knows."""
    return re.fullmatch(r"\d\d?/\d\d?/\d\d", text, re.ASCII) is not None


def _read_iso(text: str) -> Span | None:
    """The span of a date or time in ISO 8601; None if there is no such date."""
    try:
        if len(text) <= 10:
            year, month, day = (int(part) for part in (text + "-01-01")[:10].split("-"))
            return _whole(year, month, day, {4: 12, 7: 1}.get(len(text), 0))
        begin = datetime.fromisoformat(text)
        length = len(re.split(r"[Z+-]", text[11:])[0])  # 10:00, 10:00:00, or with a fraction
        lasts = {5: timedelta(minutes=1), 8: timedelta(seconds=1)}.get(length, _RESOLUTION)
        return _span(begin if begin.tzinfo else begin.replace(tzinfo=UTC), lasts)
    except (ValueError, OverflowError):
        return None


def _read_parts(parts: dict[str, str]) -> Dated | None:
    """What the parts of a date in numbers, or with the name of a month, mean."""
    if parts.get("name"):
        month = str(next(n for n, name in enumerate(_MONTHS, 1) if name.startswith(parts["name"].lower()[:3])))
        if parts["before"] and parts["after"]:
            return None
        orders = [(month, parts["before"] or parts["after"])] * 2
    elif parts.get("first"):
        orders = [(parts["second_"], parts["first"]), (parts["first"], parts["second_"])]
    else:
        orders = [(parts["month"], parts["day"])] * 2
    spans = [_read_order(parts, month, day) for month, day in orders]
    return Dated(*spans) if any(spans) else None


def _read_order(parts: dict[str, str], month: str, day: str) -> Span | None:
    try:
        begin = datetime(int(parts["year"]), int(month), int(day or 1), tzinfo=UTC)
        if not parts["hour"]:
            return _whole(begin.year, begin.month, begin.day, 0 if day else 1)
        return _read_time(begin, parts) if day else None
    except (ValueError, OverflowError):
        return None


def _read_time(day: datetime, parts: dict[str, str]) -> Span:
    """The span of a time on a date. Raises ValueError or OverflowError if there is no such time."""
    hour = int(parts["hour"])
    if parts["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if parts["half"].lower() == "p" else 0)
    fraction = f"{parts['fraction']:0<6}"[:6]
    begin = day.replace(hour=hour, minute=int(parts["minute"] or 0), second=int(parts["second"] or 0),
                         microsecond=int(fraction))  # fmt: skip
    zone = parts["zone"]
    if zone[:1] in ("+", "-"):
        away = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        begin = begin - away if zone[0] == "+" else begin + away
    lasts = _RESOLUTION if parts["fraction"] else timedelta(seconds=1) if parts["second"] else timedelta(minutes=1)
    return _span(begin, lasts)


def _whole(year: int, month: int, day: int, months: int) -> Span:
    """A day, or the month or the year of 12 months that begins with it. Raises ValueError if there is no such day."""
    begin = datetime(year, month, day, tzinfo=UTC)
    last = datetime(year, month + months - 1, 28, tzinfo=UTC) if months else begin
    while months and last.toordinal() < _LAST_DAY and (last + _DAY).day > 1:
        last += _DAY
    return _span(begin, last - begin + _DAY)


def _span(begin: datetime, lasts: timedelta) -> Span:
    return Span((begin - EPOCH).total_seconds(), (begin - EPOCH + lasts).total_seconds())
