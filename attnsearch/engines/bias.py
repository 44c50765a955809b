"""The bias: what is added to each key's logit, and which items a filter hides.

logit = q kᵀ / √d_k + λ · BM25 + Σ weight · (rank - 1/2), or -inf if a filter hides the item. All keys of an item have
the same bias. A prior counts by the rank of an item's number, from 0 to 1, so that its unit does not matter.

Axis letters: m = queries, n = keys of a block, N = all keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings.terms import Term


class WeightedTerm(NamedTuple):
    """A term of a query: its BM25 in each item that has it, and how many logits each point of that adds."""

    term: Term
    weight: float


class Added(NamedTuple):
    """What is added to one logit, in logits: by term of the query, by prior field, and by judged request."""

    lexical: Mapping[str, float]
    prior: Mapping[str, float]
    memory: Mapping[str, float] = {}

    @property
    def total(self) -> float:
        """Σ lexical + Σ prior + Σ memory, in logits."""
        return sum(self.lexical.values()) + sum(self.prior.values()) + sum(self.memory.values())


class Bias(NamedTuple):
    """Mask and bias of m queries over N keys; each item's value is stored at its first key.

    The bias travels to the engine as data, and every engine adds it to the logits the same way: engines know keys by
    number, and neither filters nor fields.

    `first_keys` (N,) is the first key of each key's item; None if every item has one key. `visible` (N,) is the mask,
    the same for all queries: True where a filter lets the item through; None if there is no filter. `terms` has one
    dict per query, by the word as the query has it. `priors` are the logits (N,) that each prior field adds.
    """

    first_keys: NDArray[np.int64] | None
    visible: NDArray[np.bool_] | None
    terms: list[dict[str, WeightedTerm]]
    priors: dict[str, NDArray[np.float32]]

    def mask(self, first: int, end: int, alive: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        """Which keys from `first` to before `end` take part (n,): visible and `alive` (n,). None means all."""
        if self.visible is None:
            return alive
        visible = self.visible[self._first_keys(first, end)]
        return visible if alive is None else visible & alive

    @property
    def adds(self) -> bool:
        """Whether it adds to any logit, and does not only hide items."""
        return bool(self.priors) or any(self.terms)

    def block(self, first: int, end: int) -> NDArray[np.float32]:
        """What is added to the logits of the keys from `first` to before `end`.

        (m, n), or (1, n) if that is the same for every query. `first` must be the first key of an item.
        """
        rows = np.zeros((len(self.terms) if any(self.terms) else 1, end - first), np.float32)
        for prior in self.priors.values():
            rows += prior[self._first_keys(first, end)]
        for row, terms in zip(rows, self.terms, strict=False):
            for term, weight in terms.values():
                within = slice(*np.searchsorted(term.keys, [first, end]))
                columns, logits = term.keys[within] - first, weight * term.scores[within]
                if self.first_keys is None:
                    row[columns] += logits
                else:  # from an item's first key to all of its keys
                    of_items = np.zeros(end - first, np.float32)
                    of_items[columns] = logits
                    row += of_items[self.first_keys[first:end] - first]
        return rows

    def of_items(self, first_keys: NDArray[np.int64]) -> NDArray[np.float32]:
        """What is added to the logits of items by their first keys (n,), of which no two are equal; as `block` has it.

        (m, n), or (1, n) if that is the same for every query.
        """
        rows = np.zeros((len(self.terms) if any(self.terms) else 1, len(first_keys)), np.float32)
        for prior in self.priors.values():
            rows += prior[first_keys]
        for row, terms in zip(rows, self.terms, strict=False):
            for term, weight in terms.values():
                _, place, place_of_term = np.intersect1d(first_keys, term.keys, assume_unique=True, return_indices=True)
                row[place] += weight * term.scores[place_of_term]
        return rows

    def added(self, query_number: int, key: int) -> Added:
        """What was added to the logit of one query and one key, each by its number."""
        first_key = key if self.first_keys is None else int(self.first_keys[key])
        lexical = {}
        for word, (term, weight) in self.terms[query_number].items():
            index = int(np.searchsorted(term.keys, first_key))
            if index < len(term.keys) and term.keys[index] == first_key:
                lexical[word] = float(weight * term.scores[index])
        return Added(lexical, {field: float(prior[first_key]) for field, prior in self.priors.items()})

    def _first_keys(self, first: int, end: int) -> slice | NDArray[np.int64]:
        """An index into arrays (N,): the first key of the item of each key from `first` to before `end`."""
        return slice(first, end) if self.first_keys is None else self.first_keys[first:end]
