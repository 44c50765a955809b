"""Numbers as programs and people write them → bytes that compare as the numbers do, no digit lost.

1299    1.3e3               as programs write them
1,299.00    1.299,00        thousands, and the decimal mark of a country
$12.99    12,99 €    15%    with a unit
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

LONGEST = 60  # characters of a number or date that is not in the form of programs

# Each part begins with a character that the part before can't hold, so a match takes one pass.
_NUMBER = re.compile(r"([+-]?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,9}))?")
_ZERO = b"\x01"  # the key of 0, between those of negative numbers (0) and of positive ones (2)
_MIDDLE = 1 << 31  # stands for the exponent 0, so that all exponents are four unsigned bytes
_COMPLEMENT = bytes(range(255, -1, -1))  # reverses the order of bytes

_SPACES = " \u00a0\u2009\u202f"  # also those that don't break a line, and narrow ones
CODES = (
    "AED|ARS|AUD|BGN|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|MYR|NOK|NZD|PEN|PHP|"
    "PLN|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR"
)
_NAMES = {"€": "EUR", "£": "GBP", "₹": "INR", "US$": "USD"}  # of symbols that mean one currency


class Written(NamedTuple):
    """What a written number is where a point marks its decimals, and where a comma does, in the form of programs.

    None if it can't be written so. `unit` is a currency or "%", or empty.
    """

    point: str | None
    comma: str | None
    unit: str = ""


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A number with marks and a unit, and its whole part with marks for thousands; in India, for hundreds of them."""
    unit = rf"[A-Z]{{0,2}}\$|[€£¥₹₽₩₺₴₫₪฿]|{CODES}"
    written = re.compile(
        rf"([+-]?)(?:({unit})[{_SPACES}]?)?([+-]?)([0-9](?:[.,'’{_SPACES}]?[0-9])*+)(?:[{_SPACES}]?({unit}|%))?"
    )
    grouped = re.compile(
        rf"[1-9][0-9]?(?:,[0-9]{{2}})*,[0-9]{{3}}|[1-9][0-9]{{0,2}}(?:([.,'’{_SPACES}])[0-9]{{3}})(?:\1[0-9]{{3}})*"
    )
    return written, grouped


def read_number(text: str) -> Written | None:
    """What a text is as a number; None if it is not one, or a code that begins with 0, such as 007.

    >>> read_number("1,234"), read_number("$1,234.50")
    (Written(point='1234', comma='1.234', unit=''), Written(point='1234.50', comma=None, unit='$'))
    """
    if plain := _NUMBER.fullmatch(text):
        sign, whole, fraction, exponent = plain.groups()
        if fraction is None:
            return Written(text, text)
        groups = len(fraction) == 3 and len(whole) < 4 and whole != "0" and exponent is None
        return Written(text, sign + whole + fraction if groups else None)
    if len(text) > LONGEST or not (match := _patterns()[0].fullmatch(text)):
        return None
    sign, before, inner_sign, body, after = match.groups("")
    if (before and after) or (sign and inner_sign):
        return None
    unit = before or after
    point, comma = (_read_marks(sign + inner_sign, body, mark) for mark in ".,")
    return Written(point, comma, _NAMES.get(unit, unit)) if point or comma else None


def _read_marks(sign: str, body: str, mark: str) -> str | None:
    """A number whose decimals follow `mark`, in the form of programs; None if it can't be read so."""
    whole, *fraction = body.split(mark)
    if len(fraction) > 1 or not "".join(fraction or "0").isdecimal():
        return None
    if not whole.isdecimal():
        if not _patterns()[1].fullmatch(whole):
            return None
        whole = re.sub(r"[^0-9]", "", whole)
    number = f"{sign}{whole}{'.' if fraction else ''}{''.join(fraction)}"
    return number if _NUMBER.fullmatch(number) else None


def number_key(text: str) -> bytes | None:
    """Bytes that compare, byte by byte, exactly as the decimal numbers that the texts spell; None for other text.

    No digit is lost, however many there are: a float64 has room for 15 and SQLite's integers for 18. A number is
    0.d₁d₂… · 10^e, its last digit not 0; its key is a byte for the sign, then e in four bytes, then the digits. What
    follows the sign of a negative number is reversed in order, and ended, since of two such keys the longer is lower.
    An exponent has at most 9 digits, and a number no leading zeros: `007` is text.

    >>> number_key("39.50") == number_key("3.95e1"), number_key("9007199254740993") > number_key("9007199254740992.9")
    (True, True)
    >>> number_key("-1e400") < number_key("-1.5") < number_key("-1") < number_key("0") < number_key("1e-400")
    True
    """
    match = _NUMBER.fullmatch(text)
    if not match:
        return None
    sign, whole, fraction, exponent = match.groups("")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return _ZERO
    power = int(exponent or 0) + len(digits) - len(fraction)
    size = (power + _MIDDLE).to_bytes(4, "big") + digits.rstrip("0").encode()
    return b"\x00" + size.translate(_COMPLEMENT) + b"\xff" if sign == "-" else b"\x02" + size


def key_number(key: bytes) -> float:
    """The number that a key stands for, rounded to float64; infinite beyond its range.

    >>> key_number(number_key("-39.50"))
    -39.5
    """
    if key == _ZERO:
        return 0.0
    sign, size = ("-", key[1:-1].translate(_COMPLEMENT)) if key[0] == 0 else ("", key[1:])
    return float(f"{sign}0.{size[4:].decode()}e{int.from_bytes(size[:4], 'big') - _MIDDLE}")
