"""Conditions as other languages write them → as `--where` does, for hints: what is suggested is never assumed."""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = 200  # characters of a text that is reworded

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_MASK = "\x01"  # around the number of a quoted text, so that no rule looks into it
_FIELD = rf"(?<![\w.{_MASK}-])(?!(?:and|or|not|has|in)\b)((?:[\w.-]+|{_MASK}\d+{_MASK}))"
_VALUE = r"([^\s,()<>=~]+)"
_NUMBER = r"(-?\d+(?:[.,]\d+)?)"
_TO = r"\s*(?:\.\.\.?|[-–—]|\bto\b|\buntil\b)\s*"
_NOTHING = r"(?:null|none|nil|empty|missing)(?!\S)"
_NEGATED = r"(?:is\s+not|isn't|not|!=|<>)"
_FLIPPED = str.maketrans("<>", "><")

_RANGE = re.compile(rf"(?:from\s+)?{_NUMBER}{_TO}{_NUMBER}", re.IGNORECASE)
_DECADE = re.compile(r"(?:the\s+)?(\d{1,3})0'?s", re.IGNORECASE)


class _Rule(NamedTuple):
    """What is written elsewhere, as a pattern, and what is written here."""

    pattern: str
    ours: str


# Each is applied to the outcome of those before it.
_RULES = (
    _Rule(r"\s*&&\s*|\s*;\s+", " and "),
    _Rule(r"\s*\|\|\s*", " or "),
    _Rule(r"\s*(?:=>|≥)\s*", " >= "),
    _Rule(r"\s*(?:=<|≤)\s*", " <= "),
    _Rule(r"\s*(?:≠|/=)\s*", " != "),
    _Rule(r"\s*(?:~=|=~)\s*", " ~ "),
    _Rule(r"^where\s+", ""),
    _Rule(rf"\s*,\s*(?={_FIELD}\s*(?:[<>=~:]|!=))", " and "),
    _Rule(rf"{_FIELD}\s*([<>]=?)\s*{_VALUE}\s*(?:and\s*)?([<>]=?)\s*{_VALUE}", r"\1 \2 \3 and \1 \4 \5"),
    _Rule(rf"{_FIELD}\s+{_NEGATED}\s+{_NOTHING}|{_FIELD}\s+exists(?!\S)", r"has \1\2"),
    _Rule(rf"{_FIELD}\s+(?:is|==?)\s+{_NOTHING}", r"not has \1"),
    _Rule(rf"{_FIELD}\s*(?:!~|\s(?:not|does\s+not|doesn't)\s+(?:contain|include|match|i?like)\w*)\s*", r"not \1 ~ "),
    _Rule(rf"{_FIELD}\s+(?:contain|include|match|i?like|starts?\s*with|ends?\s*with)\w*\s+", r"\1 ~ "),
    _Rule(r"~\s*[%*/]*([^%*/\s][^%*/]*?)[%*/]+i?(?!\S)", r"~ \1"),
    _Rule(rf"{_FIELD}\s*(?:==?|:|\bin\b|\bis\b|\bfrom\b|\bbetween\b|(?<=\s))\s*{_NUMBER}(?:{_TO}|\s+){_NUMBER}(?!\S)",
          r"\1 between \2 and \3"),
    _Rule(rf"{_FIELD}\s*(?:==?|:|\bin\b|\bis\b)\s*(?:the\s+)?(\d{{1,3}})0'?s\b", r"\1 between \g<2>0 and \g<2>9"),
    _Rule(rf"{_FIELD}:\s*(?=[<>=~]|!=)", r"\1 "),
    _Rule(rf"{_FIELD}:\s*(?![\s/])", r"\1 = "),
    _Rule(r"\bin\s*[\[{]([^\[\](){}]*)[\]}]", r"in (\1)"),
    _Rule(r"\bin\s+([^()\s][^()]*?)(?=\s+(?:and|or)\s|$)", r"in (\1)"),
    _Rule(rf"{_FIELD}\s+(?:(?:is\s+)?(?:not\s+equals?|not|ne)|isn't)\s*(?:\bto\s|=)?\s*(?![\s]|in\b|between\b)",
          r"\1 != "),
    _Rule(rf"{_FIELD}\s+(?:is\s+)?(?:gte|ge|at\s+least|from|since)\s+", r"\1 >= "),
    _Rule(rf"{_FIELD}\s+(?:is\s+)?(?:lte|le|at\s+most|up\s+to|until|to)\s+", r"\1 <= "),
    _Rule(rf"{_FIELD}\s+(?:is\s+)?(?:gt|after|over|above|(?:more|greater|later|newer)\s+than)\s+", r"\1 > "),
    _Rule(rf"{_FIELD}\s+(?:is\s+)?(?:lt|before|under|below|(?:less|earlier|older|smaller)\s+than)\s+", r"\1 < "),
    _Rule(rf"{_FIELD}\s+(?:is|are|eq|equals?)\s+(?!not\b|in\b|between\b)", r"\1 = "),
    _Rule(rf"{_FIELD}\s*=\s*{_VALUE}\s+or\s+{_VALUE}(?=\s+and\s|$)", r"\1 = \2, \3"),
    _Rule(rf"{_FIELD}\s+(?:is|are)\s+(?=(?:not\s+)?(?:in|between)\b)", r"\1 "),
    _Rule(rf"(?<!\S)!\s*(?=\(|{_FIELD}\s*(?:[<>=~]|!=))", "not "),
)  # fmt: skip


def reword(text: str) -> str | None:
    """A condition in the words of `--where`; None if no rule applies. What comes back need not be valid.

    >>> reword("year => 1990 && title LIKE '%moon%'"), reword("genre:drama"), reword("1900 < year < 1950")
    ("year >= 1990 and title ~ 'moon'", 'genre = drama', 'year > 1900 and year < 1950')
    >>> reword("year >= 1990")
    """
    if len(text) > LONGEST or _MASK in text:
        return None
    quoted: list[str] = []

    def mask(match: re.Match[str]) -> str:
        quoted.append(match[0])
        return f"{_MASK}{len(quoted) - 1}{_MASK}"

    masked = _QUOTED.sub(mask, text.strip())
    reworded = _turn_around(masked)
    for rule in _RULES:
        reworded = re.sub(rule.pattern, rule.ours, reworded, flags=re.IGNORECASE)
    if reworded == masked:
        return None
    if "~" not in masked:  # then a contains was another word, with marks of its own
        quoted = [part[0] + (part[1:-1].strip("%*") or part[1:-1]) + part[0] for part in quoted]
    return re.sub(rf"{_MASK}(\d+){_MASK}", lambda match: quoted[int(match[1])], reworded).strip()


def read_range(value: str) -> tuple[str, str] | None:
    """The ends of a range of numbers in one text; None if it is not one.

    >>> read_range("1990-1999"), read_range("1950s"), read_range("2..5"), read_range("red")
    (('1990', '1999'), ('1950', '1959'), ('2', '5'), None)
    """
    if len(value) > LONGEST:
        return None
    if match := _RANGE.fullmatch(value.strip()):
        return match[1], match[2]
    if match := _DECADE.fullmatch(value.strip()):
        return f"{match[1]}0", f"{match[1]}9"
    return None


def _turn_around(text: str) -> str:
    """`1900 < year < 1950` with the field first."""
    chain = rf"{_NUMBER}\s*([<>]=?)\s*{_FIELD}\s*([<>]=?)\s*{_VALUE}"
    if match := re.fullmatch(chain, text):
        low, first, field, second, high = match.groups()
        return f"{field} {first.translate(_FLIPPED)} {low} and {field} {second} {high}"
    return text
