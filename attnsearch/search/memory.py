"""Judged requests that are like a query → what they add to the logits of the items that were right for them.

The engine knows nothing of them: its states are corrected afterwards, see `attention.memory`. Only the items of judged
requests that are near enough to matter are looked up.

Axis letters: m = queries, d = width; j = judged requests near some query, i = items that are right for some of these,
p = keys of these items.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention import memory
from attnsearch.attention.products import multiply
from attnsearch.attention.softmax import State, best_of_each
from attnsearch.search.spelling import embed_requests
from attnsearch.storage.failures import damaged

if TYPE_CHECKING:
    from attnsearch.attention.memory import Recall
    from attnsearch.engines.bias import Bias
    from attnsearch.opening.index import Index
    from attnsearch.storage.learned import Remembered
    from attnsearch.storage.store import Store
    from attnsearch.teaching.memory import Embedding

_SHOWN = 0.005  # share of the attention from which a judged request is named
_NEGLIGIBLE = 1e-6  # of a query's attention: what all judged requests that are left out may have together

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Numbers = NDArray[np.int64]


class Part(NamedTuple):
    """What one catalog remembers, its store, and the number of that store's first key among all keys.

    Its judged requests are followed by each of the `recalls`: the one that a training chose, and the careful one, so
    that the same request is always answered as it was judged.
    """

    remembered: Remembered
    store: Store
    first: int
    recalls: Sequence[Recall]


class Memory(NamedTuple):
    """What the catalogs that are asked remember, the `store` with all of their keys, and the bias of the queries."""

    parts: Sequence[Part]
    store: Store
    bias: Bias | None

    def recall(self, x: Floats, q: Floats, log_normalizer: Doubles, plain: Doubles) -> Recalled | None:
        """What is remembered for the queries x (m, d), folded q (m, d); None if no judged request is near any of them.

        `log_normalizer` (m,) is log Σ exp z over all items, and `plain` (m,) that of the plain logits. A judged request
        has no effect if its right items are all hidden, or gone.
        """
        texts: list[str] = []
        logits: list[Doubles] = []
        most: list[float] = []
        rights: list[dict[int, float]] = []
        keys_of: dict[int, list[int]] = {}  # of each item by its first key
        for part in self.parts:
            remembered = part.remembered
            cosines = multiply(x, remembered.x)
            least = math.log(_NEGLIGIBLE / max(len(remembered.x), 1))
            of_recalls = [memory.request_logits(cosines, recall, plain) for recall in part.recalls]
            of_recalls = [np.where(z >= least, z, -np.inf) for z in of_recalls]
            near = np.flatnonzero(np.max(of_recalls, axis=(0, 1), initial=-np.inf) > -np.inf).tolist()
            visible = self._find_visible(part, {ident for number in near for ident in remembered.right[number]})
            for number in near:
                grades = remembered.right[number]
                total = sum(grade for ident, grade in grades.items() if ident in visible)
                if total or not grades:
                    right = {visible[ident][0]: grades[ident] / total for ident in grades if ident in visible}
                    for recall, of_recall in zip(part.recalls, of_recalls, strict=True):
                        texts.append(remembered.queries[number])
                        logits.append(of_recall[:, number])
                        most.append(recall.most)
                        rights.append(right)
            keys_of |= {keys[0]: keys for keys in visible.values()}
        if not texts:
            return None
        shares = memory.share_attention(np.stack(logits, axis=1), np.array(most))
        items = [keys_of[first_key] for first_key in sorted(keys_of)]
        keys, vectors, z = self._compare(q, items)
        mass = np.repeat(_spread(shares, rights, sorted(keys_of)), [*map(len, items)], axis=1)
        raised = memory.raise_logits(z, log_normalizer, mass, shares).astype(np.float32)  # as all logits are
        first_keys = [own[0] for own in items for _ in own]
        return Recalled(texts, rights, shares, keys, first_keys, vectors, z, raised)

    def _find_visible(self, part: Part, idents: Collection[str]) -> dict[str, list[int]]:
        """The keys of those of the items, by id, that are there and that no filter hides."""
        keys_of = part.store.keys_of(idents) if idents else {}
        _refuse_hidden(part.store, idents, keys_of)
        numbered = {ident: [part.first + key for key in keys] for ident, keys in keys_of.items()}
        mask = None if self.bias is None else self.bias.visible
        return {ident: keys for ident, keys in numbered.items() if mask is None or mask[keys[0]]}

    def _compare(self, q: Floats, items: Sequence[Sequence[int]]) -> tuple[Numbers, Floats, Floats]:
        """The keys (p,) of the items, their vectors (p, d), and their logits (m, p), the same as the engine's."""
        keys = np.array([key for own in items for key in own], np.int64)
        vectors = self.store.embeddings(keys)
        z = multiply(q, vectors)
        joined = np.array([number > 0 for own in items for number in range(len(own))], bool)
        if joined.any():
            z = best_of_each(z, joined)
        if self.bias is not None and self.bias.adds:
            added = self.bias.of_items(np.array([own[0] for own in items], np.int64))
            z = z + np.repeat(added, [*map(len, items)], axis=1)
        return keys, vectors, z


class Recalled(NamedTuple):
    """What is remembered for m queries, and what it does to the logits of p keys.

    `texts` (j,) are judged requests, `rights` the shares of what is right for each, by an item's first key, and
    `shares` (m, j) of a query's attention are theirs, see `attention.memory.attend_requests`. `keys` (p,), of items
    with these `first_keys` (p,), have the `vectors` (p, d), and the logits z (m, p) without memory, `raised` (m, p)
    with it; -inf where another key of the item is better.
    """

    texts: Sequence[str]
    rights: Sequence[Mapping[int, float]]
    shares: Doubles
    keys: Numbers
    first_keys: Sequence[int]
    vectors: Floats
    z: Floats
    raised: Floats

    def raise_state(self, state: State) -> State:
        """The state of the same queries, with memory: its top, too."""
        raised, vectors = self.raised.astype(np.float64), None if state.output is None else self.vectors
        state = memory.raise_state(state, self.z.astype(np.float64), raised, vectors)
        if not state.k:
            return state
        others = np.where(np.isin(state.top_keys, self.keys), -np.inf, state.top_logits)
        logits = np.concatenate([others, raised], axis=1)
        keys = np.concatenate([state.top_keys, np.broadcast_to(self.keys, raised.shape)], axis=1)
        order = np.lexsort((keys, -logits))[:, : state.top_keys.shape[1]]
        logits, keys = (np.take_along_axis(rows, order, axis=1) for rows in (logits, keys))
        return state._replace(top_logits=logits, top_keys=keys)

    def share_of_none(self, chance: Doubles) -> Doubles:
        """The chance (m,) that nothing answers, where `chance` (m,) is that without memory."""
        return memory.share_of_none(chance, self.shares, np.array([bool(right) for right in self.rights]))

    def of_items(self, first_keys: Numbers) -> tuple[Numbers, Floats]:
        """Where in `first_keys` (n,), ascending, those of its items are (c,), and the raised logits of these (m, c)."""
        starts = np.flatnonzero(np.diff(self.first_keys, prepend=-1))
        if not len(starts):
            return starts, self.raised
        of_items = np.maximum.reduceat(self.raised, starts, axis=1)
        own = np.array(self.first_keys)[starts]
        known = np.isin(own, first_keys)
        return np.searchsorted(first_keys, own[known]), of_items[:, known]

    def spread(self, size: int) -> Floats:
        """What was added to the logits (m, size) of all keys."""
        added = np.zeros((len(self.z), size), np.float32)
        with np.errstate(invalid="ignore"):  # where another key of the item is better
            added[:, self.keys] = np.nan_to_num(self.raised - self.z)
        return added

    def requests(self, query_number: int) -> dict[str, float]:
        """The judged requests that are like a query, each with its share of the attention, the largest first."""
        shares: dict[str, float] = {}
        for text, share in zip(self.texts, self.shares[query_number].tolist(), strict=True):
            shares[text] = shares.get(text, 0.0) + share
        shown = [(text, share) for text, share in shares.items() if share >= _SHOWN]
        return dict(sorted(shown, key=lambda entry: -entry[1]))

    def added(self, query_number: int, key: int) -> dict[str, float]:
        """What was added to the logit of one query and one key, in logits, by judged request, the largest first.

        Each has its part of what memory holds of the attention on the item.
        """
        place = int(np.searchsorted(self.keys, key))
        if place == len(self.keys) or self.keys[place] != key:
            return {}
        first_key = self.first_keys[place]
        total = float(self.raised[query_number, place]) - float(self.z[query_number, place])
        parts: dict[str, float] = {}
        for text, right, share in zip(self.texts, self.rights, self.shares[query_number].tolist(), strict=True):
            if mass := share * right.get(first_key, 0.0):
                parts[text] = parts.get(text, 0.0) + mass
        whole = sum(parts.values())
        largest_first = sorted(parts.items(), key=lambda part: -part[1])
        return {text: total * mass / whole for text, mass in largest_first} if total else {}


def embedding_of(index: Index) -> Embedding:
    """What embeds judged requests as the index reads those that it is asked. It works as long as the index is open."""
    from attnsearch.teaching.memory import Embedding

    return Embedding(index.info, partial(embed_requests, index))


def gather_memory(index: Index, memories: Sequence[Remembered | None], bias: Bias | None) -> Memory:
    """What the index's catalogs remember, from the memory of each; None for one that remembers nothing."""
    firsts = itertools.accumulate((store.size for store in index.stores), initial=0)
    parts = zip(memories, index.stores, firsts, strict=False)
    careful = memory.careful_recall(index.info.sha256)
    return Memory(
        [
            Part(remembered, store, first, [*dict.fromkeys((remembered.recall, careful))])
            for remembered, store, first in parts
            if remembered
        ],
        index.store,
        bias,
    )


def _refuse_hidden(store: Store, idents: Collection[str], keys_of: Mapping[str, Sequence[int]]) -> None:
    """Raise CatalogError where a damaged index of the database has hidden an item, or some of its keys."""
    gone = [ident for ident in idents if ident not in keys_of]
    if store.has_any(gone) or not all(_is_whole(store, keys) for keys in keys_of.values()):
        raise damaged(store.folder, "its index of items or of keys lacks some")


def _is_whole(store: Store, keys: Sequence[int]) -> bool:
    """Whether these are all keys of an item, by the list of segments."""
    row = next(row for row in reversed(store.segments) if row.first <= keys[0])
    start, stop = keys[0] - row.first, keys[-1] + 1 - row.first
    if row.joined is None:
        return len(keys) == 1
    is_end = stop == row.rows or not row.joined[stop]
    return len(keys) == stop - start and is_end and not row.joined[start]


def _spread(shares: Doubles, rights: Sequence[Mapping[int, float]], first_keys: Sequence[int]) -> Doubles:
    """What memory holds of the attention (m, i) on each item, by its first key: Σ_j shares · right_j."""
    place = {first_key: number for number, first_key in enumerate(first_keys)}
    mass = np.zeros((len(shares), len(first_keys)))
    for number, right in enumerate(rights):
        for first_key, share in right.items():
            mass[:, place[first_key]] += shares[:, number] * share
    return mass
