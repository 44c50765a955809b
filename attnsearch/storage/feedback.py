"""Judgments of answers ↔ feedback.jsonl in the catalog's folder, and what the catalog remembers of them.

One line per request, the one judged last at the end, in the form that `judgments` reads: {"query": "…", "grades":
{"id": 1, "other": 0}, "when": "ISO 8601, UTC"}. 1 is good, 0 is bad. Only a holder of the catalog's lock changes the
file, and replaces it atomically: a reader needs no lock, and no judgment is lost.

What is remembered lies in the file of what was learned. A request whose judgments change is forgotten first, then
judged, then remembered. So after a crash, what is remembered of the feedback is what the feedback says; a request may
be missing until the next feedback or training.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attnsearch.attention.memory import careful_recall
from attnsearch.errors import CatalogError, InputError
from attnsearch.readers import records, text_file
from attnsearch.sources import judgments
from attnsearch.sources.judgments import Judged
from attnsearch.storage import learned as storage
from attnsearch.storage import lock
from attnsearch.storage.database import Info, read_info
from attnsearch.storage.failures import missing, reading, writing
from attnsearch.storage.files import FEEDBACK, LEARNED, is_regular, refuse_link, replace_file, sync
from attnsearch.storage.learned import Floats, Learned, Remembered
from attnsearch.storage.segment import whole_identity
from attnsearch.syntax import values
from attnsearch.syntax.nearest import find_nearest

GOOD, BAD = 1, 0

_SHOWN = 80  # characters of a request, or of an id, that a message shows
_LIST = "'attnsearch feedback --list' shows what there is"

log = logging.getLogger("attnsearch")


class Embedding(NamedTuple):
    """The encoder that made a catalog, whose record of itself is `info`: texts → unit vectors (m, d), as queries."""

    info: Info
    embed: Callable[[Sequence[str]], Floats]


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


def add_judgment(
    folder: Path,
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
    with _editing(folder, wait, embedding) as entries:
        record = entries.pop(query, values.Mapping())
        record["query"] = query
        record["grades"] = {**record.get("grades", {}), **grades}
        record["when"] = datetime.now(UTC).isoformat(timespec="seconds")
        entries[query] = record
    return Judged(query, record["grades"])


def remove_judgment(folder: Path, query: str, ids: Collection[str] = ()) -> Judged:
    """Remove the judgments of a request, or only those of the items with these ids; return what was removed.

    What is left of them is still remembered.

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
    near = find_nearest(query, judged_queries)
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
def _editing(
    folder: Path, wait: float = lock.WAIT, embedding: Embedding | None = None
) -> Iterator[dict[str, values.Mapping]]:
    """The records by request, for the body to change; then they are written, unless the body fails.

    Without an `embedding`, only what was remembered before can be remembered.
    """
    with writing(folder), closing(lock.acquire(folder, wait, create=False)) as db:
        if not db.execute("SELECT 1 FROM sqlite_schema").fetchone():  # the catalog was removed while we waited
            raise missing(folder)
        entries = _read_entries(folder)
        known = {*entries}
        yield entries
        before, after = _plan_memory(folder, db, _right_items(entries), known | {*entries}, embedding)
        lines = _pack_records(folder / FEEDBACK, list(entries.values()))
        _remember(folder, before)
        for orphan in folder.glob(f".{FEEDBACK}-*"):  # of a killed writer: nobody else holds the lock
            orphan.unlink(missing_ok=True)
        replace_file(folder / FEEDBACK, lines)
        _remember(folder, after)


def store_learned(folder: Path, learned: Learned, commit: str, embedding: Embedding | None = None) -> None:
    """Make this what the catalog in a folder has learned, if its state still is `commit`, from which it was learned.

    Beside what it remembers itself, the catalog's feedback is remembered. Raises CatalogError if the catalog has
    another state by now, is gone, damaged, or can't be written.
    """
    with writing(folder), closing(lock.acquire(folder, create=False)) as db:
        with reading(folder):
            info = read_info(db, folder)
        if info is None or info.commit != commit:
            message = "the catalog has changed since the training began, so nothing was kept"
            raise CatalogError(message, where=folder.name, hint="train it again")
        entries = _read_entries(folder)
        embed = None if embedding is None else embedding.embed
        _remember(folder, _merge(learned, _right_items(entries), {*entries}, embed))


def _read_entries(folder: Path) -> dict[str, values.Mapping]:
    """The file's records by request."""
    lines = _read_records(folder)
    requests = judgments.parse_judgments(lines, str(folder / FEEDBACK))
    entries: dict[str, values.Mapping] = {}
    for record, request in zip(lines, requests, strict=True):
        query = judgments.normalize_request(request.query)
        earlier = entries[query]["grades"] if query in entries else {}  # written by hand, with other spaces
        record["grades"] = {**earlier, **request.grades}
        record.pop("relevant", None)
        entries[query] = record
    return entries


def _right_items(entries: Mapping[str, values.Mapping]) -> dict[str, dict[str, float]]:
    """The grades of the right items, by request of which it is known what is right, if anything."""
    requests = [Judged(query, record["grades"]) for query, record in entries.items()]
    return {
        request.query: {ident: float(grade) for ident, grade in request.grades.items() if grade > 0}
        for request in requests
        if request.has_answer is not None
    }


def _plan_memory(
    folder: Path,
    db: sqlite3.Connection,
    right: Mapping[str, Mapping[str, float]],
    judged: Collection[str],
    embedding: Embedding | None,
) -> tuple[Learned | None, Learned | None]:
    """What the catalog is to have learned before its feedback is written, and after; None leaves that alone.

    `right` are the right items of requests, and `judged` all requests that are judged by now, or were before.
    """
    try:
        learned = storage.load_learned(folder)
    except (CatalogError, InputError) as error:
        log.warning("%s; so this is noted, but not remembered", error)
        return None, None
    before = learned and _merge(learned, right, judged, as_is=True)
    after, embed = learned, None
    if embedding is not None:
        info, record = read_info(db, folder), embedding.info
        if info and (info.sha256, whole_identity(info), info.d) == (record.sha256, whole_identity(record), record.d):
            embed = embedding.embed
            if after is None or not after.suits(info):
                after = Learned(info.model, info.sha256, None, None, identity=whole_identity(info))
        else:
            log.warning("%s: it has another model by now, so this is noted, but not remembered", folder.name)
    after = after and _merge(after, right, judged, embed)
    return None if before is learned else before, None if after is learned else after


def _merge(
    learned: Learned,
    right: Mapping[str, Mapping[str, float]],
    judged: Collection[str],
    embed: Callable[[Sequence[str]], Floats] | None = None,
    *,
    as_is: bool = False,
) -> Learned:
    """What was learned, remembering the `right` items of the `judged` requests.

    Without `embed`, only requests that it remembers can be remembered; with `as_is`, only those of which it remembers
    the same. Any other request stays if a training learned it, from judgments that are not the feedback.
    """
    memory = learned.memory or Remembered([], np.empty((0, 0), np.float32), [], careful_recall(learned.sha256))
    known = dict(zip(memory.queries, memory.right, strict=True))
    wanted = {
        query: grades
        for query, grades in known.items()
        if query not in judged and storage.short_hash(query) in learned.requests
    }
    may_stay = (lambda query: known.get(query) == right[query]) if as_is else (lambda query: embed or query in known)
    wanted |= {query: right[query] for query in filter(may_stay, right)}
    latest = list(wanted)[-storage.MOST_REMEMBERED :]
    rights = [wanted[query] for query in latest]
    if (latest, rights) == ([*memory.queries], [*memory.right]):
        return learned
    if not latest:
        return learned._replace(memory=None)
    vectors = dict(zip(memory.queries, memory.x, strict=True))
    if embed and (new := [query for query in latest if query not in vectors]):
        vectors |= zip(new, embed(new), strict=True)
    x = np.array([vectors[query] for query in latest], np.float32)
    return learned._replace(memory=memory._replace(queries=latest, x=x, right=rights))


def _remember(folder: Path, learned: Learned | None) -> None:
    """Make this what the catalog has learned; nothing, if that is all there is. None leaves it alone."""
    if learned is None:
        return
    for orphan in folder.glob(f".{LEARNED}-*"):  # of a killed writer: nobody else holds the lock
        orphan.unlink(missing_ok=True)
    if learned.trained or learned.memory is not None:
        storage.write_learned(folder / LEARNED, learned)
    else:
        (folder / LEARNED).unlink(missing_ok=True)
        sync(folder)


def _pack_records(file: Path, entries: list[values.Mapping]) -> bytes:
    """The bytes of the file with these records. Raises InputError if they could not be read again."""
    for number, record in enumerate(entries, 1):
        record.line = number
    judgments.parse_judgments(entries, str(file))
    lines = [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in entries]
    if max(map(len, lines), default=0) > text_file.LINE:
        raise InputError(f"more than {text_file.LINE >> 20} MiB of feedback for one query", where=str(file))
    return b"".join(lines)
