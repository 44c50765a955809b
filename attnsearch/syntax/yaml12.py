"""YAML text → plain values, by the core schema of YAML 1.2, safe on hostile files.

PyYAML's own constructors follow YAML 1.1, where `On` is true and `12:30:45` is a number; they silently keep the last
of two equal keys, and they recurse. This parser builds values from libyaml's stream of events instead: it does not
recurse, refuses tags that construct objects, limits nesting and the repetition by aliases, and reports every error
with its line. https://yaml.org/spec/1.2.2/#103-core-schema

It departs from the core schema twice, as files do. A number with leading zeros is text: `zip: 01234` is not 1,234. And
merge keys work as in YAML 1.1: https://yaml.org/type/merge.html
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from attnsearch.errors import InputError
from attnsearch.syntax.names import fold_name
from attnsearch.syntax.values import DEPTH, PARTS, STREAM_HINT, Mapping, Value, parse_integer, require_finite

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
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
_MERGE = "<<"
_NOT_TEXT = frozenset("nNtTfF~-+.0123456789")  # the first characters of plain scalars that may not be text


@dataclass(slots=True)
class _Container:
    """A mapping or list still being read.

    `key` of a mapping is the key that waits for its value; `key` of a list is the key that the list stands under, ""
    at the top. `merges` is whether the value that comes next is to be merged, and `merged` is what was.
    """

    value: Mapping | list[Value]
    anchor: str | None
    size: int = 1
    key: str | None = None
    lines: dict[str, int] = field(default_factory=dict)
    merges: bool = False
    merged: list[Mapping] = field(default_factory=list)

    def merge(self) -> None:
        """Put the fields of what was merged before the own ones: own fields win, then those of an earlier mapping."""
        fields: dict[str, Value] = {}
        for mapping in reversed(self.merged):
            fields.update(mapping)
        fields.update(self.value)
        self.value.clear()
        self.value.update(fields)  # type: ignore[union-attr]


def parse_documents(text: str, *, where: str, as_text: frozenset[str] = frozenset()) -> list[Value]:
    """The documents in `text`, without empty ones. Mappings are of class `Mapping`, with their lines.

    Values of the keys in `as_text`, and the elements of lists there, stay text as written, except empty and null
    ones: `title: 1984` is a title, not a year. Such names are folded, see `fold_name`; "" means a list at the top.

    Raises InputError, with `where` and the line: not YAML, a key used twice, a tag beyond the core schema, a number
    that is not finite, a merge key without mappings, nesting deeper than `DEPTH`, more than `PARTS` keys and values,
    aliases that repeat more than `REPEATED` characters.
    """
    builder = _Builder(where, as_text)
    if text.count("%TAG") > DIRECTIVES and len(_DIRECTIVE.findall(text)) > DIRECTIVES:
        raise InputError(f"more than {DIRECTIVES} %TAG directives", where=where)
    try:
        events = yaml.parse(text, Loader=_LOADER)
        for event in itertools.islice(events, PARTS):
            builder.handle(event)
        if next(events, None):
            raise InputError(f"more than {PARTS:,} keys and values", where=where, hint=STREAM_HINT)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InputError(f"not YAML: {error.problem or error.context}", where=f"{where}:{line}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(f"not YAML: {error.reason}", where=f"{where}:{line}") from None
    return [document for document in builder.documents if document is not None]


class _Builder:
    """Builds the documents from events; open containers are in a list, not on Python's stack."""

    def __init__(self, where: str, as_text: frozenset[str]) -> None:
        self.where = where
        self.as_text = {fold_name(name) for name in as_text}
        self.documents: list[Value] = []
        self.open: list[_Container] = []
        self.anchors: dict[str, tuple[Value, int]] = {}
        self.repeated = 0

    def handle(self, event: Any) -> None:
        line = event.start_mark.line + 1
        match event:
            case yaml.ScalarEvent():
                is_merge = event.value == _MERGE and self._expects_key()
                self._check_tag(event.tag, (*_SCALARS, "merge") if is_merge else _SCALARS, line)
                self._add(self._read_scalar(event, line), len(event.value) + 1, event.anchor, line)
            case yaml.MappingStartEvent():
                self._check_tag(event.tag, ("map",), line)
                mapping = Mapping()
                mapping.line = line
                self._begin(mapping, event.anchor, line)
            case yaml.SequenceStartEvent():
                self._check_tag(event.tag, ("seq",), line)
                self._begin([], event.anchor, line)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                container = self.open.pop()
                if container.merged:
                    container.merge()
                self._add(container.value, container.size, container.anchor, line)
            case yaml.AliasEvent():
                if event.anchor not in self.anchors:
                    raise self._error(f"alias *{event.anchor:.80} has no anchor before it", line)
                value, size = self.anchors[event.anchor]
                self.repeated += size
                if self.repeated > REPEATED:
                    raise self._error("aliases repeat too much; write the values out", line)
                self._add(value, size, None, line)
            case yaml.DocumentStartEvent():
                self.anchors.clear()

    def _begin(self, value: Mapping | list[Value], anchor: str | None, line: int) -> None:
        if len(self.open) == DEPTH:
            raise self._error(f"nested more than {DEPTH} deep", line)
        if self._expects_key():
            raise self._error("a key must be text", line)
        key = None
        if isinstance(value, list):
            key = self.open[-1].key if self.open else ""
        self.open.append(_Container(value, anchor, key=key))

    def _add(self, value: Value, size: int, anchor: str | None, line: int) -> None:
        if anchor:
            self.anchors[anchor] = (value, size)
        if not self.open:
            self.documents.append(value)
            return
        parent = self.open[-1]
        parent.size += size
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is None:
            self._check_key(value, parent, line)
            parent.lines[value] = line
            parent.key = value
        elif parent.merges:
            parent.merged = self._read_merged(value, line)
            parent.merges, parent.key = False, None
        else:
            parent.value[parent.key] = value
            parent.key = None

    def _read_merged(self, value: Value, line: int) -> list[Mapping]:
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, Mapping) for mapping in mappings):
            raise self._error("a merge key (<<) takes a mapping or a list of mappings", line)
        return mappings

    def _check_key(self, key: Value, mapping: _Container, line: int) -> None:
        if not isinstance(key, str):
            raise self._error("a key must be text", line)
        if key in mapping.lines:
            raise self._error(f"the key '{key[:80]}' was already used on line {mapping.lines[key]}", line)

    def _expects_key(self) -> bool:
        """Whether the next value is the key of a mapping."""
        return bool(self.open) and isinstance(self.open[-1].value, Mapping) and self.open[-1].key is None

    def _read_scalar(self, event: Any, line: int) -> Value:
        text: str = event.value
        plain, _ = event.implicit
        parent = self.open[-1] if self.open else None
        if parent and self._expects_key():
            parent.merges = text == _MERGE and (plain or event.tag == f"{_TAG}merge")
            return text
        kind = _resolve_kind(text) if plain else "str"
        if event.tag and event.tag != "!":
            kind = event.tag.removeprefix(_TAG)
        if kind != "null" and parent and parent.key is not None and fold_name(parent.key) in self.as_text:
            return text
        try:
            return _parse_scalar(kind, text)
        except ValueError as error:
            raise self._error(str(error), line) from None

    def _check_tag(self, tag: str | None, allowed: tuple[str, ...], line: int) -> None:
        if tag and tag != "!" and tag.removeprefix(_TAG) not in allowed:
            raise self._error(f"the tag {tag[:80]} is not one of YAML's own", line)

    def _error(self, message: str, line: int) -> InputError:
        return InputError(message, where=f"{self.where}:{line}")


def _resolve_kind(text: str) -> str:
    """The core schema's name for the type of a plain scalar."""
    if text and text[0] not in _NOT_TEXT:
        return "str"
    if _LEADING_ZERO.match(text):
        return "str"
    return next((kind for kind, pattern in _PLAIN.items() if pattern.fullmatch(text)), "str")


def _parse_scalar(kind: str, text: str) -> Value:
    """The scalar `text` as a value of type `kind`; ValueError, worded for the user, if it is not one."""
    if kind == "str":
        return text
    if not _PLAIN[kind].fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a YAML {kind}")
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return parse_integer(text, base=0 if text.startswith(("0o", "0x")) else 10)
    return require_finite(math.inf if text[-1] in "fFnN" else float(text), text)
