"""A file → judged requests: what somebody would ask, and which items are right.

YAML or JSONL, a record for each request: {"query": "…", "relevant": ["id", …]}, or {"query": "…", "grades":
{"id": 2, …}}. An empty list means that nothing in the catalog is right. Or two files as TREC has them: queries, and
qrels, which grade items for them.
"""

from __future__ import annotations

import html
import itertools
import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.sources import records, strict_json, values
from attnsearch.sources.values import Value

LONGEST = 128 << 10  # characters of a query

_QUERY = ("text", "query")  # what JSONL calls a query's text
_ID = ("id", "_id", "query-id", "query_id", "qid")  # and what it calls its id
_TAG = re.compile(r"</?[A-Za-z][\w-]*\s*>")
_LABEL = re.compile(r"\s*(Number|Topic)\s*:\s*", re.IGNORECASE)  # as the early topics begin their number and title
_NUMBER = re.compile(r"[-+]?[0-9]{1,17}(\.[0-9]{1,17})?")
_HEADS = (*_ID, "query", "topic")  # what the first column of qrels may be called
_FORMS = "'query item grade' under a header, or 'query iteration item grade'"

log = logging.getLogger("attnsearch")


class Judged(NamedTuple):
    """A request and how right items are for it, by their ids; 0 is judged and wrong. `place` is its file:line."""

    query: str
    grades: Mapping[str, float]
    place: str = ""

    @property
    def relevant(self) -> list[str]:
        """The ids of the items that are right."""
        return [ident for ident, grade in self.grades.items() if grade > 0]

    @property
    def answer(self) -> bool | None:
        """Whether something in the catalog is right; None where it is only said what is wrong."""
        return True if self.relevant else None if self.grades else False


def read_judgments(source: str, qrels: str | None = None) -> list[Judged]:
    """The judged requests of the file `source`; `-` is standard input.

    With `qrels` the two are TREC's: `source` has the queries, as id and text with a tab between them, as JSONL, or as
    topics; queries that nobody judged are left out. Grades below 0, with which TREC marks junk, count as 0.

    Raises InputError, with the line where there is one: what can't be read, no query, no or two judgments of it, the
    same request or item twice, a grade that is none.
    """
    if qrels is None:
        found = parse_judgments(
            records.read_records(source, as_text=frozenset({"query", "relevant"})).items, records.source_name(source)
        )
    else:
        found = _of_trec(source, qrels)
    if not found:
        where = records.source_name(qrels or source)
        raise InputError("no judgments", where=where, hint="write a request and what is right for it")
    return found


def normalize_request(query: str) -> str:
    """A request with white space as one space. InputError where it is empty, too long, or no text."""
    values.check_text(query, "the query")
    return _text(" ".join(query.split()), "the query", "")


def parse_judgments(found_in: Iterable[values.Mapping], where: str) -> list[Judged]:
    """The judged requests of records, one of each. Raises InputError as `read` does; `where` is their file."""
    found: dict[str, Judged] = {}
    for record in found_in:
        place = f"{where}:{record.line}"
        query = _text(record.get("query"), "the query", place)
        if query in found:
            line = found[query].place.rpartition(":")[2]
            hint = "put what is right for it into one place"
            raise InputError(f"the query was already judged on line {line}", where=place, hint=hint)
        found[query] = Judged(query, _grades(record, place), place)
    return list(found.values())


def _grades(record: values.Mapping, place: str) -> dict[str, float]:
    """What one record says of items."""
    told = [name for name in ("relevant", "grades") if name in record]
    if len(told) != 1:
        what = "both 'relevant' and 'grades'" if told else "no 'relevant' and no 'grades'"
        hint = "leave one of them out" if told else "write 'relevant: []' where nothing is right"
        raise InputError(f"the query has {what}", where=place, hint=hint)
    value = record[told[0]]
    grades: dict[str, float] = {}
    if told == ["grades"]:
        if not isinstance(value, dict):
            raise InputError("'grades' is no mapping of ids to numbers", where=place)
        for ident, grade in value.items():
            grades[_text(ident, "an id", place)] = _grade(grade, ident, place)
        return grades
    if not isinstance(value, list):
        raise InputError("'relevant' is no list of ids", where=place, hint="write '[]' where nothing is right")
    for one in value:
        ident = _text(one, "an id", place)
        if ident in grades:
            raise InputError(f"the item '{ident[:80]}' is named twice", where=place)
        grades[ident] = 1.0
    return grades


def _text(value: Value, what: str, place: str) -> str:
    """A query or an id, which may be written as a number."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        kind = "missing" if value is None else "no text"
        raise InputError(f"{what} is {kind}", where=place, hint=_hint(what))
    text = str(value).strip()
    if not text:
        raise InputError(f"{what} is empty", where=place)
    if len(text) > LONGEST:
        raise InputError(f"{what} has {len(text):,} characters; at most {LONGEST:,} are read", where=place)
    return text


def _hint(what: str) -> str:
    return "queries without judgments are given together with their qrels" if what == "the query" else ""


def _grade(value: Value, ident: str, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        hint = "a grade is a number, and 0 for what is wrong"
        raise InputError(f"the grade of '{ident[:80]}' is {str(value)[:40]}", where=place, hint=hint)
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"the grade of '{ident[:80]}' is too large", where=place) from None


def _of_trec(source: str, qrels: str) -> list[Judged]:
    queries = _queries(source)
    graded: dict[str, dict[str, float]] = {}
    for ident, item, grade, place in _qrels(qrels):
        if ident not in queries:
            hint = f"the queries are those of {records.source_name(source)}"
            raise InputError(f"there is no query '{ident[:80]}'", where=place, hint=hint)
        grades = graded.setdefault(ident, {})
        if item in grades:
            raise InputError(f"'{item[:80]}' is judged twice for the query '{ident[:80]}'", where=place)
        grades[item] = grade
    if graded and (unjudged := len(queries) - len(graded)):
        log.warning("%s: %d of %d queries have no judgments, and are left out",
                    records.source_name(source), unjudged, len(queries))  # fmt: skip
    return [Judged(text, graded[ident], place) for ident, (text, place) in queries.items() if ident in graded]


def _queries(source: str) -> dict[str, tuple[str, str]]:
    """Each query's text and place, by its id. What the file is, its first line tells."""
    where = records.source_name(source)
    lines = records.read_lines(source)
    first = next(lines, None)
    if first is None:
        raise InputError("no queries", where=where)
    numbered = itertools.chain([first], lines)
    told = _topics if first[1].lstrip().startswith("<") else _objects if first[1].lstrip().startswith("{") else _rows
    found: dict[str, tuple[str, str]] = {}
    for ident, text, place in told(numbered, where):
        if ident in found:
            line = found[ident][1].rpartition(":")[2]
            raise InputError(f"the query '{ident[:80]}' was already on line {line}", where=place)
        found[ident] = _text(text, "the query", place), place
    if not found:
        raise InputError("no queries", where=where)
    return found


def _rows(lines: Iterable[tuple[int, str]], where: str) -> Iterator[tuple[str, Value, str]]:
    """Queries as id and text with a tab between them; a first row of names is none."""
    for number, line in lines:
        ident, tab, text = line.partition("\t")
        place = f"{where}:{number}"
        if not tab:
            raise InputError("no tab between the query's id and its text", where=place)
        if number > 1 or ident.strip().lower() not in _ID or text.strip().lower() not in _QUERY:
            yield _text(ident, "the query's id", place), text, place


def _objects(lines: Iterable[tuple[int, str]], where: str) -> Iterator[tuple[str, Value, str]]:
    """Queries as JSONL."""
    for number, line in lines:
        place = f"{where}:{number}"
        record = strict_json.loads(line.rstrip(), where=where, line=number)
        if not isinstance(record, Mapping):
            raise InputError("not a JSON object", where=place)
        ident, text = (next((record[name] for name in names if name in record), None) for names in (_ID, _QUERY))
        yield _text(ident, "the query's id", place), text, place


def _topics(lines: Iterable[tuple[int, str]], where: str) -> Iterator[tuple[str, Value, str]]:
    """Queries as TREC's topics: <top> <num> Number: 301 <title> International Organized Crime, … </top>.

    The tags inside may be closed or not; a title may go over several lines, and is the query.
    """
    parts: dict[str, list[str]] = {}
    tag, began, size = "", 0, 0  # `began`: on which line, 0 between topics
    for number, line in lines:
        at = 0
        for found in itertools.chain(_TAG.finditer(line), [None]):
            if began and tag in parts:
                parts[tag].append(line[at : found.start() if found else None])
                size += len(parts[tag][-1])
                if size > LONGEST:
                    raise InputError(f"a topic of over {LONGEST:,} characters", where=f"{where}:{began}")
            if found is None:
                break
            at, tag = found.end(), found[0].strip("<> \t\r\n").lower()
            if tag == "top":
                if began:
                    raise _open(where, began)
                parts, began, size = {"num": [], "title": []}, number, 0
            elif tag == "/top" and began:
                ident, text = (_LABEL.sub("", html.unescape("".join(part)), 1) for part in parts.values())
                yield _text(ident, "the topic's <num>", f"{where}:{began}"), " ".join(text.split()), f"{where}:{began}"
                began = 0
    if began:
        raise _open(where, began)


def _open(where: str, line: int) -> InputError:
    return InputError("a topic has no end", where=f"{where}:{line}", hint="close it with </top>")


def _qrels(source: str) -> Iterator[tuple[str, str, float, str]]:
    """Each judgment: the query's id, the item's, the grade, and the place."""
    where = records.source_name(source)
    for place, line, first in ((f"{where}:{number}", line, number == 1) for number, line in records.read_lines(source)):
        cells = [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
        if len(cells) not in (3, 4) or not all(cells):
            cells = line.split()
        if len(cells) not in (3, 4):
            raise InputError(f"{len(cells)} columns", where=place, hint=f"write {_FORMS}")
        ident, item, grade = cells[0], cells[-2], cells[-1]
        if _NUMBER.fullmatch(grade):
            yield ident, item, max(float(grade), 0.0), place
        elif not first or ident.lower() not in _HEADS:
            raise InputError(f"the grade {grade[:40]!r} is no number", where=place, hint=f"write {_FORMS}")
