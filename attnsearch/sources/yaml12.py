"""YAML text → plain values, by the rules of YAML 1.2's core schema, safe on hostile files.

PyYAML's own constructors follow YAML 1.1, where `On` is true and `12:30:45` is a number, keep the last
of two equal keys without a word, and recurse. Here the values are built from libyaml's stream of events:
no recursion, no tags that make objects, an end to nesting and to what aliases may repeat, and a line
number for every complaint. https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from attnsearch.errors import InputError
from attnsearch.sources.values import DEPTH, LONGEST_NUMBER, PARTS, Mapping, Value

REPEATED = 10_000_000  # characters that all aliases of a file may stand for
DIRECTIVES = 100  # libyaml compares each with all before it

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_DIRECTIVE = re.compile(r"[\n\r\x85\u2028\u2029]%TAG")
_PLAIN = {
    "null": re.compile(r"null|Null|NULL|~|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
}
_SCALARS = ("str", *_PLAIN)
_NOT_TEXT = frozenset("nNtTfF~-+.0123456789")  # what a plain scalar begins with that may be other than text


@dataclass(slots=True)
class _Open:
    """A container whose end has not come yet. `key` waits for its value; of a list it is what the list is under."""

    value: Mapping | list[Value]
    anchor: str | None
    size: int = 1
    key: str | None = None
    lines: dict[str, int] = field(default_factory=dict)


def load(text: str, *, where: str, as_text: frozenset[str] = frozenset()) -> Value:
    """The one document in `text`; None when it is empty.

    Values of the keys named in `as_text`, and what is in a list there, stay text as written, but for an empty or null
    one: `title: 1984` is a title, not a year. Mappings come as `Mapping`, with their line.

    Raises InputError, with `where` and the line: not YAML, two documents, a key used twice, a tag beyond
    the core schema, a number that is not finite, nesting deeper than `DEPTH`, aliases that repeat more than
    `REPEATED` characters.
    """
    build = _Builder(where, as_text)
    if text.count("%TAG") > DIRECTIVES and len(_DIRECTIVE.findall(text)) > DIRECTIVES:
        raise InputError(f"more than {DIRECTIVES} %TAG directives", where=where)
    try:
        events = yaml.parse(text, Loader=_LOADER)
        for event in itertools.islice(events, PARTS):
            build.take(event)
        if next(events, None):
            hint = "use JSONL or CSV, which are read as a stream"
            raise InputError(f"more than {PARTS:,} keys and values", where=where, hint=hint)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InputError(f"not YAML: {error.problem or error.context}", where=f"{where}:{line}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(f"not YAML: {error.reason}", where=f"{where}:{line}") from None
    return build.document


class _Builder:
    """Keeps the open containers in a list instead of on Python's stack."""

    def __init__(self, where: str, as_text: frozenset[str]) -> None:
        self.where = where
        self.as_text = as_text
        self.document: Value = None
        self.documents = 0
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Value, int]] = {}
        self.repeated = 0

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        match event:
            case yaml.ScalarEvent():
                self._tag(event.tag, _SCALARS, line)
                self._add(self._scalar(event, line), len(event.value) + 1, event.anchor, line)
            case yaml.MappingStartEvent():
                self._tag(event.tag, ("map",), line)
                mapping = Mapping()
                mapping.line = line
                self._begin(mapping, event.anchor, line)
            case yaml.SequenceStartEvent():
                self._tag(event.tag, ("seq",), line)
                self._begin([], event.anchor, line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                done = self.open.pop()
                self._add(done.value, done.size, done.anchor, line)
            case yaml.AliasEvent():
                if event.anchor not in self.anchors:
                    raise self._error(f"alias *{event.anchor:.80} has no anchor before it", line)
                value, size = self.anchors[event.anchor]
                self.repeated += size
                if self.repeated > REPEATED:
                    raise self._error("aliases repeat too much; write the values out", line)
                self._add(value, size, None, line)
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise self._error("a second document begins; one file is one catalog", line)

    def _begin(self, value: Mapping | list[Value], anchor: str | None, line: int) -> None:
        if len(self.open) == DEPTH:
            raise self._error(f"nested more than {DEPTH} deep", line)
        if self.open and isinstance(self.open[-1].value, Mapping) and self.open[-1].key is None:
            raise self._error("a key must be text", line)
        listed = self.open[-1].key if self.open and isinstance(value, list) else None
        self.open.append(_Open(value, anchor, key=listed))

    def _add(self, value: Value, size: int, anchor: str | None, line: int) -> None:
        if anchor:
            self.anchors[anchor] = (value, size)
        if not self.open:
            self.document = value
            return
        top = self.open[-1]
        top.size += size
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is None:
            top.key = self._key(value, top, line)
        else:
            top.value[top.key] = value
            top.key = None

    def _key(self, value: Value, top: _Open, line: int) -> str:
        if not isinstance(value, str):
            raise self._error("a key must be text", line)
        if value in top.lines:
            raise self._error(f"the key '{value[:80]}' was already used on line {top.lines[value]}", line)
        top.lines[value] = line
        return value

    def _scalar(self, event: Any, line: int) -> Value:
        text: str = event.value
        plain, _ = event.implicit
        top = self.open[-1] if self.open else None
        if top and isinstance(top.value, Mapping) and top.key is None:
            if plain and text == "<<":
                raise self._error("merge keys (<<) are not YAML 1.2; write the fields out", line)
            return text
        kind = _kind(text) if plain else "str"
        if event.tag and event.tag != "!":
            kind = event.tag.removeprefix(_TAG)
        if kind != "null" and top and top.key in self.as_text:
            return text
        try:
            return _value(kind, text)
        except ValueError as error:
            raise self._error(str(error), line) from None

    def _tag(self, tag: str | None, known: tuple[str, ...], line: int) -> None:
        if tag and tag != "!" and tag.removeprefix(_TAG) not in known:
            raise self._error(f"the tag {tag[:80]} is not one of YAML's own", line)

    def _error(self, message: str, line: int) -> InputError:
        return InputError(message, where=f"{self.where}:{line}")


def _kind(text: str) -> str:
    """The core schema's name for a plain scalar."""
    if text and text[0] not in _NOT_TEXT:
        return "str"
    return next((kind for kind, form in _PLAIN.items() if form.fullmatch(text)), "str")


def _value(kind: str, text: str) -> Value:
    """The scalar `text` read as `kind`; ValueError, in words for a person, when it can't be."""
    if kind == "str":
        return text
    if not _PLAIN[kind].fullmatch(text) and not (kind == "float" and _PLAIN["int"].fullmatch(text)):
        raise ValueError(f"{text[:40]!r} is not a YAML {kind}")
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            if len(text) > LONGEST_NUMBER:
                raise ValueError(f"a number of {len(text):,} digits; put it in quotes if it is text")
            return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    number = math.inf if text[-1] in "fFnN" else float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a finite number")
    return number
