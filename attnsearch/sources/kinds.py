"""What kind of values a field has, from the forms of all of them, and what each value means in a field of that kind.

A text such as 1,234 or 05/06/2021 can mean two things. The other values of its field settle which, if all that can
mean only one thing agree; otherwise it is not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from attnsearch.sources.dates import Dated, Span, is_short_date, read_date
from attnsearch.sources.numbers import CODES, LONGEST, Written, number_key, read_number
from attnsearch.syntax.values import content_of

KindName = Literal["number", "date", "yes/no", "text", "mixed"]

FEW = 10  # a field is of a kind if at most 1 in so many of its values is not
YES, NO = ("true", "yes"), ("false", "no")  # in any case

_UNSETTLED = ("date ?", "date short")

# What catalogs are full of, which `form_of` knows at a glance.
_COMMON = re.compile(
    r"(-?(?:0|[1-9][0-9]*)\.[0-9]{1,2})"  # 19.99
    r"|[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"  # 2021-05-17
)
# How a text that begins with a letter must begin, in lower case, to be anything but text; "$" may follow any letters.
_IN_DATES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
             "mon", "tue", "wed", "thu", "fri", "sat", "sun")  # fmt: skip
_BEGINNINGS = frozenset((*_IN_DATES, *CODES.lower().split("|")))
_WORDS = frozenset((*YES, *NO, "null"))


class Kind(NamedTuple):
    """What a field's values are: of `values`, all but `unread` can be read as that.

    `decimal` is the mark before a number's decimals, "." or ","; "both" if values of both customs occur; empty if none
    settles it: then 1.234 has decimals, as in programs, and 1,234 is not read. `unit` is the currency of its numbers,
    or "%". `order` is "day" or "month", whichever comes first in its dates; empty if nothing settles it. In a mixed
    field some values are numbers or dates, and others are not.
    """

    name: KindName = "text"
    values: int = 0
    unread: int = 0
    decimal: str = ""
    unit: str = ""
    order: str = ""


class Interpretation(NamedTuple):
    """What a text means besides itself: a number, as its `number_key`; a time from `begin` to before `end`.

    Times are seconds since `dates.EPOCH`.
    """

    number: bytes | None = None
    begin: float | None = None
    end: float | None = None


def form_of(text: str) -> str:
    """The form of one value, from a small set of labels; `decide` makes a kind of the counts of each.

    "none", "yes/no", "text", "year", which is a number too, and
    "number", "number ." or "number ," by its decimal mark, "number ?." or "number ?," if that is in doubt; its unit
    follows: "number . EUR", or "number - $" without a mark;
    "date", "date day" or "date month" by what comes first, "date ?" if that is in doubt, "date short" as in 05/17/21.

    >>> [form_of(text) for text in ("1984", "12,99 €", "1,234", "25/12/2021", "05/06/2021", "007", "TRUE")]
    ['year', 'number , EUR', 'number ?,', 'date day', 'date ?', 'text', 'yes/no']
    """
    text = text.strip()
    if text[:1].isalpha():
        begin = text[:3].lower()
        is_word = begin not in _BEGINNINGS and "$" not in begin and text[:5].lower() not in _WORDS
        return "text" if is_word else _read_form(text)
    if text.isdecimal() and text.isascii() and text[0] != "0":
        return "year" if len(text) == 4 else "number"
    if common := _COMMON.fullmatch(text):
        return "number ." if common[1] else "date"
    return _read_form(text)


def _read_form(text: str) -> str:
    content = content_of(text)
    if content is None:
        return "none"
    if written := read_number(content):
        return "year" if _is_year(content) else _number_form(content, written)
    if len(content) > LONGEST:
        return "text"
    if date := read_date(content):
        return _date_form(date)
    if is_short_date(content):
        return "date short"
    return "yes/no" if content.lower() in YES + NO else "text"


def _is_year(text: str) -> bool:
    return len(text) == 4 and text.isdecimal() and text >= "1000"


def _number_form(text: str, written: Written) -> str:
    point, comma, unit = written
    if point == comma:
        mark = "-" if unit else ""
    elif point is None or comma is None:
        mark = "," if point is None else "."
    else:
        mark = "?," if "," in text else "?."
    return " ".join(part for part in ("number", mark, unit) if part)


def _date_form(date: Dated) -> str:
    if date.day_first == date.month_first:
        return "date"
    if date.day_first and date.month_first:
        return "date ?"
    return "date day" if date.day_first else "date month"


def decide(counts: Mapping[str, int]) -> Kind:
    """The kind of a field, from how many of its values have each form.

    Numbers have one unit, the commonest; those without count as in it, unless it is "%". If two are as common, no
    number with a unit is read.

    >>> decide({"number . EUR": 19, "text": 1})
    Kind(name='number', values=20, unread=1, decimal='.', unit='EUR', order='')
    >>> decide({"date ?": 5}).name, decide({"date ?": 5, "date day": 1}).name, decide({"text": 2, "number": 2}).name
    ('mixed', 'date', 'mixed')
    """
    values = sum(count for form, count in counts.items() if form != "none")
    forms = {form: count for form, count in counts.items() if count}
    unit = _choose_unit(forms)
    decimal = _choose_decimal({_mark(form) for form in forms if _is_number(form) and _suits(_unit(form), unit)})
    order = _choose_order(set(forms))
    settled = Kind(decimal=decimal, unit=unit, order=order, values=values)
    numbers = sum(count for form, count in forms.items() if _reads_number(form, settled))
    dates = sum(count for form, count in forms.items() if _reads_date(form, settled))
    truths = forms.get("yes/no", 0)
    texts = truths + forms.get("text", 0)
    most = max(numbers, dates, truths)
    name: KindName = "number" if most == numbers else "date" if most == dates else "yes/no"
    if not values or (FEW * (values - texts) <= values and FEW * (values - truths) > values):
        return settled._replace(name="text")
    if FEW * (values - most) <= values:
        return settled._replace(name=name, unread=values - most)
    read = numbers + dates - forms.get("year", 0)
    return settled._replace(name="mixed", unread=values - read)


def _is_number(form: str) -> bool:
    return form == "year" or form.startswith("number")


def _mark(form: str) -> str:
    return [*form.split(" "), "", ""][1]


def _unit(form: str) -> str:
    return [*form.split(" "), "", ""][2]


def _suits(unit: str, of_field: str) -> bool:
    """Whether numbers with this unit, or without one if it is empty, are in the unit of the field."""
    return unit == of_field or (not unit and of_field != "%")


def _choose_unit(counts: Mapping[str, int]) -> str:
    units: dict[str, int] = {}
    for form, count in counts.items():
        if _is_number(form):
            units[_unit(form)] = units.get(_unit(form), 0) + count
    bare = units.pop("", 0)
    if not units:
        return ""
    unit = max(units, key=lambda unit: units[unit])
    tied = sum(count == units[unit] for count in units.values()) > 1
    return "" if tied or (unit == "%" and bare >= units["%"]) else unit


def _choose_decimal(marks: set[str]) -> str:
    if {".", ","} <= marks or {"?.", "?,"} == marks & {"?.", "?,", ".", ","}:
        return "both"
    return "." if "." in marks else "," if "," in marks else ""


def _choose_order(forms: set[str]) -> str:
    orders = [order for order in ("day", "month") if f"date {order}" in forms]
    return orders[0] if len(orders) == 1 else ""


def _reads_number(form: str, kind: Kind) -> bool:
    if not _is_number(form) or not _suits(_unit(form), kind.unit):
        return False
    return not _mark(form).startswith("?") or _reads_doubtful(_mark(form)[1:], kind)


def _reads_doubtful(mark: str, kind: Kind) -> bool:
    """Whether a number that has one mark, before three digits, is read."""
    return kind.decimal in (".", ",") or (mark == "." and not kind.decimal)


def _reads_date(form: str, kind: Kind) -> bool:
    if form in _UNSETTLED:
        return form == "date ?" and bool(kind.order)
    return form == "year" or form.startswith("date")


def interpret(text: str, kind: Kind) -> Interpretation:
    """What a value means in a field of this kind: a number, a time, in a mixed field either; nothing if unreadable.

    >>> dates = decide({"date ?": 5, "date day": 1})
    >>> interpret("02/01/1970", dates).begin, interpret("1,5", Kind("number", decimal=",")).number == number_key("1.5")
    (86400.0, True)
    """
    content = content_of(text)
    if content is None or kind.name in ("text", "yes/no"):
        return Interpretation()
    number = _interpret_number(content, kind) if kind.name != "date" else None
    span = _interpret_date(content, kind) if kind.name != "number" else None
    return Interpretation(number, *(span or (None, None)))


def _interpret_number(text: str, kind: Kind) -> bytes | None:
    written = read_number(text)
    if written is None or not _suits(written.unit, kind.unit):
        return None
    point, comma, _ = written
    in_doubt = point and comma and point != comma
    if in_doubt and not _reads_doubtful("," if "," in text else ".", kind):
        return None
    decimals = comma if in_doubt and kind.decimal == "," else point or comma
    return number_key(decimals) if decimals else None


def _interpret_date(text: str, kind: Kind) -> Span | None:
    date = read_date(text) if len(text) <= LONGEST else None
    if date is None:
        return None
    day_first, month_first = date
    if day_first and month_first and day_first != month_first:
        return {"day": day_first, "month": month_first}.get(kind.order)
    return day_first or month_first
