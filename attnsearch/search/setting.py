"""How a catalog is asked, resolved once per search: W_Q, τ, λ, the null key, mask and bias.

Axis letters: N = all keys.

A `Setting` is what the user asks for, and mostly None; `Setting.resolve` completes it from the catalog and gives an
`Asked`, in which nothing is open. Everything after works with that alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention import null_key
from attnsearch.attention.null_key import NullKey
from attnsearch.attention.projections import TEMPERATURE, Projections, identity
from attnsearch.errors import InputError
from attnsearch.opening.index import Index
from attnsearch.search.self_attention import Likeness, read_likeness
from attnsearch.search.spelling import Reading, read_requests
from attnsearch.storage.segment import first_of_several, plain_weights

if TYPE_CHECKING:
    from attnsearch.calibration.fit_file import Fit
    from attnsearch.engines.bias import Bias, WeightedTerm
    from attnsearch.models.record import Head
    from attnsearch.postings.conditions import Where
    from attnsearch.search.memory import Memory
    from attnsearch.storage.database import Info
    from attnsearch.storage.learned import Learned, Remembered

LEXICAL = 0.3  # λ unless the user, the catalog or training gives another: it helped on every judged set tried
MAX_LEXICAL = 1000  # λ that a user may ask for
LARGEST = 1e30  # of a logit, and of what is added to it: the sums of a softmax stay finite in float32


class Asked(NamedTuple):
    """A setting, resolved: everything that `score` needs besides the texts' embeddings.

    `projections` are W_Q, W_K, W_V and τ. They come from `learned`, or are untrained if that is None. `lexical` is λ, 0
    if terms do not count. `null` is the null key; None if none was fitted for the encoder, or if queries are made of
    items. `bias` holds filters, terms and priors of these very texts, by key number; None if nothing is added and
    nothing hidden. `likeness` are the items that queries are to be like or unlike, `memory` are judged requests, and
    `first` is the first of several heads, the one that the null key is of; each is None without any. `readings` are
    the texts as they are read.
    """

    projections: Projections
    learned: Learned | None
    lexical: float
    null: NullKey | None
    bias: Bias | None
    likeness: Likeness | None = None
    first: Head | None = None
    memory: Memory | None = None
    readings: Sequence[Reading] = ()

    @property
    def plain_temperature(self) -> float:
        """The temperature of the plain logits, by which the null key weighs the items."""
        return self.null.temperature if self.null else TEMPERATURE

    @property
    def texts(self) -> list[str]:
        """The texts as they are read."""
        return [reading.text for reading in self.readings]

    def corrected(self, texts: Sequence[str]) -> dict[str, str]:
        """Those of the texts in which words are misspelled, each as it is read."""
        pairs = zip(texts, self.readings, strict=True)
        return {text: reading.text for text, reading in pairs if reading.corrections}


class Setting(NamedTuple):
    """How the user wants a catalog asked; None leaves a choice to the catalog.

    projections   W_Q, W_K and W_V, with a temperature of their own, in place of learned ones
    where         filters; an item must pass them all
    lexical       λ, the weight of BM25 in logits; "auto" is the learned one, else `LEXICAL`
    priors        the weight, in logits, of each prior field
    temperature   τ, in place of the learned one, else of the catalog's
    learned       what another catalog has learned, in place of what this one has
    untrained     whether to ask without anything learned
    like          ids of items that the query is to be like, beside its text or alone; they are masked
    unlike        ids of items that it is to be unlike; they are masked too
    spell         whether misspelled words are read as those that they probably stand for; they are by default
    """

    projections: Projections | None = None
    where: tuple[Where, ...] = ()
    lexical: float | Literal["auto"] | None = None
    priors: Mapping[str, float] = {}
    temperature: float | None = None
    learned: Learned | None = None
    untrained: bool = False
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    spell: bool | None = None

    def resolve(self, index: Index, texts: Sequence[str]) -> Asked:
        """What the setting means for this catalog and these requests.

        Raises InputError for projections that were learned for another encoder, for a field that no item has, for a
        prior without numbers, for a λ or a prior's weight that is not a number up to `LARGEST`, for a temperature that
        is not a finite number above 0, for items that are not there, and for λ without a text.
        """
        learned = self._choose_learned(index)
        lexical = self._choose_lexical(index, learned)
        if (self.like or self.unlike) and not any(texts):  # terms are a text's
            if self.lexical:
                raise InputError("--lexical counts the words of a TEXT, and there is none", hint="give a TEXT")
            lexical = 0.0
        for name, weight in {"λ": lexical, **self.priors}.items():
            if not abs(weight) <= LARGEST:  # NaN included
                raise InputError(f"invalid weight {weight:g} of {name}", hint="give it a smaller number, such as 0.5")
        likeness = read_likeness(index, self.like, self.unlike)
        readings = [Reading(text) for text in texts] if self.spell is False else read_requests(index, texts)
        texts = [reading.text for reading in readings]
        bias = None
        if self.where or lexical or self.priors or likeness:
            hidden = () if likeness is None else likeness.first_keys
            bias = bias_of(index, texts, self.where, lexical, self.priors, hidden)
        null = None
        if likeness is None:  # it was fitted to texts
            null = learned.null if learned and learned.null else usual_null_key(plain_weights(index.info), index.fit)
        memory = None if likeness else self._choose_memory(index, bias)
        first = first_of_several(index.info)
        projections = self._choose_projections(index, learned)
        return Asked(projections, learned, lexical, null, bias, likeness, first, memory, readings)

    def _choose_learned(self, index: Index) -> Learned | None:
        if self.untrained or self.projections:
            return None
        if self.learned is None or self.learned.suits(index.info):
            return self.learned or index.learned
        hint = "use those of a catalog with the same model, prompts and heads, or none: --untrained"
        if (self.learned.sha256, self.learned.d) == (index.info.sha256, index.info.d):
            message = f"the projections were learned for another prompt, tokenizer or head of {index.info.model}"
            raise InputError(message, where=index.info.name, hint=hint)
        has = f"{index.info.model} ({index.info.sha256[:12]}…, {index.info.d} wide)"
        wants = f"{self.learned.model} ({self.learned.sha256[:12]}…, {self.learned.d} wide)"
        raise InputError(f"has {has}, but the projections were learned for {wants}", where=index.info.name, hint=hint)

    def memories(self, index: Index) -> Sequence[Remembered | None]:
        """The judged requests that each catalog remembers, or those in the file that the user names."""
        return [] if self.untrained or self.projections else index.memories(self.learned)

    def _choose_memory(self, index: Index, bias: Bias | None) -> Memory | None:
        if not any(memories := self.memories(index)):
            return None
        from attnsearch.search import memory  # which most queries do without

        return memory.gather_memory(index, memories, bias)

    def _choose_projections(self, index: Index, learned: Learned | None) -> Projections:
        if self.projections:
            return self.projections
        temperature = self.temperature
        if temperature is None:
            temperature = default_temperature(index.info, learned, index.fit)
        if learned is None:
            return identity(index.info.d, temperature)
        return learned.projections(temperature)

    def _choose_lexical(self, index: Index, learned: Learned | None) -> float:
        """λ: the user's number; for "auto", the learned one, else `LEXICAL`; without either, the catalog's default."""
        if self.lexical is None:
            return default_lexical(index.lexical, learned)
        if self.lexical != "auto":
            return self.lexical
        return LEXICAL if learned is None or learned.lexical is None else learned.lexical


def default_temperature(info: Info, learned: Learned | None, fit: Fit | None) -> float:
    """The temperature of a query that names none: the learned one, else the usual one."""
    return usual_temperature(info, fit) if learned is None or learned.temperature is None else learned.temperature


def usual_temperature(info: Info, fit: Fit | None) -> float:
    """The temperature of a catalog that has learned none: the encoder's, by its fit, else the catalog's."""
    return fit.temperature if fit else info.temperature


def usual_null_key(sha256: str, fit: Fit | None) -> NullKey | None:
    """The null key of a catalog that has learned none: that of the fit, else the one shipped for these weights."""
    return fit.null if fit else null_key.FITTED.get(sha256)


def default_lexical(lexical: float, learned: Learned | None) -> float:
    """λ of a query that names none: `lexical`, the catalog's, or the learned one if either says that words count."""
    if learned and learned.lexical is not None and (lexical or learned.is_lexical):
        return learned.lexical
    return lexical


DEFAULT = Setting()


def bias_of(
    index: Index,
    texts: Sequence[str],
    where: Sequence[Where],
    lexical: float,
    priors: Mapping[str, float],
    hidden: Sequence[int] | NDArray[np.int64] = (),
) -> Bias:
    """The bias of the requests: filters that an item must all pass, λ, and the weight of each prior field.

    `hidden` are first keys of items that no filter lets through. Raises InputError for a field that no item has, and
    for a prior without numbers.
    """
    from attnsearch.engines.bias import Bias  # which most queries do without

    if where or lexical or priors:
        index.postings.ensure([*_filtered_fields(where), *priors], terms=bool(lexical))
    visible = None
    if where or len(hidden):
        visible = find_passing(index, where)
        visible[np.asarray(hidden, np.int64)] = False
    return Bias(
        first_keys=index.store.first_keys,
        visible=visible,
        terms=[*_weighted_terms(index, texts, lexical)] if lexical else [{} for _ in texts],
        priors={field: np.float32(weight) * _prior_ranks(index, field) for field, weight in priors.items()},
    )


def find_passing(index: Index, where: Sequence[Where]) -> NDArray[np.bool_]:
    """Which first keys (N,) are those of items that pass all filters. InputError for a field that no item has."""
    if where:
        index.postings.ensure(_filtered_fields(where))  # all of them in one pass over the items
    passing = np.ones(index.store.size, bool)
    for tree in where:
        passing &= passing_of(index, tree)
    return passing


def _filtered_fields(where: Sequence[Where]) -> list[str]:
    from attnsearch.postings.conditions import filters_of

    return [item_filter.field for tree in where for item_filter in filters_of(tree)]


def passing_of(index: Index, tree: Where) -> NDArray[np.bool_]:
    """Which first keys (N,) are those of items for which a tree of filters holds."""
    from attnsearch.postings.conditions import Combined

    if isinstance(tree, Combined):
        passing = passing_of(index, tree.parts[0])
        for part in tree.parts[1:]:
            if tree.op == "and":
                passing &= passing_of(index, part)
            else:
                passing |= passing_of(index, part)
        return ~passing if tree.op == "not" else passing
    selected = np.zeros(index.store.size, bool)
    selected[index.postings.select_keys(tree)] = True
    return ~selected if tree.op == "!=" else selected


def _weighted_terms(index: Index, texts: Sequence[str], lexical: float) -> Iterator[dict[str, WeightedTerm]]:
    """The terms of each request that some item has, by the first word for each; a repeated term counts again."""
    from attnsearch.engines.bias import WeightedTerm
    from attnsearch.postings.terms import split_terms

    find_term = cache(index.postings.find_term)  # what several requests have is there once, and sent once
    for text in texts:
        pairs = split_terms(text, index.language)
        first_words = {term: word for word, term in reversed(pairs)}
        counted = {name: (find_term(name), count) for name, count in Counter(term for _, term in pairs).items()}
        yield {first_words[name]: WeightedTerm(term, lexical * n) for name, (term, n) in counted.items() if term}


def _prior_ranks(index: Index, field: str) -> NDArray[np.float32]:
    """The rank (N,) of each item's number or date among all that have one, from -1/2 to 1/2; 0 for items without.

    If an item has several numbers, the highest counts. Equal numbers share their ranks.
    """
    measured = index.postings.read_measured(field)
    if measured is None:
        hint = "give --prior a field of numbers or dates"
        raise InputError(index.postings.describe_unmeasured(field), hint=hint)
    numbers, group = np.unique(measured.numbers, return_inverse=True)
    group_of = np.full(index.store.size, -1)
    group_of[measured.keys] = np.repeat(group, measured.counts)  # ascending, so an item's highest number is the last
    has_number = group_of >= 0
    count = np.bincount(group_of[has_number], minlength=len(numbers))
    ranks = np.zeros(index.store.size, np.float32)
    ranks[has_number] = ((np.cumsum(count) - count / 2) / count.sum() - 0.5)[group_of[has_number]]
    return ranks
