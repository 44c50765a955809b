"""Judgments → what the catalog remembers of them, beside what else it has learned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from attnsearch.attention.memory import careful_recall
from attnsearch.errors import CatalogError, InputError
from attnsearch.sources.judgments import Judged
from attnsearch.storage import learned as storage
from attnsearch.storage.database import Info
from attnsearch.storage.learned import Floats, Learned, Remembered
from attnsearch.storage.segment import whole_identity
from attnsearch.syntax import values
from attnsearch.teaching.notebook import Notebook

log = logging.getLogger("attnsearch")


class Embedding(NamedTuple):
    """The encoder that made a catalog, whose record of itself is `info`: texts → unit vectors (m, d), as queries."""

    info: Info
    embed: Callable[[Sequence[str]], Floats]


def right_items(entries: Mapping[str, values.Mapping]) -> dict[str, dict[str, float]]:
    """The grades of the right items, by request of which it is known what is right, if anything."""
    requests = [Judged(query, record["grades"]) for query, record in entries.items()]
    return {
        request.query: {ident: float(grade) for ident, grade in request.grades.items() if grade > 0}
        for request in requests
        if request.has_answer is not None
    }


def plan_memory(
    notebook: Notebook,
    right: Mapping[str, Mapping[str, float]],
    judged: Collection[str],
    embedding: Embedding | None,
) -> tuple[Learned | None, Learned | None]:
    """What the catalog is to have learned before its feedback is written, and after; None leaves that alone.

    `right` are the right items of requests, and `judged` all requests that are judged by now, or were before.
    """
    try:
        learned = notebook.load_learned()
    except (CatalogError, InputError) as error:
        log.warning("%s; so this is noted, but not remembered", error)
        return None, None
    before = learned and merge_memory(learned, right, judged, as_is=True)
    after, embed = learned, None
    if embedding is not None:
        info, record = notebook.read_info(), embedding.info
        if info and (info.sha256, whole_identity(info), info.d) == (record.sha256, whole_identity(record), record.d):
            embed = embedding.embed
            if after is None or not after.suits(info):
                after = Learned(info.model, info.sha256, None, None, identity=whole_identity(info))
        else:
            log.warning("%s: it has another model by now, so this is noted, but not remembered", notebook.name)
    after = after and merge_memory(after, right, judged, embed)
    return None if before is learned else before, None if after is learned else after


def merge_memory(
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
