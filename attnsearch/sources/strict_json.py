"""JSON text → plain values, with lines, and nothing let through that a later room could choke on.

The standard library decodes. Added here: the line of each item, since a message without one is little help, and
a refusal of what RFC 7493 (I-JSON) calls unwise: the same key twice, NaN and infinity, half a surrogate pair.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from attnsearch.errors import InputError
from attnsearch.sources.values import DEPTH, LONGEST_NUMBER, PARTS, Mapping, Value

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)  # one left open goes to the end: linear


def loads(text: str, *, where: str, line: int = 1) -> Value:
    """The value in `text`, which begins on `line`; an object comes as a `Mapping`, with its line.

    Raises InputError, with `where` and the line, for what is not JSON or not I-JSON.
    """
    with _errors(where, line):
        _check_size(text)
        value = _DECODER.decode(text)
        _check(text, value)
    if isinstance(value, Mapping):
        value.line = line
    return value


def load(text: str, *, where: str) -> Value:
    """The document in `text`: like `loads`, but the objects of a list, or of a list under `items`, have lines too."""
    with _errors(where, 1):
        _check_size(text)
    scan = _Scan(text, where)
    if scan.peek() == "[":
        document: Value = scan.items()
    elif scan.peek() == "{":
        document = scan.head()
    else:
        document = scan.value()
    if scan.peek():
        scan.fail("more after the end")
    return document


def _object(pairs: list[tuple[str, Value]]) -> Mapping:
    mapping = Mapping(pairs)
    if len(mapping) < len(pairs):
        last = {key: at for at, (key, _) in enumerate(pairs)}
        twice = next(key for at, (key, _) in enumerate(pairs) if at < last[key])
        raise ValueError(f"the key '{twice[:80]}' is used twice in one object")
    return mapping


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a finite number")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number


def _int(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text):,} digits; put it in quotes if it is text")
    return int(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int)


@contextmanager
def _errors(where: str, line: int) -> Iterator[None]:
    """Turn what goes wrong while decoding from `line` on into an InputError with the line."""
    try:
        yield
    except json.JSONDecodeError as error:
        at = f"{where}:{line + error.lineno - 1}"
        raise InputError(f"not JSON: {error.msg} (column {error.colno})", where=at) from None
    except RecursionError:
        raise InputError(f"nested more than {DEPTH} deep", where=f"{where}:{line}") from None
    except UnicodeEncodeError:
        raise InputError("half of a surrogate pair (\\ud800…) is no character", where=f"{where}:{line}") from None
    except ValueError as error:
        raise InputError(str(error), where=f"{where}:{line}") from None


def _check_size(text: str) -> None:
    """ValueError for more parts than memory could hold, told by the marks between them before anything is made."""
    if _parts(text) > PARTS and _parts(_STRING.sub("", text, PARTS + 1)) > PARTS:  # marks in a string are text
        raise ValueError(f"more than {PARTS:,} keys and values; use JSONL or CSV, which are read as a stream")


def _parts(text: str) -> int:
    return text.count(",") + text.count(":") + 2 * (text.count("[") + text.count("{"))


def _check(text: str, value: Value) -> None:
    """What the decoder lets through and nothing else can hold: half a surrogate pair, and nesting without end."""
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()
    if text.count("[") + text.count("{") > DEPTH:
        layer, depth = [value], 0
        while layer:
            if depth > DEPTH:
                raise RecursionError
            inside = (
                part.values() if isinstance(part, dict) else part for part in layer if isinstance(part, (dict, list))
            )
            layer, depth = list(itertools.chain.from_iterable(inside)), depth + 1


class _Scan:
    """A place in a JSON text, and the line that it is on."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        self.at, self.line = 0, 1

    def move(self, to: int) -> None:
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def peek(self) -> str:
        space = _SPACE.match(self.text, self.at)
        self.move(space.end() if space else self.at)
        return self.text[self.at : self.at + 1]

    def take(self, wanted: str) -> str:
        found = self.peek()
        if not found or found not in wanted:
            self.fail(f"{' or '.join(wanted)} is missing")
        self.move(self.at + 1)
        return found

    def fail(self, message: str) -> NoReturn:
        raise InputError(f"not JSON: {message}", where=f"{self.where}:{self.line}")

    def value(self) -> Value:
        self.peek()
        line = self.line
        try:
            value, end = _DECODER.raw_decode(self.text, self.at)
            _check(self.text[self.at : end], value)
        except json.JSONDecodeError as error:
            self.line = error.lineno
            self.fail(error.msg)
        except (RecursionError, ValueError):
            with _errors(self.where, line):
                raise
        if isinstance(value, Mapping):
            value.line = line
        self.move(end)
        return value

    def items(self) -> list[Value]:
        self.take("[")
        found: list[Value] = []
        if self.peek() == "]":
            self.take("]")
            return found
        while True:
            found.append(self.value())
            if self.take(",]") == "]":
                return found

    def head(self) -> Mapping:
        head = Mapping()
        head.line = self.line
        self.take("{")
        if self.peek() == "}":
            self.take("}")
            return head
        while True:
            if self.peek() != '"':
                self.fail("a key in double quotes is missing")
            line = self.line
            key = self.value()
            self.take(":")
            value = self.items() if key == "items" and self.peek() == "[" else self.value()
            if key in head:
                raise InputError(f"the key '{key[:80]}' is used twice", where=f"{self.where}:{line}")
            head[key] = value
            if self.take(",}") == "}":
                return head
