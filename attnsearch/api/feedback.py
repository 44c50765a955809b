"""Which items a caller finds right and wrong → the catalog's feedback."""

from __future__ import annotations

from attnsearch.errors import InputError
from attnsearch.opening.index import Index
from attnsearch.search.memory import embedding_of
from attnsearch.storage.feedback import BAD, GOOD, add_judgment


def record_feedback(index: Index, text: str, good: tuple[str, ...], bad: tuple[str, ...]) -> dict[str, float]:
    """Record the grades of items, by id, for a text; return all of its grades.

    Raises ValueError if there are none, or if an item has both; InputError for an index of several catalogs.
    """
    if len(index.stores) > 1:
        raise InputError("feedback belongs to one catalog", where=index.info.name, hint="open that one")
    grades: dict[str, float] = {}
    for idents, grade in ((good, GOOD), (bad, BAD)):
        for ident in idents:
            if grades.setdefault(ident, grade) != grade:
                raise ValueError(f"{ident!r} is both good and bad")
    if not grades:
        raise ValueError("neither good nor bad names an item")
    judged = add_judgment(index.store.folder, text, grades, embedding=embedding_of(index))
    index.read_learned_again()
    return dict(judged.grades)
