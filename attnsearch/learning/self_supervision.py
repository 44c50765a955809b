"""A catalog → requests made from its own titles and texts, and what they teach without any judgment.

Axis letters: m = queries, n = keys, d = width.

The requests are titles, and passages of 12 to 25 words; the right item of each is the one that it comes from. They
teach a symmetric A, and only its negative part is used: W = I + A may turn down directions that many items share and
that therefore tell little, but it turns none up, since what tells passages apart is not what tells requests apart
(measured: docs/learning.md). The direction of the mean key is turned down by a further tenth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from attnsearch.learning.bilinear import Floats, Loss, fit_w
from attnsearch.sources.items import Item
from attnsearch.sources.judgments import Judged
from attnsearch.storage.store import Store

PULLS = (0.3, 0.15)  # the second one counts; the search for its W starts from the first one's

_TITLES = _PASSAGES = 1_000
_WORDS = 12, 25  # of a passage, at least and at most
_MEAN = 0.1  # how far the direction of the mean key is turned down


def draw_requests(store: Store, first_keys: NDArray[np.int64], *, seed: int = 0) -> list[Judged]:
    """Titles, and then passages, of the items with these first keys; no item comes twice before every other came once.

    Empty texts are left out.
    """
    rng = np.random.default_rng(seed)
    cycles = range(-(-_PASSAGES // max(len(first_keys), 1)))
    titled = _load_items(store, rng.permutation(first_keys)[:_TITLES])
    quoted = _load_items(store, np.concatenate([rng.permutation(first_keys) for _ in cycles])[:_PASSAGES])
    texts = [(item.title.strip(), item) for item in titled] + [(_draw_passage(item, rng), item) for item in quoted]
    return [Judged(text, {item.id: 1.0}) for text, item in texts if text]


def _draw_passage(item: Item, rng: np.random.Generator) -> str:
    words = item.text.split()
    length = min(int(rng.integers(_WORDS[0], _WORDS[1] + 1)), len(words))
    start = int(rng.integers(0, len(words) - length + 1))
    return " ".join(words[start : start + length])


def _load_items(store: Store, keys: NDArray[np.int64]) -> list[Item]:
    return [passage.item for passage in store.items_at(keys.tolist())]


def fit_self_supervised(loss: Loss, keys: Floats) -> Floats:
    """W (d, d) from the loss of such requests, that of a `whole` A, and the catalog's keys X (n, d)."""
    eye = np.eye(keys.shape[1], dtype=np.float32)
    w = eye
    for pull in PULLS:
        w = fit_w(loss, pull, w, symmetric=True)
    values, vectors = np.linalg.eigh(w - eye)
    mean = keys.mean(axis=0)
    common = np.outer(mean, mean) / max(float(mean @ mean), 1e-12)
    turned_down: Floats = (vectors * np.minimum(values, 0)) @ vectors.T - np.float32(_MEAN) * common
    return eye + turned_down
