"""Judgments of answers ↔ feedback.jsonl in the catalog's folder.

One line per request, the one judged last at the end, in the form that `judgments` reads: {"query": "…", "grades":
{"id": 1, "other": 0}, "when": "ISO 8601, UTC"}. 1 is good, 0 is bad. Only a holder of the catalog's lock changes the
file, and replaces it atomically: a reader needs no lock, and no judgment is lost.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from attnsearch.errors import CatalogError, InputError
from attnsearch.readers import records, text_file
from attnsearch.sources import judgments
from attnsearch.sources.judgments import Judged
from attnsearch.storage import lock
from attnsearch.storage.failures import missing, writing
from attnsearch.storage.files import FEEDBACK, is_regular, refuse_link, replace_file
from attnsearch.syntax import values

GOOD, BAD = 1, 0

_SHOWN = 80  # characters of a request, or of an id, that a message shows
_LIST = "'attnsearch feedback --list' shows what there is"


class Entry(NamedTuple):
    """A judged request, and the time of its last judgment: ISO 8601, UTC; empty if the file has none."""

    judged: Judged
    when: str


def read_feedback(folder: Path) -> list[Judged]:
    """The judged requests of the catalog in a folder, the latest last; none if there is no file.

    Raises InputError, with file and line, for a file that `judgments` refuses; CatalogError for a link.
    """
    return [entry.judged for entry in read_history(folder)]


def read_history(folder: Path) -> list[Entry]:
    """The judged requests with their times, the latest last. Raises as `read_feedback` does."""
    lines = _read_records(folder)
    requests = judgments.parse_judgments(lines, str(folder / FEEDBACK))
    return [Entry(request, str(record.get("when", ""))) for request, record in zip(requests, lines, strict=True)]


def add_judgment(folder: Path, query: str, grades: Mapping[str, float], *, wait: float = lock.WAIT) -> Judged:
    """Add the grades of items, by id, to those of a request, and return all of them: 1 is good, 0 is bad.

    A new grade of the same item replaces the earlier one. `wait` is how many seconds another writer may take.

    Raises InputError for an invalid request or grade, else as `read_feedback` does; CatalogError if there is no catalog
    or it can't be written.
    """
    query = judgments.normalize_request(query)
    with _editing(folder, wait) as entries:
        record = entries.pop(query, values.Mapping())
        record["query"] = query
        record["grades"] = {**record.get("grades", {}), **grades}
        record["when"] = datetime.now(UTC).isoformat(timespec="seconds")
        entries[query] = record
    return Judged(query, record["grades"])


def remove_judgment(folder: Path, query: str, ids: Collection[str] = ()) -> Judged:
    """Remove the judgments of a request, or only those of the items with these ids; return what was removed.

    Raises InputError if the request, or one of the items, was not judged; else as `add_judgment` does.
    """
    query = judgments.normalize_request(query)
    if not (folder / FEEDBACK).exists():
        raise _not_judged(query, ())
    with _editing(folder) as entries:
        if query not in entries:
            raise _not_judged(query, entries)
        grades = entries[query]["grades"]
        for ident in ids:
            if ident not in grades:
                raise InputError(f"no feedback on '{ident[:_SHOWN]}' for '{query[:_SHOWN]}'", hint=_LIST)
        removed = {ident: grade for ident, grade in grades.items() if not ids or ident in ids}
        entries[query]["grades"] = {ident: grade for ident, grade in grades.items() if ident not in removed}
        if not entries[query]["grades"]:
            del entries[query]  # an empty list would mean that nothing is right
    return Judged(query, removed)


def _not_judged(query: str, judged_queries: Collection[str]) -> InputError:
    """The error for a request without feedback; the hint is the nearest that was judged."""
    near = difflib.get_close_matches(query, judged_queries, n=1)
    hint = f"did you mean '{near[0][:_SHOWN]}'?" if near else _LIST
    return InputError(f"no feedback for '{query[:_SHOWN]}'", hint=hint)


def _read_records(folder: Path) -> list[values.Mapping]:
    """The file's records, all of one moment."""
    file = folder / FEEDBACK
    refuse_link(file)
    if (regular := is_regular(file)) is None:
        return []
    if not regular:
        raise CatalogError("is not a regular file", where=str(file), hint="remove it")
    try:
        return list(records.read_records(str(file)).items)
    except InputError:
        if file.exists():
            raise
        return []  # the catalog was removed meanwhile


@contextmanager
def _editing(folder: Path, wait: float = lock.WAIT) -> Iterator[dict[str, values.Mapping]]:
    """The records by request, for the body to change; then they are written, unless the body fails."""
    with writing(folder), closing(lock.acquire(folder, wait, create=False)) as db:
        if not db.execute("SELECT 1 FROM sqlite_schema").fetchone():  # the catalog was removed while we waited
            raise missing(folder)
        lines = _read_records(folder)
        requests = judgments.parse_judgments(lines, str(folder / FEEDBACK))
        entries: dict[str, values.Mapping] = {}
        for record, request in zip(lines, requests, strict=True):
            query = judgments.normalize_request(request.query)
            earlier = entries[query]["grades"] if query in entries else {}  # written by hand, with other spaces
            record["grades"] = {**earlier, **request.grades}
            record.pop("relevant", None)
            entries[query] = record
        yield entries
        _write_records(folder / FEEDBACK, list(entries.values()))


def _write_records(file: Path, entries: list[values.Mapping]) -> None:
    """Replace the file with these records. Raises InputError if they could not be read again."""
    for number, record in enumerate(entries, 1):
        record.line = number
    judgments.parse_judgments(entries, str(file))
    lines = [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in entries]
    if max(map(len, lines), default=0) > text_file.LINE:
        raise InputError(f"more than {text_file.LINE >> 20} MiB of feedback for one query", where=str(file))
    for orphan in file.parent.glob(f".{file.name}-*"):  # of a killed writer: nobody else holds the lock
        orphan.unlink(missing_ok=True)
    replace_file(file, b"".join(lines))
