"""How a catalog is asked, resolved once per search: W_Q, τ, λ, the null key, mask and bias.

Axis letters: N = all keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention import null_key
from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import Projections, identity
from attnsearch.errors import InputError
from attnsearch.search.index import Index

if TYPE_CHECKING:
    from attnsearch.engines.bias import Bias
    from attnsearch.postings.filters import Filter
    from attnsearch.postings.terms import Term
    from attnsearch.storage.learned import Learned

LEXICAL = 0.3  # λ where neither the user nor training names another: it helped on every judged set tried


class Asked(NamedTuple):
    """A setting with everything that was left open filled in from the catalog.

    `learned` is what the projections come from, None for untrained ones; `lexical` is λ, 0 where terms do not count;
    `null` is None for an encoder that it was not fitted to; `bias` is None where nothing is added or hidden.
    """

    projections: Projections
    learned: Learned | None
    lexical: float
    null: NullKey | None
    bias: Bias | None


class Setting(NamedTuple):
    """How a user wants a catalog asked; what is None is as the catalog has it.

    `where` are filters that must all hold. `lexical` is λ, the weight of BM25; "auto" stands for the learned one, else
    for `LEXICAL`. `priors` has a weight for each field. `learned` replaces what the catalog has learned; `untrained`
    asks without it, and so do `projections`, which hold a temperature of their own.
    """

    projections: Projections | None = None
    where: tuple[Filter, ...] = ()
    lexical: float | Literal["auto"] | None = None
    priors: Mapping[str, float] = {}
    temperature: float | None = None
    learned: Learned | None = None
    untrained: bool = False

    def resolve(self, index: Index, texts: Sequence[str]) -> Asked:
        """What the setting means for this catalog and these requests.

        Raises InputError for projections that were learned for another encoder, for a field that no item has, and for a
        prior without numbers.
        """
        learned = self._learned(index)
        lexical = self._lexical(index, learned)
        bias = None
        if self.where or lexical or self.priors:
            bias = bias_of(index, texts, self.where, lexical, self.priors)
        fitted = null_key.FITTED.get(index.info.sha256)
        null = learned.null if learned and learned.null else fitted
        return Asked(self._projections(index, learned), learned, lexical, null, bias)

    def _learned(self, index: Index) -> Learned | None:
        if self.untrained or self.projections:
            return None
        if self.learned is None:
            return index.learned
        if self.learned.suits(index.info.sha256, index.info.d):
            return self.learned
        hint = "take those of a catalog with the same model, or none: --untrained"
        has = f"{index.info.model} ({index.info.sha256[:12]}…, {index.info.d} wide)"
        wants = f"{self.learned.model} ({self.learned.sha256[:12]}…, {len(self.learned.w)} wide)"
        raise InputError(f"has {has}, and the projections were learned for {wants}", where=index.info.name, hint=hint)

    def _projections(self, index: Index, learned: Learned | None) -> Projections:
        if self.projections:
            return self.projections
        if learned is None:
            return identity(index.info.d, index.info.temperature if self.temperature is None else self.temperature)
        return (learned if self.temperature is None else learned._replace(temperature=self.temperature)).projections

    def _lexical(self, index: Index, learned: Learned | None) -> float:
        """λ: the setting's, else the catalog's; where neither is a number, the learned one, if there is one."""
        weight = index.info.lexical if self.lexical is None else self.lexical
        if self.lexical in (None, "auto") and weight and learned and learned.lexical is not None:
            return learned.lexical
        return LEXICAL if weight == "auto" else weight


DEFAULT = Setting()


def bias_of(
    index: Index, texts: Sequence[str], where: Sequence[Filter], lexical: float, priors: Mapping[str, float]
) -> Bias:
    """The bias of the requests: filters that must all hold, λ, and the weight of each prior field.

    Raises InputError for a field that no item has, and for a prior without numbers.
    """
    from attnsearch.engines.bias import Bias  # which most queries do without

    index.postings.ensure([*(condition.field for condition in where), *priors], terms=bool(lexical))
    size = index.store.size
    keep = None
    for condition in where:
        holds = np.zeros(size, bool)
        holds[index.postings.select_keys(condition)] = True
        holds = ~holds if condition.op == "!=" else holds
        keep = holds if keep is None else keep & holds
    return Bias(
        heads=index.store.heads,
        keep=keep,
        terms=[_weighted_terms(index, text, lexical) if lexical else {} for text in texts],
        priors={field: np.float32(weight) * _ranks(index, field, size) for field, weight in priors.items()},
    )


def _weighted_terms(index: Index, text: str, lexical: float) -> dict[str, tuple[Term, float]]:
    """The terms of a request, by the first word it has for each; a term that it repeats counts as often."""
    from attnsearch.postings.terms import split_terms

    pairs = split_terms(text)
    words = {term: word for word, term in reversed(pairs)}
    counts = Counter(term for _, term in pairs)
    postings = ((words[term], index.postings.find_term(term), count) for term, count in counts.items())
    return {word: (term, lexical * count) for word, term, count in postings if term}


def _ranks(index: Index, field: str, size: int) -> NDArray[np.float32]:
    """The rank (N,) of each item's number, or date, among all that have one, from -1/2 to 1/2; 0 for those without.

    Of several numbers of an item the highest counts; equal ones share their ranks.
    """
    measured = index.postings.read_measured(field)
    if measured is None:
        hint = "give --prior a field of numbers or dates"
        raise InputError(f"the field '{field}' has no numbers", hint=hint)
    numbers, group = np.unique(measured.numbers, return_inverse=True)
    place = np.full(size, -1)
    place[measured.keys] = np.repeat(group, measured.counts)  # of several the last stays: the highest
    has = place >= 0
    count = np.bincount(place[has], minlength=len(numbers))
    ranks = np.zeros(size, np.float32)
    ranks[has] = ((np.cumsum(count) - count / 2) / count.sum() - 0.5)[place[has]]
    return ranks
