"""A file → judged requests: what someone would ask, and which items are right.

YAML or JSONL, one record for each request: {"query": "…", "relevant": ["id", …]}, or {"query": "…", "grades":
{"id": 2, …}}. An empty list means that nothing in the catalog is right. Or a pair of files as TREC has them: queries,
and qrels, which grade items for the queries.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from attnsearch.errors import InputError
from attnsearch.readers import raw_file, records, text_file
from attnsearch.sources import trec
from attnsearch.sources.letters import normalize_text
from attnsearch.syntax import values
from attnsearch.syntax.names import Names
from attnsearch.syntax.values import Value, line_of, read_text

_SHOWN = 80  # characters of a request in a sentence

_NAMES = Names(frozenset(), frozenset({"query"}), frozenset())  # by which requests are known


class Judged(NamedTuple):
    """A judged request: a query, and the grade of each judged item by its id; 0 is wrong. `place` is its file:line."""

    query: str
    grades: Mapping[str, float]
    place: str = ""

    @property
    def relevant(self) -> list[str]:
        """The ids of the right items."""
        return [item_id for item_id, grade in self.grades.items() if grade > 0]

    @property
    def has_answer(self) -> bool | None:
        """Whether the catalog has a right item; None if the request names only wrong ones."""
        if self.relevant:
            return True
        return None if self.grades else False


def read_judgments(source: str, qrels: str | None = None) -> list[Judged]:
    """The judged requests of the file `source`; `-` is standard input.

    With `qrels`, the two files are TREC's (see `trec`): queries without judgments are left out, and grades below 0,
    with which TREC marks junk, count as 0.

    Raises InputError, with the line if there is one: an invalid file, no requests, a request without judgments or with
    two kinds of them, a request or an item given twice, an invalid grade.
    """
    if qrels is None:
        as_text = frozenset({"query", "relevant"})
        entries = records.read_records(source, names=_NAMES, as_text=as_text, most=text_file.WHOLE).items
        requests = parse_judgments(entries, raw_file.source_name(source))
    else:
        graded = trec.read_graded_queries(source, qrels)
        requests = [Judged(query.text, grades, query.place) for query, grades in graded]
    if not requests:
        where = raw_file.source_name(qrels or source)
        raise InputError("no judgments", where=where, hint="write a request and the items that are right for it")
    return requests


def name_judged(queries: Sequence[str], count: int = 1) -> str:
    """That requests were judged, in words: the first few by name, long ones cut.

    >>> name_judged(["sour soup"]), name_judged(["sour soup", "borscht", "beets"])
    ('"sour soup" was judged', '"sour soup" and 2 more were judged')
    """
    names = ", ".join(f'"{query if len(query) <= _SHOWN else query[:_SHOWN] + "…"}"' for query in queries[:count])
    more = f" and {len(queries) - count:,} more" if len(queries) > count else ""
    return f"{names}{more} {'was' if len(queries) == 1 else 'were'} judged"


def normalize_request(query: str) -> str:
    """A query with each run of white space as one space. Raises InputError if it is empty, too long or not UTF-8."""
    values.check_text(query, "the query")
    return read_text(" ".join(query.split()), "the query", where="")


def parse_judgments(entries: Iterable[values.Mapping], where: str) -> list[Judged]:
    """The judged requests in the records of the file `where`. Raises InputError as `read_judgments` does."""
    requests: dict[str, Judged] = {}
    for entry in entries:
        place = f"{where}:{entry.line}"
        hint = "queries without judgments need a file of qrels, or for heatmap a .txt with one on each line"
        query = read_text(entry.get("query"), "the query", where=place, hint=hint)
        if query in requests:
            line = line_of(requests[query].place)
            hint = "name all items that are right for it in one place"
            raise InputError(f"the query was already judged on line {line}", where=place, hint=hint)
        requests[query] = Judged(query, _read_grades(entry, place), place)
    return list(requests.values())


def _read_grades(entry: values.Mapping, place: str) -> dict[str, float]:
    """The grade of each item that a record judges."""
    if "relevant" in entry and "grades" in entry:
        raise InputError("the query has both 'relevant' and 'grades'", where=place, hint="leave one of them out")
    if "grades" in entry:
        return _read_graded(entry["grades"], place)
    if "relevant" in entry:
        return _read_relevant(entry["relevant"], place)
    hint = "write 'relevant: []' if nothing is right"
    raise InputError("the query has no 'relevant' and no 'grades'", where=place, hint=hint)


def _read_graded(graded: Value, place: str) -> dict[str, float]:
    if not isinstance(graded, dict):
        raise InputError("'grades' is not a mapping of ids to numbers", where=place)
    return _collect_grades(((key, _read_grade(grade, key, place)) for key, grade in graded.items()), place)


def _read_relevant(relevant: Value, place: str) -> dict[str, float]:
    if not isinstance(relevant, list):
        raise InputError("'relevant' is not a list of ids", where=place, hint="write '[]' if nothing is right")
    return _collect_grades(((element, 1.0) for element in relevant), place)


def _collect_grades(pairs: Iterable[tuple[Value, float]], place: str) -> dict[str, float]:
    """The pairs of an id and a grade as a dict. Raises InputError for an id that is not text or comes twice."""
    grades: dict[str, float] = {}
    for value, grade in pairs:
        item_id = normalize_text(read_text(value, "an id", where=place))
        if item_id in grades:
            raise InputError(f"the item '{item_id[:80]}' is listed twice", where=place)
        grades[item_id] = grade
    return grades


def _read_grade(value: Value, item_id: str, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        hint = "a grade is a number; 0 means wrong"
        raise InputError(f"the grade of '{item_id[:80]}' is {str(value)[:40]}", where=place, hint=hint)
    try:
        return float(value)
    except OverflowError:
        raise InputError(f"the grade of '{item_id[:80]}' is too large", where=place) from None
