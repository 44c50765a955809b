"""Judged requests + an index → what its librarian learns from them, if held-out requests say that it is better.

Axis letters: m = queries, n = keys, i = items. X is never touched: no item is embedded again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention import null_key
from attnsearch.attention.projections import identity
from attnsearch.learning import acceptance, bilinear, calibration, cross_validation, self_supervision
from attnsearch.learning.acceptance import Verdict
from attnsearch.learning.bilinear import Floats
from attnsearch.learning.calibration import Cut
from attnsearch.learning.cross_validation import OnFits, Trial
from attnsearch.learning.examples import Gathered, first_keys, gather
from attnsearch.search.index import Index
from attnsearch.search.scoring import fold
from attnsearch.search.setting import bias_of
from attnsearch.sources.judgments import Judged
from attnsearch.storage.learned import Learned, short_hash

if TYPE_CHECKING:
    from attnsearch.indexing.update import Progress as Embedded

log = logging.getLogger("attnsearch")


class Outcome(NamedTuple):
    """What came of it: `learned` if it is to be kept, None if not; `verdict` says why.

    `unknown` counts the judged ids that the catalog lacks.
    """

    learned: Learned | None
    verdict: Verdict
    unknown: int


def train(
    index: Index, judged: Sequence[Judged], *, seed: int = 0, force: bool = False, progress: OnFits | None = None
) -> Outcome:
    """What is learned from judged requests: W_Q, τ, λ, and, from requests that nothing is right for, the null key.

    Nothing is written. With `force` it is to be kept whatever held-out requests say. The same `seed`, which cuts the
    folds, gives the same result. Raises InputError where no request can teach anything.
    """
    school = gather(index, judged, seed)
    log.info("learning from %d requests", len(school.judged))
    seen = cross_validation.cross_validate(school.lesson, seed=seed, progress=progress)
    verdict = acceptance.accept(school.lesson, seen)
    strength, temperature = max(seen.chosen, 1), index.info.temperature
    if not (verdict.accepted or force):  # where W_Q is best as it is, its temperature need not be
        strength, seen = 0, seen.untrained
        if verdict.sound and verdict.requests >= acceptance.ENOUGH:
            cuts = _cuts(index, school, seen, terms=False)
            temperature, before, after = calibration.fit_temperature_alone(cuts, temperature, seed=seed)
            verdict = acceptance.accept_temperature(verdict, before, after)
        if not verdict.accepted:
            return Outcome(None, verdict, school.unknown)
    elif verdict.requests >= acceptance.ENOUGH:
        untrained = float(np.nanmean(seen.before.kl))
        temperature = calibration.fit_temperature(_cuts(index, school, seen, terms=False), untrained)
    weight = None
    if verdict.requests >= acceptance.ENOUGH and not school.sampled:
        weight = calibration.fit_lexical(_cuts(index, school, seen, terms=True), temperature)
    learned = Learned(
        model=index.info.model,
        sha256=index.info.sha256,
        w=cross_validation.fit_strength(school.lesson, strength),
        temperature=temperature,
        lexical=weight,
        null=_null_key(index, judged),
        requests=frozenset(short_hash(one.query) for one in judged),
        story=_story(
            f"{len(school.judged):,} judged requests",
            strength and cross_validation.STRENGTHS[strength - 1],
            verdict,
            seed,
        ),
    )
    return Outcome(learned, verdict, school.unknown)


def train_self(
    index: Index,
    judged: Sequence[Judged] = (),
    *,
    seed: int = 0,
    force: bool = False,
    progress: Embedded | None = None,
) -> Outcome:
    """What is learned from requests that the catalog makes of itself: W_Q alone. Nothing is written.

    Requests made so do not tell what it gains on real ones; `judged` requests do, from which nothing is learned here.
    If they are there, and answered worse, it is not to be kept, unless with `force`.
    """
    done = 0

    def more(texts: int) -> None:
        nonlocal done
        done += texts
        if progress:
            progress(done, len(made))

    made = self_supervision.draw_requests(index.store, first_keys(index.store), seed=seed)
    log.info("learning from %d requests that %s makes of itself", len(made), index.info.name)
    school = gather(index, made, seed, progress=more)
    catalog, x, targets, _ = school.lesson
    w = self_supervision.fit_self_supervised(bilinear.Loss(catalog, x, targets, whole=True), catalog.keys)
    known = [one for one in judged if one.relevant]
    real = gather(index, known, seed) if known else None
    verdict = acceptance.UNKNOWN if real is None else acceptance.accept_unless_worse(real.lesson, w)
    if not (verdict.accepted or force):
        return Outcome(None, verdict, real.unknown if real else 0)
    story = _story(f"{len(made):,} requests of its own", self_supervision.PULLS[-1], verdict, seed)
    learned = Learned(index.info.model, index.info.sha256, w, index.info.temperature, story=story)
    return Outcome(learned, verdict, real.unknown if real else 0)


def _story(source: str, pull: float | None, verdict: Verdict, seed: int) -> dict[str, Any]:
    """How something was learned, for `info`."""
    held_out = {"requests": verdict.requests, "ndcg": verdict.ndcg.as_dict(), "kl": verdict.kl.as_dict()}
    return {
        "from": source,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "held_out": held_out if verdict.requests else None,
        "accepted": verdict.accepted,
        "pull": pull,
        "seed": seed,
    }


def _cuts(index: Index, school: Gathered, seen: Trial, *, terms: bool) -> Iterator[Cut]:
    """The logits of the queries that were held out, by what was learned without them."""
    lesson = school.lesson
    for out, w in seen.held_out:
        z = bilinear.item_logits(lesson.catalog, lesson.x[out], w)
        right = [items[(items >= 0) & (grades > 0)] for items, grades in (lesson.graded[one] for one in out)]
        yield Cut(z, _terms(index, school, out) if terms else None, right)


def _terms(index: Index, school: Gathered, chosen: NDArray[np.int64]) -> Floats:
    said = bias_of(index, [school.judged[one].query for one in chosen], (), 1.0, {})
    rows: Floats = np.zeros((len(chosen), len(school.firsts)), np.float32)
    if said.adds:
        rows += said.block(0, index.store.size)[:, school.firsts]
    return rows


def _null_key(index: Index, judged: Sequence[Judged]) -> null_key.NullKey | None:
    """The null key by the requests of which it is known whether anything is right for them."""
    known = [one for one in judged if one.answer is not None]
    empty = np.array([not one.answer for one in known], bool)
    if not empty.any():
        return None
    x = index.encoder.encode([request.query for request in known], "query")
    state = index.engine.attend(fold(identity(index.info.d), x)).attention
    evidence = null_key.evidence(state.maximum, state.log_normalizer(), state.visible)
    return calibration.fit_null_key(evidence, empty, null_key.FITTED.get(index.info.sha256))
