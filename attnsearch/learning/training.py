"""Judged requests + an index → what its librarian learns from them, if held-out requests are answered better.

Axis letters: m = queries, i = items, d = width. X is never touched: no item is embedded again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention import null_key
from attnsearch.attention.memory import Recall, careful_recall
from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import TEMPERATURE
from attnsearch.learning import acceptance, bilinear, calibration, cross_validation, memory, self_supervision, words
from attnsearch.learning.acceptance import ENOUGH_REQUESTS, Verdict
from attnsearch.learning.bilinear import Floats
from attnsearch.learning.calibration import FoldLogits
from attnsearch.learning.cross_validation import CrossValidation, HeldOut, OnFits
from attnsearch.learning.curve import Curve, measure_curve
from attnsearch.learning.examples import Examples, find_first_keys, gather_examples
from attnsearch.opening.index import Index
from attnsearch.search.scoring import fold_plain
from attnsearch.search.setting import bias_of, usual_null_key, usual_temperature
from attnsearch.search.spelling import embed_requests, read_texts
from attnsearch.sources.judgments import Judged
from attnsearch.storage.learned import MOST_REMEMBERED, Learned, Remembered, short_hash
from attnsearch.storage.segment import first_of_several, plain_weights, whole_identity

if TYPE_CHECKING:
    from attnsearch.indexing.embedding import Progress

log = logging.getLogger("attnsearch")


class Outcome(NamedTuple):
    """The result of training: `learned`, None if it is rejected; `verdict` has the reason.

    `unknown_ids` counts the judged ids that the catalog lacks. `curve` is there if it was asked for.
    `memory` is the verdict on remembering the requests, `words` that on shared words; each is None if not measured:
    memory by `train_self`; words if requests are too few, keys too many, or if words count in this catalog anyway.
    """

    learned: Learned | None
    verdict: Verdict
    unknown_ids: int
    curve: Curve | None = None
    memory: Verdict | None = None
    words: Verdict | None = None


def train(
    index: Index,
    requests: Sequence[Judged],
    *,
    seed: int = 0,
    force: bool = False,
    with_curve: bool = False,
    progress: OnFits | None = None,
) -> Outcome:
    """Learn W_Q, τ, λ and memory from judged requests, and the null key from requests without an answer.

    Nothing is written. `force` accepts the result whatever held-out requests show. `seed` cuts the folds; the same seed
    gives the same result. `with_curve` also measures the gain by number of requests, which takes up to twice as long
    again. Raises InputError if no request can teach anything.
    """
    examples = gather_examples(index, requests, seed)
    log.info("learning from %d requests", len(examples.requests))
    validation = cross_validation.cross_validate(examples.training_set, seed=seed, progress=progress)
    verdict = acceptance.accept(examples.training_set, validation)
    strength_index = max(validation.chosen, 1) if verdict.accepted or force else 0
    base = validation if strength_index else validation.untrained
    careful = careful_recall(index.info.sha256)
    remembering = memory.validate_memory(examples.training_set, base.by_others, careful)
    memory_verdict = acceptance.accept_beside(verdict, remembering)
    recall = memory.recall_at(max(remembering.chosen, 1)) if memory_verdict.accepted or force else None
    gains = acceptance.measure_gains(remembering.since(base))
    verdict = acceptance.join_verdicts(verdict, memory_verdict, "memory", gains)
    curve = None
    if with_curve:
        log.info("learning from some of the %d requests", len(examples.requests))
        measured, remembers = (base, careful) if recall else (validation, None)
        curve = measure_curve(examples.training_set, measured, seed=seed, careful=remembers, progress=progress)
    temperature, lexical, is_enough = TEMPERATURE, None, verdict.requests >= ENOUGH_REQUESTS
    words_verdict = None
    if is_enough and not (examples.sampled or index.lexical):
        words_verdict, verdict = _try_words(index, examples, base, recall, verdict)
    if is_enough and (verdict.accepted or force):
        logits = _fold_logits(index, examples, base.held_out, recall, lexical=False)
        temperature = calibration.fit_temperature(logits)
    elif is_enough and verdict.sound:  # even when W_Q is best as it is, another temperature may be better
        first_round = [held_out for held_out in base.held_out if not held_out.fold.round]
        logits = _fold_logits(index, examples, first_round, None, lexical=False)
        temperature, before, after = calibration.fit_temperature_alone(logits, temperature, seed=seed)
        verdict = acceptance.accept_temperature(verdict, before, after)
    if not (verdict.accepted or force):
        return Outcome(None, verdict, examples.unknown_ids, curve, memory_verdict, words_verdict)
    words_count = bool(words_verdict and (words_verdict.accepted or force))
    if is_enough and not examples.sampled:
        draw_logits = partial(_fold_logits, index, examples, base.held_out, recall, lexical=True)
        temperature, lexical = _fit_lexical(draw_logits, temperature, verdict.requests, words_count=words_count)
    pull = cross_validation.STRENGTHS[strength_index - 1] if strength_index else 0
    remembered = _remember(index, requests, recall) if recall else None
    learned = Learned(
        model=index.info.model,
        sha256=index.info.sha256,
        identity=whole_identity(index.info),
        w=cross_validation.fit_strength(examples.training_set, strength_index),
        temperature=temperature * _ratio(index),
        lexical=lexical,
        is_lexical=words_count,
        null=_fit_null_key(index, requests),
        requests=frozenset(short_hash(request.query) for request in requests),
        story={
            **_tell_story(f"{len(examples.requests):,} judged requests", pull, verdict, seed),
            "remembered": len(remembered.queries) if remembered else 0,
        },
        memory=remembered,
    )
    return Outcome(learned, verdict, examples.unknown_ids, curve, memory_verdict, words_verdict)


def _try_words(
    index: Index, examples: Examples, base: CrossValidation, recall: Recall | None, verdict: Verdict
) -> tuple[Verdict, Verdict]:
    """The verdict on shared words, and that on all so far and them."""
    draw_logits = partial(_fold_logits, index, examples, base.by_others, recall, lexical=True)
    counting = words.validate_words(examples.training_set, base.by_others, draw_logits)
    words_verdict = acceptance.accept_beside(verdict, counting)
    gains = acceptance.measure_gains(counting.since(base))
    return words_verdict, acceptance.join_verdicts(verdict, words_verdict, "shared words", gains)


def _fit_lexical(
    draw_logits: Callable[[], Iterator[FoldLogits]], temperature: float, requests: int, *, words_count: bool
) -> tuple[float, float]:
    """τ and λ: the τ given, unless words count in every query, which makes weights sharper."""
    lexical = calibration.fit_lexical(draw_logits(), temperature, requests)
    if not words_count:
        return temperature, lexical
    at_usual = lexical * temperature / TEMPERATURE
    temperature = calibration.fit_temperature(draw_logits(), at_usual)
    return temperature, round(at_usual * TEMPERATURE / temperature, 2)


def _remember(index: Index, requests: Sequence[Judged], recall: Recall) -> Remembered:
    """The latest requests that are known to have an answer, or none; of several with one text the last."""
    judged = {request.query: request for request in requests if request.has_answer is not None}
    latest = list(judged)[-MOST_REMEMBERED:]
    right = [{ident: judged[query].grades[ident] for ident in judged[query].relevant} for query in latest]
    return Remembered(latest, embed_requests(index, latest), right, recall)


def train_self(
    index: Index,
    requests: Sequence[Judged] = (),
    *,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Learn W_Q alone, from requests that the catalog makes of itself. Nothing is written.

    Such requests do not show what real ones gain. The judged `requests` do, and nothing is learned from them. Unless
    they are enough, and answered better beyond chance, the result is rejected, unless with `force`. `progress` counts
    the embedded requests. Raises InputError if the catalog has none of the items that are judged right.
    """
    answerable = [request for request in requests if request.relevant]
    examples = gather_examples(index, answerable, seed) if answerable else None
    if len(answerable) < ENOUGH_REQUESTS and not force:
        verdict = acceptance.require_requests(len(answerable))
        return Outcome(None, verdict, examples.unknown_ids if examples else 0)
    own_requests = self_supervision.draw_requests(index.store, find_first_keys(index.store), seed=seed)
    embedded = 0

    def count_embedded(rows: Sequence[int], _: object) -> None:
        nonlocal embedded
        embedded += len(rows)
        if progress:
            progress(embedded, len(own_requests))

    log.info("learning from %d requests that %s makes of itself", len(own_requests), index.info.name)
    own = gather_examples(index, own_requests, seed, progress=count_embedded).training_set
    loss = bilinear.Loss(own.keys, own.x, own.targets, whole=True)
    w = self_supervision.fit_self_supervised(loss, own.keys.vectors)
    verdict, unknown_ids = acceptance.require_requests(0), 0
    if examples:
        verdict, unknown_ids = acceptance.accept_unseen(examples.training_set, w), examples.unknown_ids
    if not (verdict.accepted or force):
        return Outcome(None, verdict, unknown_ids)
    story = _tell_story(f"{len(own_requests):,} requests of its own", self_supervision.PULLS[-1], verdict, seed)
    learned = Learned(
        index.info.model, index.info.sha256, w, usual_temperature(index.info, index.fit), story=story,
        identity=whole_identity(index.info),
    )  # fmt: skip
    return Outcome(learned, verdict, unknown_ids)


def _tell_story(source: str, pull: float, verdict: Verdict, seed: int) -> dict[str, Any]:
    """How something was learned, as `info` shows it."""
    held_out = {"requests": verdict.requests, "ndcg": verdict.ndcg.as_dict(), "kl": verdict.kl.as_dict()}
    return {
        "from": source,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "held_out": held_out if verdict.requests else None,
        "accepted": verdict.accepted,
        "pull": pull,
        "seed": seed,
    }


def _fold_logits(
    index: Index, examples: Examples, held_out: Sequence[HeldOut], recall: Recall | None, *, lexical: bool
) -> Iterator[FoldLogits]:
    """The logits of held-out queries, by what was learned without them, and what they recall; BM25 if `lexical`.

    They are as sharp as the usual temperature's would be if it were `TEMPERATURE`: τ and λ are fitted beside that.
    """
    training_set = examples.training_set
    sharper = np.float32(1 / _ratio(index))
    for fold, w in held_out:
        queries = fold.held_out
        recalled = memory.recall_requests(training_set, fold) if recall else None
        mass = recalled.mass(recall, careful_recall(index.info.sha256)) if recalled and recall else None
        z = sharper * bilinear.item_logits(training_set.keys, training_set.x[queries], w)
        graded_queries = [training_set.graded[query_number] for query_number in queries]
        texts = read_texts(index, [examples.requests[query_number].query for query_number in queries])
        bm25 = _score_terms(index, texts, examples.first_keys) if lexical else None
        yield FoldLogits(z, bm25, [graded.items[graded.right] for graded in graded_queries], mass)


def _ratio(index: Index) -> float:
    """The temperature of a query that names none, if nothing is learned, as a multiple of `TEMPERATURE`."""
    return usual_temperature(index.info, index.fit) / TEMPERATURE


def _score_terms(index: Index, texts: Sequence[str], first_keys: NDArray[np.int64]) -> Floats:
    """BM25 of the queries for the items with these first keys (m, i)."""
    bias = bias_of(index, texts, (), 1.0, {})
    scores: Floats = np.zeros((len(texts), len(first_keys)), np.float32)
    if bias.adds:
        scores += bias.block(0, index.store.size)[:, first_keys]
    return scores


def _fit_null_key(index: Index, requests: Sequence[Judged]) -> NullKey | None:
    """The null key, from the requests that are known to have an answer, or none; None if no better than the fitted."""
    decided = [request for request in requests if request.has_answer is not None]
    unanswerable = np.array([not request.has_answer for request in decided], bool)
    if not unanswerable.any():
        return None
    x = embed_requests(index, [request.query for request in decided])
    current = usual_null_key(plain_weights(index.info), index.fit)
    temperature = index.fit.temperature if index.fit else TEMPERATURE
    state = index.engine.attend(fold_plain(x, first_of_several(index.info), temperature)).attention
    evidence = null_key.evidence(state.maximum, state.log_normalizer(), state.visible)
    return calibration.fit_null_key(evidence, unanswerable, current, temperature)
