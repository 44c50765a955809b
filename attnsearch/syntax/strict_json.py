"""JSON text → plain values with their lines, strict about what other programs could not handle.

The standard library decodes. This module adds the line of each item to values and errors, and refuses what I-JSON
(RFC 7493) does not allow: a key used twice, NaN and infinity, half of a surrogate pair.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from attnsearch.errors import InputError
from attnsearch.syntax.values import DEPTH, PARTS, STREAM_HINT, Mapping, Value, parse_integer, require_finite

LEVELS = 6  # of objects around a list whose objects get their lines
DESCENTS = 1_000  # objects in which such lists are looked for: it takes longer than the standard library's decoder

_SPACE = re.compile(r"[ \t\r\n]*")
_LIST_OF_OBJECTS = re.compile(r"\[[ \t\r\n]*\{")
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)  # an open one goes to the end: linear time


def parse_line(text: str, *, where: str, line: int = 1, parts: int = PARTS) -> Value:
    """The value in `text`, which begins on `line`; an object is a `Mapping`, with its line. It has `parts` at most.

    Raises InputError, with `where` and the line, for what is not JSON or not I-JSON.
    """
    with _locate_errors(where, line):
        _check_size(text, parts)
        value = _DECODER.decode(text)
        _check_decoded(text, value)
    if isinstance(value, Mapping):
        value.line = line
    return value


def parse_documents(text: str, *, where: str) -> list[Value]:
    """The documents in `text`, one after another. Every object of a list that lies in objects has its line.

    So do the objects around it, up to `LEVELS` deep, and the first `DESCENTS` of them.

    Raises InputError, with `where` and the line, for what is not JSON or not I-JSON.
    """
    with _locate_errors(where, 1):
        _check_size(text)
    scanner = _Scanner(text, where)
    documents = [scanner.read_node()]
    while character := scanner.peek():
        if character not in "[{" or not isinstance(documents[-1], (list, dict)):
            scanner.fail("more after the end")
        documents.append(scanner.read_node())
    return documents


def _build_object(pairs: list[tuple[str, Value]]) -> Mapping:
    mapping = Mapping(pairs)
    if len(mapping) < len(pairs):
        last = {key: position for position, (key, _) in enumerate(pairs)}
        repeated = next(key for position, (key, _) in enumerate(pairs) if position < last[key])
        raise ValueError(f"the key '{repeated[:80]}' is used twice in one object")
    return mapping


def _refuse_constant(word: str) -> float:
    return require_finite(math.nan, word)


def _parse_float(text: str) -> float:
    return require_finite(float(text), text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_build_object, parse_constant=_refuse_constant, parse_float=_parse_float, parse_int=parse_integer
)


@contextmanager
def _locate_errors(where: str, line: int) -> Iterator[None]:
    """Turn an error in decoding text that begins on `line` into an InputError with its line."""
    try:
        yield
    except json.JSONDecodeError as error:
        place = f"{where}:{line + error.lineno - 1}"
        raise InputError(f"not JSON: {error.msg} (column {error.colno})", where=place) from None
    except RecursionError:
        raise InputError(f"nested more than {DEPTH} deep", where=f"{where}:{line}") from None
    except UnicodeEncodeError:
        message = "half of a surrogate pair (\\ud800…) is not a character"
        raise InputError(message, where=f"{where}:{line}") from None
    except ValueError as error:
        raise InputError(str(error), where=f"{where}:{line}") from None


def _check_size(text: str, parts: int = PARTS) -> None:
    """Raise ValueError if the text has too many parts to hold in memory; counted before anything is built."""
    if _count_parts(text) > parts and _count_parts(_STRING.sub("", text, parts + 1)) > parts:  # strings do not count
        raise ValueError(f"more than {parts:,} keys and values; {STREAM_HINT}")


def _count_parts(text: str) -> int:
    """The number of keys, values and ends of containers in `text`, by its punctuation."""
    return text.count(",") + text.count(":") + 2 * (text.count("[") + text.count("{"))


def _check_decoded(text: str, value: Value, depth: int = 0) -> None:
    """Refuse what the decoder accepts: half of a surrogate pair (UnicodeEncodeError), deep nesting (RecursionError).

    `depth` is how many containers the value lies in.
    """
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()
    if text.count("[") + text.count("{") <= DEPTH - depth:
        return
    layer = [value]
    while layer:
        if depth > DEPTH:
            raise RecursionError
        layer = [child for part in layer for child in _children(part)]
        depth += 1


def _children(value: Value) -> Iterable[Value]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class _Scanner:
    """A position in a JSON text and the line that it is on."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        self.position, self.line = 0, 1
        self.depth = self.descents = 0

    def peek(self) -> str:
        """The next character after white space; "" at the end."""
        space = _SPACE.match(self.text, self.position)
        self._move_to(space.end() if space else self.position)
        return self.text[self.position : self.position + 1]

    def take(self, expected: str) -> str:
        """Step over the next character, which must be one of `expected`."""
        character = self.peek()
        if not character or character not in expected:
            self.fail(f"{' or '.join(expected)} is missing")
        self._move_to(self.position + 1)
        return character

    def fail(self, message: str) -> NoReturn:
        raise InputError(f"not JSON: {message}", where=f"{self.where}:{self.line}")

    def read_node(self) -> Value:
        """The next value, which lies in objects only."""
        character = self.peek()
        if character == "{" and self.depth <= LEVELS and self.descents < DESCENTS:
            self.descents += 1
            return self._read_object()
        if _LIST_OF_OBJECTS.match(self.text, self.position):
            return self._read_list()
        return self._read_value()

    def _read_value(self) -> Value:
        self.peek()
        line = self.line
        try:
            value, end = _DECODER.raw_decode(self.text, self.position)
            _check_decoded(self.text[self.position : end], value, self.depth)
        except json.JSONDecodeError as error:
            self.line = error.lineno
            self.fail(error.msg)
        except (RecursionError, ValueError):
            with _locate_errors(self.where, line):
                raise
        if isinstance(value, Mapping):
            value.line = line
        self._move_to(end)
        return value

    def _read_list(self) -> list[Value]:
        values: list[Value] = []
        self.take("[")
        self.depth += 1
        while not values or self.take(",]") == ",":
            values.append(self._read_value())
        self.depth -= 1
        return values

    def _read_object(self) -> Mapping:
        mapping = Mapping()
        mapping.line = self.line
        self.take("{")
        if self.peek() == "}":
            self.take("}")
            return mapping
        self.depth += 1
        while not mapping or self.take(",}") == ",":
            if self.peek() != '"':
                self.fail("a key in double quotes is missing")
            line = self.line
            key = self._read_value()
            self.take(":")
            value = self.read_node()
            if key in mapping:
                raise InputError(f"the key '{key[:80]}' is used twice", where=f"{self.where}:{line}")
            mapping[key] = value
        self.depth -= 1
        return mapping

    def _move_to(self, position: int) -> None:
        self.line += self.text.count("\n", self.position, position)
        self.position = position
