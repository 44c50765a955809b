"""What somebody said of answers ↔ feedback.jsonl in the catalog's folder; and forgetting what was learned.

A line for each request, the one last spoken of at the end, in the form that `judgments` reads: {"query": "…",
"grades": {"id": 1, "other": 0}, "when": "ISO 8601, UTC"}. 1 is good, 0 is bad. Whoever changes the file holds the
catalog's lock, and the new file takes the old one's place at once: a reader needs no lock, and no word is lost.
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
from attnsearch.sources import judgments, records, values
from attnsearch.sources.judgments import Judged
from attnsearch.storage import failures, lock
from attnsearch.storage.failures import missing
from attnsearch.storage.files import FEEDBACK, replace_file

FILE = FEEDBACK
GOOD, BAD = 1, 0

_NAMED = 80  # characters of a request, or of an id, that a message shows
_LIST = "'attnsearch feedback --list' shows what was"


class Entry(NamedTuple):
    """A request, what was said of items for it, and when last: ISO 8601, UTC; empty where the file doesn't tell."""

    judged: Judged
    when: str


def read_feedback(folder: Path) -> list[Judged]:
    """What was said of the answers of the catalog in a folder, the latest last; nothing where there is no file.

    Raises InputError, with file and line, where the file is not as `judgments` has it; CatalogError where it is a link.
    """
    return [said.judged for said in read_history(folder)]


def read_history(folder: Path) -> list[Entry]:
    """The same, with the times."""
    found = _records(folder)
    judged = judgments.parse_judgments(found, str(folder / FILE))
    return [Entry(one, str(record.get("when", ""))) for one, record in zip(judged, found, strict=True)]


def add_judgment(folder: Path, query: str, grades: Mapping[str, float]) -> Judged:
    """Note what items, by their ids, are to a request: 1 is good, 0 is bad. All that is noted for it then.

    A later word on the same item of the same request takes the earlier one's place.

    Raises InputError for a request or a grade that is none, else as `read`; CatalogError where it can't be written.
    """
    query = judgments.normalize_request(query)
    with _changing(folder) as kept:
        record = kept.pop(query, values.Mapping())
        record["query"] = query
        record["grades"] = {**record.get("grades", {}), **grades}
        record["when"] = datetime.now(UTC).isoformat(timespec="seconds")
        kept[query] = record
    return Judged(query, record["grades"])


def remove_judgment(folder: Path, query: str, ids: Collection[str] = ()) -> Judged:
    """Forget what was noted for a request, or only what of the items with these ids; all that is forgotten.

    Raises InputError where nothing was noted for it, naming the nearest, or nothing of an item; else as `add`.
    """
    query = judgments.normalize_request(query)
    if not (folder / FILE).exists():
        raise _unknown(query, ())
    with _changing(folder) as kept:
        if query not in kept:
            raise _unknown(query, kept)
        grades = kept[query]["grades"]
        for ident in ids:
            if ident not in grades:
                raise InputError(f"nothing was noted of '{ident[:_NAMED]}' for '{query[:_NAMED]}'", hint=_LIST)
        taken = {ident: grade for ident, grade in grades.items() if not ids or ident in ids}
        kept[query]["grades"] = {ident: grade for ident, grade in grades.items() if ident not in taken}
        if not kept[query]["grades"]:
            del kept[query]  # an empty list would say that nothing is right
    return Judged(query, taken)


def _records(folder: Path) -> list[values.Mapping]:
    """The file's records, all of one moment."""
    file = folder / FILE
    if file.is_symlink():
        raise CatalogError("is a link, and none is followed here", where=str(file), hint="put the file itself there")
    return list(records.read_records(str(file)).items) if file.exists() else []


def _unknown(query: str, kept: Collection[str]) -> InputError:
    near = difflib.get_close_matches(query, kept, n=1)
    hint = f"did you mean '{near[0][:_NAMED]}'?" if near else _LIST
    return InputError(f"nothing was noted for '{query[:_NAMED]}'", hint=hint)


@contextmanager
def _changing(folder: Path) -> Iterator[dict[str, values.Mapping]]:
    """What is noted, by request, for the body to change; then it is written, unless the body fails."""
    if not (folder / "index.sqlite").exists():
        raise missing(folder)
    with failures.writing(folder), closing(lock.acquire(folder)) as db:
        if not db.execute("SELECT 1 FROM sqlite_schema").fetchone():  # the catalog was removed while we waited
            raise missing(folder)
        found = _records(folder)
        kept: dict[str, values.Mapping] = {}
        for record, judged in zip(found, judgments.parse_judgments(found, str(folder / FILE)), strict=True):
            query = judgments.normalize_request(judged.query)
            before = kept[query]["grades"] if query in kept else {}  # by hand, with other spaces
            record["grades"] = {**before, **judged.grades}
            record.pop("relevant", None)
            kept[query] = record
        yield kept
        _write(folder / FILE, list(kept.values()))


def _write(file: Path, kept: list[values.Mapping]) -> None:
    """Put the records into the file, durable before it has its name. InputError for what could not be read again."""
    for number, record in enumerate(kept, 1):
        record.line = number
    judgments.parse_judgments(kept, str(file))
    lines = [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in kept]
    if max(map(len, lines), default=0) > records.LINE:
        raise InputError(f"over {records.LINE >> 20} MiB would be noted for one query", where=str(file))
    for left in file.parent.glob(f".{file.name}-*"):  # by one who was killed; nobody else holds the lock
        left.unlink(missing_ok=True)
    replace_file(file, b"".join(lines))
