"""Judged requests + a catalog → how well they are answered: each request, all of them, two settings side by side.

Every logit of the catalog is looked at, not only the top, so that a rank may be any, and a weight is the one that
`search` tells.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.errors import InputError
from attnsearch.evaluation import metrics
from attnsearch.search.index import Index
from attnsearch.search.scoring import score_all
from attnsearch.search.setting import DEFAULT, Setting
from attnsearch.sources.items import Item
from attnsearch.sources.judgments import Judged

DEPTH = 10  # of nDCG
METRICS = ("ndcg", "mrr", "recall", "precision_at_1", "kl")  # of a request that has an answer


_LOGITS = 1 << 24  # held at once: 64 MB
_QUERIES = 256  # asked at once, at most

log = logging.getLogger("attnsearch")


class Row(NamedTuple):
    """How one request was answered; `METRICS` are None where it is not known that something is right for it.

    `relevant` counts the items that are right, whether or not the catalog has them; `first` is the rank of the first
    of them. `kl` is taken to those that were seen, None where none was. `top` is the item on rank 1, None where
    everything is hidden.
    """

    query: str
    place: str
    relevant: int
    ndcg: float | None = None
    mrr: float | None = None
    recall: float | None = None
    precision_at_1: float | None = None
    kl: float | None = None
    first: int | None = None
    top: str | None = None
    top_title: str | None = None
    top_weight: float | None = None
    none_of_these: float | None = None


class NoneOfThese(NamedTuple):
    """The mean of `none_of_these` where it is true that nothing is right, and where it is not.

    `balanced_accuracy` is that of saying so from .5 on.
    """

    where_true: float
    where_false: float
    balanced_accuracy: float


class Evaluation(NamedTuple):
    """How a catalog answered judged requests: the means of `METRICS` over those that have an answer, and each of them.

    nDCG is at rank `DEPTH`, recall at rank `k`. `calibration_error` is that of the top weight, as the chance that the
    top item is right. `unknown` counts the judged ids that the catalog lacks. `nothing` is None where no request is
    known to have an answer, or to have none, or `none_of_these` is not told. `without` counts those that have none.
    `taught` counts the requests from which the projections were learned.
    """

    catalog: str
    model: str
    temperature: float
    items: int
    k: int
    unknown: int
    means: Mapping[str, float | None]
    calibration_error: float | None
    nothing: NoneOfThese | None
    without: int
    rows: list[Row]
    taught: int = 0

    @property
    def answerable(self) -> list[Row]:
        """The requests that have an answer."""
        return [row for row in self.rows if row.relevant]

    def worst(self, count: int) -> list[Row]:
        """The requests with the lowest nDCG, and of these, where the first right item is furthest down."""
        return sorted(self.answerable, key=lambda row: (row.ndcg, row.mrr))[:count]


def evaluate(index: Index, judged: Sequence[Judged], setting: Setting = DEFAULT, *, k: int = 10) -> Evaluation:
    """How the catalog answers the `judged` requests in that setting; recall is at `k`.

    Ranks go by logit, ties by the order of the keys, as in `search`. Judged ids that the catalog lacks count as never
    found. Raises InputError where it lacks all of them.
    """
    keys, unknown = _keys(index, judged)
    log.info("asking %s %d queries", index.info.name, len(judged))
    some = max(min(_QUERIES, _LOGITS // max(index.store.size, 1)), 1)
    rows: list[Row] = []
    asked = setting.resolve(index, ())
    for at in range(0, len(judged), some):
        batch = judged[at : at + some]
        texts = [request.query for request in batch]
        asked = setting.resolve(index, texts)
        scores, z = score_all(index.engine, asked, index.encoder.encode(texts, "query"))
        chances = itertools.repeat(None) if scores.none_of_these is None else map(float, scores.none_of_these)
        for one, logits, top, chance in zip(batch, z, _tops(index, z), chances, strict=False):
            rows.append(_row(one, logits, top, keys, k)._replace(none_of_these=chance))

    learned = asked.learned
    found = [row for row in rows if row.relevant and row.top_weight is not None]
    confidence = np.array([row.top_weight for row in found])
    right = np.array([row.precision_at_1 for row in found])
    return Evaluation(
        catalog=index.info.name,
        model=index.info.model,
        temperature=asked.projections.temperature,
        items=index.info.items,
        k=k,
        unknown=unknown,
        means={name: _mean([getattr(row, name) for row in rows]) for name in METRICS},
        calibration_error=metrics.calibration_error(confidence, right) if found else None,
        nothing=_nothing(rows, judged),
        without=sum(one.answer is False for one in judged),
        rows=rows,
        taught=learned.taught([one.query for one in judged]) if learned else 0,
    )


def _keys(index: Index, judged: Sequence[Judged]) -> tuple[dict[str, list[int]], int]:
    """The keys of all judged items, and how many the catalog lacks."""
    ids = dict.fromkeys(ident for one in judged for ident in one.grades)
    keys = index.store.keys_of(ids)
    unknown = [ident for ident in ids if ident not in keys]
    if unknown and not keys:
        hint = "name the catalog that was judged with -c"
        raise InputError(f"none of the {len(ids):,} judged ids is in the catalog", where=index.info.name, hint=hint)
    if unknown:
        log.warning("%s: %d of %d judged ids are not in it, such as '%.80s'; they count as never found",
                    index.info.name, len(unknown), len(ids), unknown[0])  # fmt: skip
    return keys, len(unknown)


def _row(one: Judged, z: NDArray[np.float32], top: Item | None, keys: Mapping[str, Sequence[int]], k: int) -> Row:
    """How a request was answered by the logits z (n,) of all keys."""
    row = Row(one.query, one.place, len(one.relevant))
    order = np.argsort(-z, kind="stable")[: np.count_nonzero(np.isfinite(z))]
    log_weights = z[order].astype(np.float64)
    if top:
        log_weights -= log_weights[0]
        log_weights -= np.log(np.exp(log_weights).sum())
        row = row._replace(top=top.id, top_title=top.title, top_weight=float(np.exp(log_weights[0])))
    if not one.relevant:
        return row
    grade_of = np.zeros(len(z))
    for ident, grade in one.grades.items():
        grade_of[keys.get(ident, [])] = grade  # all passages of the item but one are hidden
    ranked, judged = grade_of[order], np.array(list(one.grades.values()))
    right = np.flatnonzero(ranked > 0)
    return row._replace(
        ndcg=metrics.ndcg(ranked, judged, DEPTH),
        mrr=metrics.reciprocal_rank(ranked),
        recall=metrics.recall(ranked, judged, k),
        precision_at_1=metrics.precision_at_1(ranked),
        kl=metrics.divergence(log_weights[right]) if len(right) else None,
        first=int(right[0]) + 1 if len(right) else None,
    )


def _tops(index: Index, z: NDArray[np.float32]) -> list[Item | None]:
    """The item with the highest logit of each row of z (m, n), the first key of equal ones; None: all are hidden."""
    best = [int(np.argmax(row)) if np.isfinite(row).any() else None for row in z]
    items = iter(index.store.items_at([key for key in best if key is not None]))
    return [None if key is None else next(items).item for key in best]


def _nothing(rows: Sequence[Row], judged: Sequence[Judged]) -> NoneOfThese | None:
    told = [[row.none_of_these, one.answer] for row, one in zip(rows, judged, strict=True) if one.answer is not None]
    chances, answers = np.array(told, np.float64).reshape(-1, 2).T  # None is NaN
    true = answers == 0
    if np.isnan(chances).any() or true.all() or not true.any():
        return None
    accuracy = metrics.balanced_accuracy(chances >= 0.5, true)
    return NoneOfThese(float(chances[true].mean()), float(chances[~true].mean()), accuracy)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
