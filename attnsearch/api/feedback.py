"""Which items a caller finds right and wrong → the catalog's feedback."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from attnsearch.errors import AttnsearchError, InputError
from attnsearch.opening.items import find_ids
from attnsearch.sources.judgments import normalize_request
from attnsearch.storage import home
from attnsearch.storage.files import is_address
from attnsearch.teaching import feedback as teaching
from attnsearch.teaching.notebook import FolderNotebook, Notebook

if TYPE_CHECKING:
    from attnsearch.opening.index import Index
    from attnsearch.storage.store import Store

_SHOWN = 80  # characters of an id that a message shows


def record_feedback(index: Index, text: str, good: tuple[str, ...], bad: tuple[str, ...]) -> dict[str, float]:
    """Record the grades of items, by id, for a text; return all of its grades.

    Raises ValueError if there are none, or if an item has both; InputError for an index of several catalogs.
    """
    grades: dict[str, float] = {}
    for idents, grade in ((good, teaching.GOOD), (bad, teaching.BAD)):
        for ident in idents:
            if grades.setdefault(ident, grade) != grade:
                raise ValueError(f"{ident!r} is both good and bad")
    notebook = check_taught(index)
    if not grades:
        raise ValueError("neither good nor bad names an item")
    return _record(index, notebook, text, grades)


def note_judgments(index: Index, query: str, good: Sequence[str], bad: Sequence[str]) -> dict[str, Any]:
    """Record which items, by id or title, are right and wrong for a query; return what JSON has of that.

    `remembered` says whether the catalog finds the right items for such queries now: not if nothing is known to be
    right, or if it could not write that. Raises InputError for an item that is both, or not there.
    """
    query, notebook = normalize_request(query), check_taught(index)
    noted: dict[str, float] = {}
    for names, grade in ((good, teaching.GOOD), (bad, teaching.BAD)):
        for ident in find_ids(index.store, names):
            if noted.setdefault(ident, grade) != grade:
                raise InputError(f"'{ident[:_SHOWN]}' is both good and bad", hint="name it once")
    grades = _record(index, notebook, query, noted)
    requests = len(teaching.read_feedback(notebook))
    return {"noted": noted, "grades": grades, "remembered": _is_remembered(notebook, query), "requests": requests}


def remove_judgments(notebook: Notebook, query: str, names: Sequence[str]) -> dict[str, Any]:
    """Remove what was judged of items, by id or title; without names, all judgments of the query.

    Returns what JSON has of that. Raises InputError for what was not judged.
    """
    query = normalize_request(query)
    idents = _judged_ids(notebook, query, names) if names else []
    grades = teaching.remove_judgment(notebook, query, idents).grades
    return {"removed": grades, "requests": len(teaching.read_feedback(notebook))}


def read_titles(notebook: Notebook, idents: Iterable[str]) -> dict[str, str]:
    """The titles of the items with these ids, without those that the catalog lacks."""
    with notebook.open_items() as store:
        first_keys = [keys[0] for keys in store.keys_of(idents).values()]
        return {span.item.id: span.item.title for span in store.spans_at(first_keys)}


def check_taught(index: Index) -> Notebook:
    """The notebook of the catalog that feedback is for. Raises InputError for an index of several."""
    if len(index.stores) > 1:
        raise InputError("feedback belongs to one catalog", where=index.info.name, hint="open that one")
    return notebook_of(index.store)


def notebook_of(store: Store) -> Notebook:
    """The notebook of a catalog that is open."""
    from attnsearch.postgres.store import PostgresStore  # which most commands do without

    if isinstance(store, PostgresStore):
        from attnsearch.postgres.place import TableNotebook

        return TableNotebook(store.address)
    return FolderNotebook(store.folder)


def find_notebook(ref: str) -> Notebook:
    """The notebook of the catalog `ref`. Raises InputError for an invalid address, CatalogError if there is none."""
    if is_address(ref):
        from attnsearch.postgres.address import parse_address
        from attnsearch.postgres.place import TableNotebook

        return TableNotebook(parse_address(ref))
    return FolderNotebook(home.find_catalog(ref).folder)


def _record(index: Index, notebook: Notebook, query: str, grades: dict[str, float]) -> dict[str, float]:
    from attnsearch.search.memory import embedding_of  # which a removal does without

    judged = teaching.add_judgment(notebook, query, grades, embedding=embedding_of(index))
    index.read_learned_again(notebook)
    return dict(judged.grades)


def _is_remembered(notebook: Notebook, query: str) -> bool:
    try:
        learned = notebook.load_learned()
    except AttnsearchError:  # of which it warned
        return False
    return bool(learned and learned.memory and query in learned.memory.queries)


def _judged_ids(notebook: Notebook, query: str, names: Sequence[str]) -> list[str]:
    """Turn ids and titles of items that were judged for a query into ids.

    A name that fits none of these items, or several, stays as it is. The items need not be in the catalog any more.
    """
    requests = [request for request in teaching.read_feedback(notebook) if normalize_request(request.query) == query]
    judged_ids = [ident for request in requests for ident in request.grades]
    titles = read_titles(notebook, judged_ids)
    idents = []
    for name in names:
        matches = [
            ident for ident in judged_ids if name.casefold() in (ident.casefold(), titles.get(ident, "").casefold())
        ]
        idents.append(matches[0] if len(matches) == 1 else name)
    return idents
