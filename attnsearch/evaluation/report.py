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
from attnsearch.evaluation.mass import Mass, measure_mass, measure_tops
from attnsearch.evaluation.metrics import Bin, Gain
from attnsearch.opening.index import Index
from attnsearch.search.scoring import score_all
from attnsearch.search.setting import DEFAULT, Setting
from attnsearch.sources.items import Item
from attnsearch.sources.judgments import Judged

DEPTH = 10  # of nDCG
METRICS = ("ndcg", "mrr", "recall", "precision_at_1", "kl")  # of a request that has an answer
BATCH_LOGITS = 1 << 24  # in memory at a time: 64 MB

_BATCH_QUERIES = 256  # in a batch at most

Doubles = NDArray[np.float64]

log = logging.getLogger("attnsearch")


class Row(NamedTuple):
    """How one request was answered; `METRICS` are None if no item is known to be right for it.

    `relevant` counts the right items, in the catalog or not. `first` is the rank of the first one, None if none has a
    rank. `kl` is to those that have a rank, and `mass` their weight together; None if none has. `top` is the item on
    rank 1, None if everything is hidden.
    """

    query: str
    place: str
    relevant: int
    ndcg: float | None = None
    mrr: float | None = None
    recall: float | None = None
    precision_at_1: float | None = None
    kl: float | None = None
    mass: float | None = None
    first: int | None = None
    top: str | None = None
    top_title: str | None = None
    top_weight: float | None = None
    none_of_these: float | None = None


class NoneOfThese(NamedTuple):
    """The mean of `none_of_these` over the requests without an answer (true), and over those with one (false).

    `balanced_accuracy` is that of predicting no answer from 0.5 on. The `brier` score and the `calibration_error` are
    those of the chance; `reliability` has the bins of the latter, in which accuracy is how often there was no answer.
    """

    where_true: float
    where_false: float
    balanced_accuracy: float
    brier: float
    calibration_error: float
    reliability: Sequence[Bin]


class Evaluation(NamedTuple):
    """How a catalog answered judged requests: the means of `METRICS` over those with an answer, and a row for each.

    nDCG is at rank `DEPTH` with this `gain`, which matters if the requests are graded; recall is at rank `k`.
    `calibration_error` is that of the top weight, as the probability that the top item is right; `reliability` has the
    bins that it is made of. `mass` is None if no right item has a rank. `unknown_ids` counts the judged ids that the
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
    mass: Mass | None = None
    gain: Gain = "linear"
    is_graded: bool = False
    asked: Mapping[str, str] = {}

    @property
    def answerable(self) -> list[Row]:
        """The requests that have an answer."""
        return [row for row in self.rows if row.relevant]

    def worst(self, count: int) -> list[Row]:
        """The requests with the lowest nDCG; of equal ones, those with the first right item furthest down."""
        return sorted(self.answerable, key=lambda row: (row.ndcg, row.mrr))[:count]


def evaluate(
    index: Index, requests: Sequence[Judged], setting: Setting = DEFAULT, *, k: int = 10, gain: Gain = "linear"
) -> Evaluation:
    """How the catalog answers the judged requests in that setting; recall is at `k`, nDCG has this gain.

    Ranks go by logit, ties by the order of the keys, as in `search`. Judged ids that the catalog lacks count as never
    found. Raises InputError if it lacks all of them, or if the setting does not suit the catalog.
    """
    keys_of, unknown_ids = find_judged_keys(index, requests, consequence="they count as never found")
    log.info("asking %s %d queries", index.info.name, len(requests))
    batch = max(min(_BATCH_QUERIES, BATCH_LOGITS // max(index.store.size, 1)), 1)
    rows: list[Row] = []
    tops: list[Doubles] = []
    asked = setting.resolve(index, ())
    corrected: dict[str, str] = {}
    for start in range(0, len(requests), batch):
        asking = requests[start : start + batch]
        texts = [request.query for request in asking]
        asked = setting.resolve(index, texts)
        corrected |= asked.corrected(texts)
        scores, z = score_all(index.engine, asked, index.encoder.encode(asked.texts, "query"))
        chances = itertools.repeat(None) if scores.none_of_these is None else map(float, scores.none_of_these)
        for request, logits, top, chance in zip(asking, z, _top_items(index, z), chances, strict=False):
            ranking = _rank(request, logits, keys_of)
            rows.append(_measure_request(request, ranking, top, k, gain)._replace(none_of_these=chance))
            if ranking.right.any():
                tops.append(measure_tops(np.exp(ranking.log_weights), ranking.right))

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
        mass=measure_mass([row.mass for row in rows if row.mass is not None], tops),
        gain=gain,
        is_graded=any(grade not in (0, 1) for request in requests for grade in request.grades.values()),
        asked=corrected,
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


class _Ranking(NamedTuple):
    """The visible items of a request, best first: the logarithms of their weights (n,), and their grades (n,)."""

    log_weights: Doubles
    grades: Doubles

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which of them are right (n,)."""
        return self.grades > 0


def _rank(request: Judged, z: NDArray[np.float32], keys_of: Mapping[str, Sequence[int]]) -> _Ranking:
    """The ranking of the items by the logits z (n,) of all keys."""
    order = np.argsort(-z, kind="stable")[: np.count_nonzero(np.isfinite(z))]
    log_weights = z[order].astype(np.float64)
    if len(order):
        log_weights -= log_weights[0]
        log_weights -= np.log(np.exp(log_weights).sum())
    grade_of = np.zeros(len(z))
    for ident, grade in request.grades.items():
        grade_of[keys_of.get(ident, [])] = grade  # only the best passage of an item has a finite logit
    return _Ranking(log_weights, grade_of[order])


def _measure_request(request: Judged, ranking: _Ranking, top: Item | None, k: int, gain: Gain) -> Row:
    """How a request was answered, whose ranking begins with the item `top`."""
    row = Row(request.query, request.place, len(request.relevant))
    if top:
        row = row._replace(top=top.id, top_title=top.title, top_weight=float(np.exp(ranking.log_weights[0])))
    if not request.relevant:
        return row
    ranked, judged_grades = ranking.grades, np.array(list(request.grades.values()))
    right = np.flatnonzero(ranking.right)
    log_weights = ranking.log_weights[right]
    return row._replace(
        ndcg=metrics.ndcg(ranked, judged_grades, DEPTH, gain),
        mrr=metrics.reciprocal_rank(ranked),
        recall=metrics.recall(ranked, judged_grades, k),
        precision_at_1=metrics.precision_at_1(ranked),
        kl=metrics.divergence(log_weights) if len(right) else None,
        mass=float(np.exp(log_weights).sum()) if len(right) else None,
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
    bins = metrics.bin_by_confidence(chances, true.astype(np.float64))
    return NoneOfThese(
        where_true=float(chances[true].mean()),
        where_false=float(chances[~true].mean()),
        balanced_accuracy=metrics.balanced_accuracy(chances >= 0.5, true),
        brier=metrics.brier(chances, true),
        calibration_error=metrics.calibration_error(bins),
        reliability=bins,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of the values that are not None; None if there are none."""
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None
