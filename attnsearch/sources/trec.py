"""TREC's files → graded queries: a file of queries, and one of qrels, which grade items for the queries.

Queries come as id and text with a tab between them, as JSONL, or as topics; qrels as rows "query item grade" or "query
iteration item grade". https://trec.nist.gov/data/qrels_eng/
"""

from __future__ import annotations

import html
import itertools
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.readers import raw_file, records, text_file
from attnsearch.syntax import strict_json
from attnsearch.syntax.values import LONGEST_QUERY, Value, line_of, read_text

_TEXT_KEYS = ("text", "query")  # the names of a query's text in JSONL
_ID_KEYS = ("id", "_id", "query-id", "query_id", "qid")  # and of its id
_TAG = re.compile(r"</?[A-Za-z][\w-]*\s*>")
_LABEL = re.compile(r"(Number|Topic)\s*:", re.IGNORECASE)  # early topics begin their number and title with it
_GRADE = re.compile(r"[-+]?[0-9]{1,17}(\.[0-9]{1,17})?")
_QRELS_HEADS = (*_ID_KEYS, "query", "topic")  # the names of the first column of qrels
_QRELS_HINT = "write 'query item grade' under a header, or 'query iteration item grade'"

log = logging.getLogger("attnsearch")


class Query(NamedTuple):
    """A query of TREC; `place` is its file:line."""

    id: str
    text: str
    place: str


class Judgment(NamedTuple):
    """A row of qrels: how right an item is for a query; 0 is wrong. `place` is its file:line."""

    query_id: str
    item_id: str
    grade: float
    place: str


def read_graded_queries(source: str, qrels: str) -> list[tuple[Query, dict[str, float]]]:
    """The queries of the file `source` that `qrels` judges, each with the grades of its items by their ids.

    Raises InputError, with the line if there is one: an invalid file, no queries, a query or a judgment given twice, a
    judgment for a query that `source` lacks, an invalid grade.
    """
    queries = read_queries(source)
    graded: dict[str, dict[str, float]] = {}
    for judgment in read_qrels(qrels):
        query_id, item_id = judgment.query_id, judgment.item_id
        if query_id not in queries:
            hint = f"the queries are those of {raw_file.source_name(source)}"
            raise InputError(f"there is no query '{query_id[:80]}'", where=judgment.place, hint=hint)
        grades = graded.setdefault(query_id, {})
        if item_id in grades:
            message = f"'{item_id[:80]}' is judged twice for the query '{query_id[:80]}'"
            raise InputError(message, where=judgment.place)
        grades[item_id] = judgment.grade
    if graded and (unjudged := len(queries) - len(graded)):
        log.warning("%s: %d of %d queries have no judgments, and are left out",
                    raw_file.source_name(source), unjudged, len(queries))  # fmt: skip
    return [(query, graded[query.id]) for query in queries.values() if query.id in graded]


def read_queries(source: str) -> dict[str, Query]:
    """The queries of a file by their ids; its first line decides which of the three formats it has."""
    where = raw_file.source_name(source)
    lines = records.read_lines(source, most=text_file.WHOLE)
    first = next(lines, None)
    if first is None:
        raise InputError("no queries", where=where)
    read_format = _choose_format(first[1])
    queries: dict[str, Query] = {}
    for query in read_format(itertools.chain([first], lines), where):
        if query.id in queries:
            line = line_of(queries[query.id].place)
            raise InputError(f"the query '{query.id[:80]}' was already on line {line}", where=query.place)
        queries[query.id] = query
    if not queries:
        raise InputError("no queries", where=where)
    return queries


def read_qrels(source: str) -> Iterator[Judgment]:
    """The rows of a file of qrels. Grades below 0, with which TREC marks junk, count as 0."""
    where = raw_file.source_name(source)
    for number, line in records.read_lines(source, most=text_file.WHOLE):
        place = f"{where}:{number}"
        cells = _split_cells(line)
        if len(cells) not in (3, 4):
            raise InputError(f"{len(cells)} columns", where=place, hint=_QRELS_HINT)
        query_id, item_id, grade = cells[0], cells[-2], cells[-1]
        if _GRADE.fullmatch(grade):
            yield Judgment(query_id, item_id, max(float(grade), 0.0), place)
        elif number > 1 or query_id.lower() not in _QRELS_HEADS:
            raise InputError(f"the grade {grade[:40]!r} is not a number", where=place, hint=_QRELS_HINT)


def _choose_format(first_line: str) -> Callable[[Iterable[tuple[int, str]], str], Iterator[Query]]:
    """The reader for queries that begin with this line."""
    match first_line.lstrip()[:1]:
        case "<":
            return _read_topics
        case "{":
            return _read_objects
    return _read_rows


def _read_rows(lines: Iterable[tuple[int, str]], where: str) -> Iterator[Query]:
    """Queries as id and text with a tab between them, with or without a header."""
    for number, line in lines:
        query_id, tab, text = line.partition("\t")
        place = f"{where}:{number}"
        if not tab:
            raise InputError("no tab between the query's id and its text", where=place)
        if number > 1 or query_id.strip().lower() not in _ID_KEYS or text.strip().lower() not in _TEXT_KEYS:
            yield _make_query(query_id, text, place)


def _read_objects(lines: Iterable[tuple[int, str]], where: str) -> Iterator[Query]:
    """Queries as JSONL."""
    for number, line in lines:
        place = f"{where}:{number}"
        record = strict_json.parse_line(line.rstrip(), where=where, line=number)
        if not isinstance(record, Mapping):
            raise InputError("not a JSON object", where=place)
        query_id, text = (next((record[key] for key in keys if key in record), None) for keys in (_ID_KEYS, _TEXT_KEYS))
        yield _make_query(query_id, text, place)


def _read_topics(lines: Iterable[tuple[int, str]], where: str) -> Iterator[Query]:
    """Queries as TREC's topics: <top> <num> Number: 301 <title> International Organized Crime, … </top>.

    The tags inside may be closed or not; a title may span several lines, and is the query.
    """
    topic: _Topic | None = None
    for number, line in lines:
        for text, tag in _split_tags(line):
            if topic:
                topic.add_text(text)
            if tag == "top":
                if topic:
                    raise topic.unclosed()
                topic = _Topic(f"{where}:{number}")
            elif topic and tag == "/top":
                yield topic.make_query()
                topic = None
            elif topic and tag:
                topic.tag = tag
    if topic:
        raise topic.unclosed()


def _split_tags(line: str) -> Iterator[tuple[str, str]]:
    """Each stretch of text and the name of the tag after it, in lower case; "" at the end of the line."""
    start = 0
    for match in _TAG.finditer(line):
        yield line[start : match.start()], match[0].strip("<> \t\r\n").lower()
        start = match.end()
    yield line[start:], ""


@dataclass(slots=True)
class _Topic:
    """A topic still being read: its latest tag, and the text after <num> and after <title>."""

    place: str
    tag: str = ""
    parts: dict[str, list[str]] = field(default_factory=lambda: {"num": [], "title": []})
    size: int = 0

    def add_text(self, text: str) -> None:
        if self.tag not in self.parts:
            return
        self.parts[self.tag].append(text)
        self.size += len(text)
        if self.size > LONGEST_QUERY:
            raise InputError(f"a topic of over {LONGEST_QUERY:,} characters", where=self.place)

    def make_query(self) -> Query:
        num, title = (self._read_part(name) for name in self.parts)
        return _make_query(num, " ".join(title.split()), self.place, "the topic's <num>")

    def _read_part(self, name: str) -> str:
        """The text after a tag, without its label."""
        try:
            text = html.unescape("".join(self.parts[name])).strip()
        except ValueError:  # Python refuses to read a number of thousands of digits
            raise InputError("a character reference of too many digits", where=self.place) from None
        label = _LABEL.match(text)
        return text[label.end() :] if label else text

    def unclosed(self) -> InputError:
        return InputError("a topic has no end", where=self.place, hint="close it with </top>")


def _make_query(query_id: Value, text: Value, place: str, id_name: str = "the query's id") -> Query:
    return Query(read_text(query_id, id_name, where=place), read_text(text, "the query", where=place), place)


def _split_cells(line: str) -> list[str]:
    """The cells between tabs if these make a row of qrels, otherwise those between white space."""
    if "\t" in line:
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) in (3, 4) and all(cells):
            return cells
    return line.split()
