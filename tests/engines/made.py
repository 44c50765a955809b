"""Segments on disk, without a database: what an engine reads of a catalog."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from attnsearch.engines.bias import Bias, WeightedTerm
from attnsearch.postings.terms import Term
from attnsearch.storage.files import SEGMENTS
from attnsearch.storage.segment import SegmentRow, load_segment, write_segment
from attnsearch.storage.store import Store


class DiskStore(Store):
    """Keys x (n, d) in segments that end before the rows `splits`; `dead` and `joined` (n,) are as in a segment."""

    def __init__(self, folder: Path, x: np.ndarray, dead: np.ndarray, joined: np.ndarray, splits: list[int]) -> None:
        self.folder, self.is_open = folder, True
        (folder / SEGMENTS).mkdir(parents=True, exist_ok=True)
        self.info = SimpleNamespace(name="made", commit="a-state", d=x.shape[1])  # type: ignore[assignment]
        self.segments = []
        for start, stop in itertools.pairwise(sorted({0, *splits, len(x)})):
            part = slice(start, stop)
            file, sums = write_segment(folder / SEGMENTS, np.ascontiguousarray(x[part]))
            marks = [array[part] if array[part].any() else None for array in (dead, joined)]
            self.segments.append(SegmentRow(start, stop - start, file, sums, *marks))
        self._x = [load_segment(folder / SEGMENTS, s.file, (s.rows, x.shape[1]), s.sums) for s in self.segments]


class Scene(NamedTuple):
    """A store, and what an engine is asked about it."""

    store: Store
    q: np.ndarray
    plain: np.ndarray | None
    bias: Bias | None


class Expected(NamedTuple):
    """The softmax of one query by hand: its best keys in order, log Σ exp z, the entropy, and softmax(z) X (d,)."""

    keys: list[int]
    log_normalizer: float
    entropy: float
    output: np.ndarray
    z: dict[int, float]


def by_hand(scene: Scene, *, is_plain: bool = False) -> list[Expected]:
    """In float64, an item at a time: its best passage counts."""
    store, bias = scene.store, scene.bias
    x = np.concatenate([np.asarray(part, np.float64) for part in store._x])
    starts = np.concatenate([np.ones(s.rows, bool) if s.joined is None else ~s.joined for s in store.segments])
    dead = np.concatenate([np.zeros(s.rows, bool) if s.dead is None else s.dead for s in store.segments])
    items = np.split(np.arange(len(x)), np.flatnonzero(starts)[1:])
    queries = scene.q if not is_plain or scene.plain is None else scene.plain
    expected = []
    for row, query in enumerate(queries.astype(np.float64)):
        z, products_of = {}, x @ query
        for passages in items:
            first = int(passages[0])
            if dead[first] or (bias and bias.visible is not None and not bias.visible[first]):
                continue
            products = products_of[passages]
            best = int(np.argmax(products.astype(np.float32)))
            z[int(passages[best])] = float(products[best]) + (0 if is_plain else added(bias, row, first))
        keys = sorted(z, key=lambda key, z=z: (-np.float32(z[key]), key))
        logits = np.array([z[key] for key in keys])
        top = logits.max(initial=-np.inf)
        total = np.exp(logits - top).sum() if keys else 0.0
        weights = np.exp(logits - top) / total if keys else logits
        with np.errstate(divide="ignore"):
            entropy = -float((weights * np.log(weights))[weights > 0].sum())
            log_normalizer = float(top + np.log(total))
        expected.append(Expected(keys, log_normalizer, entropy, weights @ x[keys], z))
    return expected


def added(bias: Bias | None, row: int, first: int) -> float:
    """What the bias adds to the logits of an item, by its first key."""
    if bias is None:
        return 0.0
    total = sum(float(prior[first]) for prior in bias.priors.values())
    for term, weight in bias.terms[row].values():
        total += sum(weight * float(score) for key, score in zip(term.keys, term.scores, strict=True) if key == first)
    return total


def make_bias(store: Store, m: int, share: float | None, kinds: str = "") -> Bias:
    """A bias of m queries: a mask that lets this share of the items through; terms, priors, both or neither."""
    rng = np.random.default_rng(7)
    first_keys = store.first_keys
    firsts = np.unique(np.arange(store.size) if first_keys is None else first_keys)
    visible = None
    if share is not None:
        visible = np.zeros(store.size, bool)
        visible[rng.permutation(firsts)[: round(share * len(firsts))]] = True
    terms: list[dict[str, WeightedTerm]] = [{} for _ in range(m)]
    if "terms" in kinds:
        shared = [
            Term(np.sort(rng.choice(firsts, len(firsts) // 3 + 1, replace=False)).astype(np.uint32),
                 rng.uniform(0, 4, len(firsts) // 3 + 1).astype(np.float32))
            for _ in range(2)
        ]  # fmt: skip
        for row in range(0, m, 2):
            terms[row] = {word: WeightedTerm(term, 0.5 + row % 3) for word, term in zip("ab", shared, strict=True)}
    priors = {}
    if "priors" in kinds:
        prior = np.zeros(store.size, np.float32)
        prior[firsts] = rng.uniform(-1, 1, len(firsts))
        priors = {"year": prior}
    return Bias(first_keys, visible, terms, priors)
