"""Judged requests + an index → what its librarian learns from them, if held-out requests say that it is better.

Axis letters: m = queries, n = keys, i = items. X is never touched: no item is embedded again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch import bilinear, calibration, gate, nothing, trial
from attnsearch.bilinear import Catalog, Floats, Targets
from attnsearch.calibration import Cut
from attnsearch.errors import InputError
from attnsearch.gate import Verdict
from attnsearch.index import Index
from attnsearch.judgments import Judged
from attnsearch.learned import Learned, short_hash
from attnsearch.projections import identity
from attnsearch.scan import Setting, look
from attnsearch.store import Store
from attnsearch.trial import Lesson, Progress, Trial

_MOST = 32_768  # keys that are learned from: of a larger catalog, those that matter and some of the others
_NEAR = 100  # items that each query is nearest to: those that matter
_LEFT = 50  # items that share what a request leaves that only says what is wrong
_ENOUGH = 20  # requests from which a temperature is fitted

log = logging.getLogger("attnsearch")


class Outcome(NamedTuple):
    """What came of it: `learned` if it is to be kept, None if not; `verdict` says why.

    `unknown` counts the judged ids that the catalog lacks.
    """

    learned: Learned | None
    verdict: Verdict
    unknown: int


class School(NamedTuple):
    """A lesson, and what it was made of: the requests in its order, the first key of each item, the unknown ids."""

    lesson: Lesson
    judged: list[Judged]
    firsts: NDArray[np.int64]
    sampled: bool
    unknown: int


def train(
    index: Index, judged: Sequence[Judged], *, seed: int = 0, force: bool = False, progress: Progress | None = None
) -> Outcome:
    """What is learned from judged requests: W_Q, τ, λ, and, from requests that nothing is right for, the null key.

    Nothing is written. With `force` it is to be kept whatever held-out requests say. The same `seed`, which cuts the
    folds, gives the same result. Raises InputError where no request can teach anything.
    """
    school = gather(index, judged, seed)
    log.info("learning from %d requests", len(school.judged))
    seen = trial.hold(school.lesson, seed=seed, progress=progress)
    verdict = gate.judge(school.lesson, seen)
    if not (verdict.accepted or force):
        return Outcome(None, verdict, school.unknown)
    strength = max(seen.chosen, 1)
    usual = index.info.temperature
    temperature, weight = usual, None
    if verdict.requests >= _ENOUGH:
        untrained = float(np.nanmean(seen.before.kl))
        temperature = calibration.temperature(lambda: _cuts(index, school, seen, terms=False), untrained)
        if not school.sampled:
            weight = calibration.weight(lambda: _cuts(index, school, seen, terms=True), temperature)
    story = {
        "from": f"{len(school.judged):,} judged requests",
        "strength": trial.STRENGTHS[strength - 1],
        "held_out": {"requests": verdict.requests, "ndcg": verdict.ndcg._asdict(), "kl": verdict.kl._asdict()},
        "accepted": verdict.accepted,
        "seed": seed,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    learned = Learned(
        model=index.info.model,
        sha256=index.info.sha256,
        w=trial.learn(school.lesson, strength),
        temperature=temperature,
        lexical=weight,
        null=_null_key(index, judged),
        requests=frozenset(short_hash(one.query) for one in judged),
        story=story,
    )
    return Outcome(learned, verdict, school.unknown)


def gather(index: Index, judged: Sequence[Judged], seed: int = 0) -> School:
    """The lesson that the requests make which say anything of an item that the catalog has."""
    keys = index.store.keys_of(dict.fromkeys(ident for one in judged for ident in one.grades))
    first = {ident: min(numbers) for ident, numbers in keys.items()}
    unknown = len({ident for one in judged for ident in one.grades} - set(first))
    usable = [one for one in judged if any(ident in first for ident in (one.relevant or one.grades))]
    if not usable:
        what = "no request has an item that the catalog knows" if judged else "there is no judged request"
        hint = "say what is right with 'attnsearch feedback', or name the catalog that was judged with -c"
        raise InputError(what, where=index.info.name, hint=hint)
    if unknown:
        log.warning("%s: %d judged ids are not in it, and teach nothing", index.info.name, unknown)
    x = index.encoder.encode([one.query for one in usable], "query")
    catalog, firsts = _catalog(index, x, np.array(sorted(first.values())), seed)
    graded = []
    for one in usable:
        at = [_place(firsts, first[ident]) if ident in first else -1 for ident in one.grades]
        graded.append((np.array(at, np.int64), np.array(list(one.grades.values()), np.float64)))
    lesson = Lesson(catalog, x, _targets(catalog, x, graded), graded)
    return School(lesson, usable, firsts, catalog.offset is not None, unknown)


def _place(firsts: NDArray[np.int64], key: int) -> int:
    return int(np.searchsorted(firsts, key))


def _catalog(index: Index, x: Floats, judged: NDArray[np.int64], seed: int) -> tuple[Catalog, NDArray[np.int64]]:
    """The keys to learn from, and the number of the first of each item's.

    Of a large catalog they are the judged items, those near a query, and, for all others, a sample that stands for
    them in the normalizer: Bengio & Senécal 2008.
    """
    store = index.store
    numbers = _alive(store)
    heads = numbers if store.heads is None else store.heads[numbers]
    firsts = np.unique(heads)
    offset = None
    if len(numbers) > _MOST:
        near = np.concatenate([_near(index, x[at : at + _NEAR]) for at in range(0, len(x), _NEAR)])
        sure = np.union1d(judged, near if store.heads is None else store.heads[near])
        rest = np.setdiff1d(firsts, sure, assume_unique=True)
        room = max(int(_MOST * len(firsts) / len(numbers)) - len(sure), _MOST // 4)
        drawn = np.sort(np.random.default_rng(seed).choice(rest, min(room, len(rest)), replace=False))
        kept = np.union1d(sure, drawn)
        offset = np.where(np.isin(kept, drawn), np.float32(np.log(len(rest) / max(len(drawn), 1))), np.float32(0))
        some = np.isin(heads, kept)
        numbers, heads, firsts = numbers[some], heads[some], kept
    begins = None if len(firsts) == len(numbers) else np.flatnonzero(np.diff(heads, prepend=-1))
    return Catalog(store.embeddings(numbers.tolist()), begins, offset), firsts


def _alive(store: Store) -> NDArray[np.int64]:
    found = [np.empty(0, np.int64)]
    for block in store.blocks():
        alive = np.arange(len(block.x)) if block.alive is None else np.flatnonzero(block.alive)
        found.append(block.first + alive)
    return np.concatenate(found)


def _near(index: Index, x: Floats) -> NDArray[np.int64]:
    from attnsearch.scan import scan

    state, _ = scan(index, identity(index.info.d), x, k=_NEAR)
    return np.unique(state.top_keys[np.isfinite(state.top_logits)])


def _targets(catalog: Catalog, x: Floats, graded: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> Targets:
    """Shares by the grades of what is right.

    For a request that says only what is wrong they are what untrained attention gives the other items.
    """
    queries, items, shares = [], [], []
    for query, (at, grades) in enumerate(graded):
        right = (at >= 0) & (grades > 0)
        if right.any():
            found, share = at[right], grades[right]
        else:
            z = bilinear.logits(catalog, x[query : query + 1])[0].astype(np.float64)
            z[at[at >= 0]] = -np.inf
            found = np.argsort(-z, kind="stable")[:_LEFT]
            share = np.exp(z[found] - z[found[0]])
        order = np.argsort(found)
        queries.append(np.full(len(found), query))
        items.append(found[order])
        shares.append((share / share.sum())[order])
    return Targets(np.concatenate(queries), np.concatenate(items), np.concatenate(shares).astype(np.float32))


def _cuts(index: Index, school: School, seen: Trial, *, terms: bool) -> Iterator[Cut]:
    """The logits of the queries that were held out, by what was learned without them."""
    lesson = school.lesson
    for out, w in seen.held_out:
        z = bilinear.logits(lesson.catalog, lesson.x[out], w)
        right = [items[(items >= 0) & (grades > 0)] for items, grades in (lesson.graded[one] for one in out)]
        yield Cut(z, _terms(index, school, out) if terms else None, right)


def _terms(index: Index, school: School, chosen: NDArray[np.int64]) -> Floats:
    from attnsearch import bias

    said = bias.of(index, [school.judged[one].query for one in chosen], (), 1.0, {})
    rows: Floats = np.zeros((len(chosen), len(school.firsts)), np.float32)
    if said.adds:
        rows += said.block(0, index.store.size)[:, school.firsts]
    return rows


def _null_key(index: Index, judged: Sequence[Judged]) -> nothing.NullKey | None:
    """The null key by the requests, those among them that nothing is right for."""
    empty = np.array([not one.grades for one in judged])
    if not empty.any():
        return None
    state = look(index, [one.query for one in judged], Setting(identity(index.info.d))).state
    evidence = nothing.evidence(state.maximum, state.log_normalizer(), state.kept)
    return calibration.null_key(evidence, empty, nothing.FITTED.get(index.info.sha256))
