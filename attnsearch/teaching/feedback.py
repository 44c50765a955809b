"""Judgments of answers ↔ the lines of a notebook, and what the catalog remembers of them.

One line per request, the one judged last at the end, in the form that `judgments` reads: {"query": "…", "grades":
{"id": 1, "other": 0}, "when": "ISO 8601, UTC"}. 1 is good, 0 is bad. Only a holder of the catalog's lock changes the
lines, and replaces them at once: a reader needs no lock, and no judgment is lost.

A folder stands for the notebook of the catalog in it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from attnsearch.errors import CatalogError, InputError
from attnsearch.readers import text_file
from attnsearch.sources import judgments
from attnsearch.sources.judgments import Judged
from attnsearch.storage import lock
from attnsearch.storage.learned import Learned
from attnsearch.syntax import values
from attnsearch.syntax.nearest import find_nearest
from attnsearch.teaching.memory import Embedding, merge_memory, plan_memory, right_items
from attnsearch.teaching.notebook import FolderNotebook, Notebook

GOOD, BAD = 1, 0

_SHOWN = 80  # characters of a request, or of an id, that a message shows
_LIST = "'attnsearch feedback --list' shows what there is"


class Entry(NamedTuple):
    """A judged request, and the time of its last judgment: ISO 8601, UTC; empty if the file has none."""

    judged: Judged
    when: str


def read_feedback(place: Notebook | Path) -> list[Judged]:
    """The judged requests of a catalog, the latest last; none if nobody has judged.

    Raises InputError, with file and line, for what `judgments` refuses; CatalogError for what can't be read.
    """
    return [entry.judged for entry in read_history(place)]


def read_history(place: Notebook | Path) -> list[Entry]:
    """The judged requests with their times, the latest last. Raises as `read_feedback` does."""
    notebook = _open(place)
    lines = notebook.read_records()
    requests = judgments.parse_judgments(lines, notebook.where)
    return [Entry(request, str(record.get("when", ""))) for request, record in zip(requests, lines, strict=True)]


def _open(place: Notebook | Path) -> Notebook:
    return FolderNotebook(place) if isinstance(place, Path) else place


def add_judgment(
    place: Notebook | Path,
    query: str,
    grades: Mapping[str, float],
    *,
    embedding: Embedding | None = None,
    wait: float = lock.WAIT,
) -> Judged:
    """Add the grades of items, by id, to those of a request, and return all of them: 1 is good, 0 is bad.

    A new grade of the same item replaces the earlier one. With an `embedding`, the catalog remembers the request, and
    what else was judged since. `wait` is how many seconds another writer may take.

    Raises InputError for an invalid request or grade, else as `read_feedback` does; CatalogError if there is no catalog
    or it can't be written.
    """
    query = judgments.normalize_request(query)
    with _editing(_open(place), wait, embedding) as entries:
        record = entries.pop(query, values.Mapping())
        record["query"] = query
        record["grades"] = {**record.get("grades", {}), **grades}
        record["when"] = datetime.now(UTC).isoformat(timespec="seconds")
        entries[query] = record
    return Judged(query, record["grades"])


def remove_judgment(place: Notebook | Path, query: str, ids: Collection[str] = ()) -> Judged:
    """Remove the judgments of a request, or only those of the items with these ids; return what was removed.

    What is left of them is still remembered.

    Raises InputError if the request, or one of the items, was not judged; else as `add_judgment` does.
    """
    query, notebook = judgments.normalize_request(query), _open(place)
    if not notebook.read_records():
        raise _not_judged(query, ())
    with _editing(notebook) as entries:
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
    near = find_nearest(query, judged_queries)
    hint = f"did you mean '{near[0][:_SHOWN]}'?" if near else _LIST
    return InputError(f"no feedback for '{query[:_SHOWN]}'", hint=hint)


@contextmanager
def _editing(
    notebook: Notebook, wait: float = lock.WAIT, embedding: Embedding | None = None
) -> Iterator[dict[str, values.Mapping]]:
    """The records by request, for the body to change; then they are written, unless the body fails.

    Without an `embedding`, only what was remembered before can be remembered.
    """
    with notebook.writing(wait):
        entries = _read_entries(notebook)
        known = {*entries}
        yield entries
        before, after = plan_memory(notebook, right_items(entries), known | {*entries}, embedding)
        notebook.write(_pack_records(notebook.where, list(entries.values())), before, after)


def store_learned(place: Notebook | Path, learned: Learned, commit: str, embedding: Embedding | None = None) -> None:
    """Make this what the catalog has learned, if its state still is `commit`, from which it was learned.

    Beside what it remembers itself, the catalog's feedback is remembered. Raises CatalogError if the catalog has
    another state by now, is gone, damaged, or can't be written.
    """
    notebook = _open(place)
    with notebook.writing(lock.WAIT):
        info = notebook.read_info()
        if info is None or info.commit != commit:
            message = "the catalog has changed since the training began, so nothing was kept"
            raise CatalogError(message, where=notebook.name, hint="train it again")
        entries = _read_entries(notebook)
        embed = None if embedding is None else embedding.embed
        notebook.write(None, None, merge_memory(learned, right_items(entries), {*entries}, embed))


def _read_entries(notebook: Notebook) -> dict[str, values.Mapping]:
    """The records by request."""
    lines = notebook.read_records()
    requests = judgments.parse_judgments(lines, notebook.where)
    entries: dict[str, values.Mapping] = {}
    for record, request in zip(lines, requests, strict=True):
        query = judgments.normalize_request(request.query)
        earlier = entries[query]["grades"] if query in entries else {}  # written by hand, with other spaces
        record["grades"] = {**earlier, **request.grades}
        record.pop("relevant", None)
        entries[query] = record
    return entries


def _pack_records(where: str, entries: list[values.Mapping]) -> list[bytes]:
    """The lines of these records. Raises InputError if they could not be read again."""
    for number, record in enumerate(entries, 1):
        record.line = number
    judgments.parse_judgments(entries, where)
    lines = [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in entries]
    if max(map(len, lines), default=0) > text_file.LINE:
        raise InputError(f"more than {text_file.LINE >> 20} MiB of feedback for one query", where=where)
    return lines
