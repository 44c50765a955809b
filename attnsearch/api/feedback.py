"""Which items a caller finds right and wrong → the catalog's feedback."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnsearch.errors import AttnsearchError, InputError
from attnsearch.opening.items import find_ids
from attnsearch.sources.judgments import normalize_request
from attnsearch.storage import feedback as storage
from attnsearch.storage import home
from attnsearch.storage.learned import load_learned
from attnsearch.storage.store import Store

if TYPE_CHECKING:
    from attnsearch.opening.index import Index

_SHOWN = 80  # characters of an id that a message shows


def record_feedback(index: Index, text: str, good: tuple[str, ...], bad: tuple[str, ...]) -> dict[str, float]:
    """Record the grades of items, by id, for a text; return all of its grades.

    Raises ValueError if there are none, or if an item has both; InputError for an index of several catalogs.
    """
    grades: dict[str, float] = {}
    for idents, grade in ((good, storage.GOOD), (bad, storage.BAD)):
        for ident in idents:
            if grades.setdefault(ident, grade) != grade:
                raise ValueError(f"{ident!r} is both good and bad")
    check_taught(index)
    if not grades:
        raise ValueError("neither good nor bad names an item")
    return _record(index, text, grades)


def note_judgments(index: Index, query: str, good: Sequence[str], bad: Sequence[str]) -> dict[str, Any]:
    """Record which items, by id or title, are right and wrong for a query; return what JSON has of that.

    `remembered` says whether the catalog finds the right items for such queries now: not if nothing is known to be
    right, or if it could not write that. Raises InputError for an item that is both, or not there.
    """
    query, folder = normalize_request(query), check_taught(index)
    noted: dict[str, float] = {}
    for names, grade in ((good, storage.GOOD), (bad, storage.BAD)):
        for ident in find_ids(index.store, names):
            if noted.setdefault(ident, grade) != grade:
                raise InputError(f"'{ident[:_SHOWN]}' is both good and bad", hint="name it once")
    grades = _record(index, query, noted)
    requests = len(storage.read_feedback(folder))
    return {"noted": noted, "grades": grades, "remembered": _is_remembered(folder, query), "requests": requests}


def remove_judgments(folder: Path, query: str, names: Sequence[str]) -> dict[str, Any]:
    """Remove what was judged of items, by id or title; without names, all judgments of the query.

    Returns what JSON has of that. Raises InputError for what was not judged.
    """
    query = normalize_request(query)
    idents = _judged_ids(folder, query, names) if names else []
    grades = storage.remove_judgment(folder, query, idents).grades
    return {"removed": grades, "requests": len(storage.read_feedback(folder))}


def read_titles(folder: Path, idents: Iterable[str]) -> dict[str, str]:
    """The titles of the items with these ids, without those that the catalog lacks."""
    with home.open_migrated(folder, Store) as store:
        first_keys = [keys[0] for keys in store.keys_of(idents).values()]
        return {span.item.id: span.item.title for span in store.spans_at(first_keys)}


def check_taught(index: Index) -> Path:
    """The folder of the catalog that feedback is for. Raises InputError for an index of several, or in a database."""
    if len(index.stores) > 1:
        raise InputError("feedback belongs to one catalog", where=index.info.name, hint="open that one")
    if not index.store.keeps_feedback:
        hint = "write judgments to a file, and train on that"
        raise InputError("a catalog in a database keeps no feedback", where=index.info.name, hint=hint)
    return index.store.folder


def _record(index: Index, query: str, grades: dict[str, float]) -> dict[str, float]:
    from attnsearch.search.memory import embedding_of  # which a removal does without

    judged = storage.add_judgment(index.store.folder, query, grades, embedding=embedding_of(index))
    index.read_learned_again()
    return dict(judged.grades)


def _is_remembered(folder: Path, query: str) -> bool:
    try:
        learned = load_learned(folder)
    except AttnsearchError:  # of which it warned
        return False
    return bool(learned and learned.memory and query in learned.memory.queries)


def _judged_ids(folder: Path, query: str, names: Sequence[str]) -> list[str]:
    """Turn ids and titles of items that were judged for a query into ids.

    A name that fits none of these items, or several, stays as it is. The items need not be in the catalog any more.
    """
    requests = [request for request in storage.read_feedback(folder) if normalize_request(request.query) == query]
    judged_ids = [ident for request in requests for ident in request.grades]
    titles = read_titles(folder, judged_ids)
    idents = []
    for name in names:
        matches = [
            ident for ident in judged_ids if name.casefold() in (ident.casefold(), titles.get(ident, "").casefold())
        ]
        idents.append(matches[0] if len(matches) == 1 else name)
    return idents
