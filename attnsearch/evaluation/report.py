"""Judged requests + a catalog → how well they are answered: each of them, and all together.

Every logit of the catalog is computed, not only the top, so any rank can be measured, and weights are those of
`search`.

Axis letters: m = queries, n = keys.
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
from attnsearch.evaluation.metrics import Bin
from attnsearch.opening.index import Index
from attnsearch.search.scoring import score_all
from attnsearch.search.setting import DEFAULT, Setting
from attnsearch.sources.items import Item
from attnsearch.sources.judgments import Judged

DEPTH = 10  # of nDCG
METRICS = ("ndcg", "mrr", "recall", "precision_at_1", "kl")  # of a request that has an answer
BATCH_LOGITS = 1 << 24  # in memory at a time: 64 MB

_BATCH_QUERIES = 256  # in a batch at most

log = logging.getLogger("attnsearch")


class Row(NamedTuple):
    """How one request was answered; `METRICS` are None if no item is known to be right for it.

    `relevant` counts the right items, in the catalog or not. `first` is the rank of the first one, None if none has a
    rank. `kl` is to those that have a rank, None if none has. `top` is the item on rank 1, None if everything is
    hidden.
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
    """The mean of `none_of_these` over the requests without an answer (true), and over those with one (false).

    `balanced_accuracy` is that of predicting no answer from 0.5 on.
    """

    where_true: float
    where_false: float
    balanced_accuracy: float


class Evaluation(NamedTuple):
    """How a catalog answered judged requests: the means of `METRICS` over those with an answer, and a row for each.

    nDCG is at rank `DEPTH`, recall at rank `k`. `calibration_error` is that of the top weight, as the probability that
    the top item is right; `reliability` has the bins that it is made of. `unknown_ids` counts the judged ids that the
    catalog lacks. `none_of_these` is None unless some requests have an answer, some have none, and the encoder has a
    null key. `unanswerable` counts those without an answer, `trained_on` those that the projections were learned from.
    """

    catalog: str
    model: str
    temperature: float
    items: int
    k: int
    unknown_ids: int
    means: Mapping[str, float | None]
    calibration_error: float | None
    none_of_these: NoneOfThese | None
    unanswerable: int
    rows: list[Row]
    trained_on: int = 0
    reliability: Sequence[Bin] = ()

    @property
    def answerable(self) -> list[Row]:
        """The requests that have an answer."""
        return [row for row in self.rows if row.relevant]

    def worst(self, count: int) -> list[Row]:
        """The requests with the lowest nDCG; of equal ones, those with the first right item furthest down."""
        return sorted(self.answerable, key=lambda row: (row.ndcg, row.mrr))[:count]


def evaluate(index: Index, requests: Sequence[Judged], setting: Setting = DEFAULT, *, k: int = 10) -> Evaluation:
    """How the catalog answers the judged requests in that setting; recall is at `k`.

    Ranks go by logit, ties by the order of the keys, as in `search`. Judged ids that the catalog lacks count as never
    found. Raises InputError if it lacks all of them, or if the setting does not suit the catalog.
    """
    keys_of, unknown_ids = find_judged_keys(index, requests, consequence="they count as never found")
    log.info("asking %s %d queries", index.info.name, len(requests))
    batch = max(min(_BATCH_QUERIES, BATCH_LOGITS // max(index.store.size, 1)), 1)
    rows: list[Row] = []
    asked = setting.resolve(index, ())
    for start in range(0, len(requests), batch):
        asking = requests[start : start + batch]
        texts = [request.query for request in asking]
        asked = setting.resolve(index, texts)
        scores, z = score_all(index.engine, asked, index.encoder.encode(texts, "query"))
        chances = itertools.repeat(None) if scores.none_of_these is None else map(float, scores.none_of_these)
        for request, logits, top, chance in zip(asking, z, _top_items(index, z), chances, strict=False):
            rows.append(_measure_request(request, logits, top, keys_of, k)._replace(none_of_these=chance))

    ranked = [row for row in rows if row.relevant and row.top_weight is not None]
    confidence = np.array([row.top_weight for row in ranked])
    right = np.array([row.precision_at_1 for row in ranked])
    bins = metrics.bin_by_confidence(confidence, right)
    return Evaluation(
        catalog=index.info.name,
        model=index.info.model,
        temperature=asked.projections.temperature,
        items=index.info.items,
        k=k,
        unknown_ids=unknown_ids,
        means={name: _mean([getattr(row, name) for row in rows]) for name in METRICS},
        calibration_error=metrics.calibration_error(bins) if ranked else None,
        none_of_these=_measure_none_of_these(rows, requests),
        unanswerable=sum(request.has_answer is False for request in requests),
        rows=rows,
        trained_on=asked.learned.taught([request.query for request in requests]) if asked.learned else 0,
        reliability=bins,
    )


def find_judged_keys(index: Index, requests: Sequence[Judged], *, consequence: str) -> tuple[dict[str, list[int]], int]:
    """The numbers of the keys of each judged item, by its id, and how many judged ids the catalog lacks.

    Warns about those, with the `consequence`: "they count as never found". Raises InputError if it lacks all of them.
    """
    ids = dict.fromkeys(ident for request in requests for ident in request.grades)
    keys_of = index.store.keys_of(ids)
    unknown = [ident for ident in ids if ident not in keys_of]
    if unknown and not keys_of:
        hint = "name the catalog that was judged with -c"
        raise InputError(f"none of the {len(ids):,} judged ids is in the catalog", where=index.info.name, hint=hint)
    if unknown:
        log.warning("%s: %d of %d judged ids are not in the catalog, such as '%.80s'; %s",
                    index.info.name, len(unknown), len(ids), unknown[0], consequence)  # fmt: skip
    return keys_of, len(unknown)


def _measure_request(
    request: Judged, z: NDArray[np.float32], top: Item | None, keys_of: Mapping[str, Sequence[int]], k: int
) -> Row:
    """How a request was answered, from the logits z (n,) of all keys and the item on rank 1."""
    row = Row(request.query, request.place, len(request.relevant))
    order = np.argsort(-z, kind="stable")[: np.count_nonzero(np.isfinite(z))]
    log_weights = z[order].astype(np.float64)
    if top:
        log_weights -= log_weights[0]
        log_weights -= np.log(np.exp(log_weights).sum())
        row = row._replace(top=top.id, top_title=top.title, top_weight=float(np.exp(log_weights[0])))
    if not request.relevant:
        return row
    grade_of = np.zeros(len(z))
    for ident, grade in request.grades.items():
        grade_of[keys_of.get(ident, [])] = grade  # only the best passage of an item has a finite logit
    ranked, judged_grades = grade_of[order], np.array(list(request.grades.values()))
    right = np.flatnonzero(ranked > 0)
    return row._replace(
        ndcg=metrics.ndcg(ranked, judged_grades, DEPTH),
        mrr=metrics.reciprocal_rank(ranked),
        recall=metrics.recall(ranked, judged_grades, k),
        precision_at_1=metrics.precision_at_1(ranked),
        kl=metrics.divergence(log_weights[right]) if len(right) else None,
        first=int(right[0]) + 1 if len(right) else None,
    )


def _top_items(index: Index, z: NDArray[np.float32]) -> list[Item | None]:
    """The item with the highest logit in each row of z (m, n), the first of equal ones; None if all are hidden."""
    tops = [int(np.argmax(row)) if np.isfinite(row).any() else None for row in z]
    items = iter(index.store.items_at([key for key in tops if key is not None]))
    return [None if key is None else next(items).item for key in tops]


def _measure_none_of_these(rows: Sequence[Row], requests: Sequence[Judged]) -> NoneOfThese | None:
    decided = [
        (row.none_of_these, request.has_answer)
        for row, request in zip(rows, requests, strict=True)
        if request.has_answer is not None
    ]
    chances, answers = np.array(decided, np.float64).reshape(-1, 2).T  # None is NaN
    true = answers == 0
    if np.isnan(chances).any() or true.all() or not true.any():
        return None
    accuracy = metrics.balanced_accuracy(chances >= 0.5, true)
    return NoneOfThese(float(chances[true].mean()), float(chances[~true].mean()), accuracy)


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of the values that are not None; None if there are none."""
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None
