"""A catalog → requests that it makes of itself, and what can be learned from them without anybody's judgment.

Axis letters: m = queries, d = width.

The requests are titles, and passages of a dozen to two dozen words; what is right for each is the item that it is of. A
symmetric A is learned from them, of which only the negative part is kept: W = I + A may turn directions down that many
items have in common, and so tell nothing, but none up, since what tells passages apart is not what tells requests apart
(measured: docs/learning.md). The direction of the catalog's mean is turned down by a tenth more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnsearch.learning.bilinear import Floats, Loss, fit_w
from attnsearch.sources.items import Item
from attnsearch.sources.judgments import Judged
from attnsearch.storage.store import Store

PULLS = (0.3, 0.15)  # the second is the one that counts; its W is found from the first's
_TITLES = _SPANS = 1_000
_WORDS = 12, 25  # of a span, at least and at most
_MEAN = 0.1  # of the mean's direction is turned down


def draw_requests(store: Store, firsts: NDArray[np.int64], *, seed: int = 0) -> list[Judged]:
    """Requests of the items with these first keys, titles and then spans; no item twice before every other was once."""
    rng = np.random.default_rng(seed)
    cycles = range(-(-_SPANS // max(len(firsts), 1)))
    titles = _items(store, rng.permutation(firsts)[:_TITLES])
    spans = _items(store, np.concatenate([rng.permutation(firsts) for _ in cycles])[:_SPANS])
    found = [(item.title.strip(), item) for item in titles]
    for item in spans:
        words = item.text.split()
        length = min(int(rng.integers(_WORDS[0], _WORDS[1] + 1)), len(words))
        start = int(rng.integers(0, len(words) - length + 1))
        found.append((" ".join(words[start : start + length]), item))
    return [Judged(text, {item.id: 1.0}) for text, item in found if text]


def _items(store: Store, firsts: NDArray[np.int64]) -> list[Item]:
    return [found.item for found in store.items_at(firsts.tolist())]


def fit_self_supervised(loss: Loss, keys: Floats) -> Floats:
    """W (d, d) from the loss of such requests, by a whole A; X (n, d) are the catalog's keys."""
    w = None
    for pull in PULLS:
        w = fit_w(loss, pull, w, symmetric=True)
    d = keys.shape[1]
    eye = np.eye(d, dtype=np.float32)
    values, vectors = np.linalg.eigh((eye if w is None else w) - eye)
    mean = keys.mean(axis=0)
    common = np.outer(mean, mean) / max(float(mean @ mean), 1e-12)
    turned_down: Floats = (vectors * np.minimum(values, 0)) @ vectors.T - np.float32(_MEAN) * common
    return eye + turned_down
