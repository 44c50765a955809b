"""How a catalog is asked → what is added to every logit: a filter's mask, what terms say, what items have for them.

logit = q kᵀ / √d_k + λ · BM25 + Σ weight · (rank - 1/2), of which nothing is left where a filter does not hold. All
keys of an item have the same. A prior counts by its rank, between 0 and 1, so that its unit does not matter.

Axis letters: m = queries, n = keys of a block, N = all keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.postings.terms import Term


class Added(NamedTuple):
    """What a bias adds to one logit: by each term of the query, and by each field that is a prior."""

    lexical: Mapping[str, float]
    prior: Mapping[str, float]

    @property
    def total(self) -> float:
        """What all of them added, in logits: Σ lexical + Σ prior."""
        return sum(self.lexical.values()) + sum(self.prior.values())


class Bias(NamedTuple):
    """What m queries have for all keys, told at the first key of each item.

    `keep` (N,) says which items are seen; None: all. `terms` are those of each query, and what each point of their
    BM25 is worth. `priors` (N,) are what each field adds.
    """

    heads: NDArray[np.int64] | None
    keep: NDArray[np.bool_] | None
    terms: list[dict[str, tuple[Term, float]]]
    priors: dict[str, NDArray[np.float32]]

    def mask(self, first: int, end: int, alive: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        """Which of the keys from `first` to before `end` are seen (n,), of those that are `alive`; None: all."""
        if self.keep is None:
            return alive
        keep = self.keep[self._at(first, end)]
        return keep if alive is None else keep & alive

    @property
    def adds(self) -> bool:
        """Whether it does more than hide."""
        return bool(self.priors) or any(self.terms)

    def block(self, first: int, end: int) -> NDArray[np.float32]:
        """What is added to the logits of those keys (m, n), or (1, n) where it is the same for all."""
        at = self._at(first, end)
        rows = np.zeros((len(self.terms) if any(self.terms) else 1, end - first), np.float32)
        for prior in self.priors.values():
            rows += prior[at]
        for row, terms in zip(rows, self.terms, strict=False):
            for (keys, scores), worth in terms.values():
                part = slice(*np.searchsorted(keys, [first, end]))
                if self.heads is None:
                    row[keys[part] - first] += worth * scores[part]
                else:
                    said = np.zeros(end - first, np.float32)
                    said[keys[part] - first] = worth * scores[part]
                    row += said[self.heads[first:end] - first]
        return rows

    def _at(self, first: int, end: int) -> slice | NDArray[np.int64]:
        return slice(first, end) if self.heads is None else self.heads[first:end]

    def part(self, query: int, key: int) -> Added:
        """What was added to the logit of one query and one key."""
        key = key if self.heads is None else int(self.heads[key])
        said = {}
        for term, ((keys, scores), worth) in self.terms[query].items():
            at = int(np.searchsorted(keys, key))
            if at < len(keys) and keys[at] == key:
                said[term] = float(worth * scores[at])
        return Added(said, {field: float(prior[key]) for field, prior in self.priors.items()})
