"""Queries and a setting → the state of attention after every key of the catalog, in one pass.

Axis letters: m = queries, N = all keys, d = width.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch import threads
from attnsearch.attention import null_key
from attnsearch.attention.projections import Projections, identity
from attnsearch.attention.softmax import State, best_of_each, logits
from attnsearch.errors import InputError
from attnsearch.search.index import Index
from attnsearch.storage.store import BLOCK

if TYPE_CHECKING:
    from attnsearch.engines.bias import Bias
    from attnsearch.postings.filters import Filter
    from attnsearch.storage.learned import Learned

WEIGHT = 0.3  # λ of the bias where nothing is said or learned of it: it helped on every judged set tried

_LOGITS = 1 << 22  # logits that a thread holds at once: 16 MB
_PARTS = 4  # of the keys, for each thread: whoever is done early takes another
_SPARSE = 1 / 8  # of a block's keys are seen: fewer are copied out before they are compared


class Setting(NamedTuple):
    """How a catalog is asked; what is None is as the catalog has it.

    `where` are filters that must all hold, `lexical` is λ, the weight of BM25, "auto" for the learned one, else
    `WEIGHT`; `priors` has a weight for each field. `learned` takes the place of what the catalog has learned, and
    `untrained` asks without it; so do `projections`, which have a temperature of their own.
    """

    projections: Projections | None = None
    where: tuple[Filter, ...] = ()
    lexical: float | Literal["auto"] | None = None
    priors: Mapping[str, float] = {}
    temperature: float | None = None
    learned: Learned | None = None
    untrained: bool = False


DEFAULT = Setting()


class Seen(NamedTuple):
    """What m queries saw of all keys.

    x (m, d) are the queries, `state` that of the attention, `nothing` (m,) the null key's weight, None for an encoder
    that has none. `logits` (m, N) are those of all keys by number, -inf where a query does not see one, and for all
    but the best key of each item; None unless asked for.
    """

    projections: Projections
    x: NDArray[np.float32]
    bias: Bias | None
    state: State
    nothing: NDArray[np.float64] | None
    logits: NDArray[np.float32] | None


def look(
    index: Index,
    texts: Sequence[str],
    setting: Setting = DEFAULT,
    *,
    k: int = 0,
    output: bool = False,
    all_logits: bool = False,
) -> Seen:
    """What the queries see; the state with the `k` best keys of each and, if asked for, its output.

    Raises InputError for a field that no item has, or for what was learned for another encoder.
    """
    projections = projections_of(index, setting)
    x = index.encoder.encode(texts, "query")
    bias = _bias(index, texts, setting)
    z = np.full((len(x), index.store.size), -np.inf, np.float32) if all_logits else None
    state, plain = scan(index, projections, x, k=k, output=output, bias=bias, into=z)
    null = _null_key(index, setting)
    chance = null and null_key.chance(null, plain.maximum, plain.log_normalizer(), plain.kept)
    return Seen(projections, x, bias, state, chance, z)


def learned_of(index: Index, setting: Setting) -> Learned | None:
    """What was learned that the catalog is asked with, if anything.

    Raises InputError where the setting has what was learned for another encoder.
    """
    if setting.untrained or setting.projections:
        return None
    learned = setting.learned
    if learned is None:
        return index.learned
    if not learned.suits(index.info.sha256, index.info.d):
        hint = "take those of a catalog with the same model, or none: --untrained"
        what = f"{learned.model} ({learned.sha256[:12]}…, {len(learned.w)} wide)"
        has = f"{index.info.model} ({index.info.sha256[:12]}…, {index.info.d} wide)"
        raise InputError(f"has {has}, and the projections were learned for {what}", where=index.info.name, hint=hint)
    return learned


def projections_of(index: Index, setting: Setting) -> Projections:
    """W_Q, W_K and W_V: those of the setting, else what was learned, else the identity."""
    if setting.projections:
        return setting.projections
    learned, temperature = learned_of(index, setting), setting.temperature
    if learned is None:
        return identity(index.info.d, index.info.temperature if temperature is None else temperature)
    return (learned if temperature is None else learned._replace(temperature=temperature)).projections


def weight_of(index: Index, setting: Setting) -> float:
    """λ: as the setting says, else as the catalog does; where neither names a number, the learned one, if any."""
    weight = index.info.lexical if setting.lexical is None else setting.lexical
    named = setting.lexical not in (None, "auto")
    if not named and weight and (learned := learned_of(index, setting)) and learned.lexical is not None:
        return learned.lexical
    return WEIGHT if weight == "auto" else weight


def _null_key(index: Index, setting: Setting) -> null_key.NullKey | None:
    learned = learned_of(index, setting)
    return (learned and learned.null) or null_key.FITTED.get(index.info.sha256)


def _bias(index: Index, texts: Sequence[str], setting: Setting) -> Bias | None:
    weight = weight_of(index, setting)
    if not (setting.where or weight or setting.priors):
        return None
    from attnsearch.engines import bias  # most queries have none

    return bias.of(index, texts, setting.where, weight, setting.priors)


def scan(
    index: Index,
    projections: Projections,
    x: NDArray[np.float32],
    *,
    k: int = 0,
    output: bool = False,
    bias: Bias | None = None,
    into: NDArray[np.float32] | None = None,
) -> tuple[State, State]:
    """The state of the queries x (m, d) after all keys, and one of their plain logits, cosine / 0.05.

    The second has no top and no output. With `into` (m, N) it holds all logits afterwards.
    """
    usual = identity(index.info.d)
    as_usual = np.array_equal(projections.w_q, usual.w_q) and np.array_equal(projections.w_k, usual.w_k)
    asked = (projections,) if as_usual else (projections, usual)  # of both at once: the keys are read but once
    q = np.concatenate([w.fold(x) * w.scale for w in asked], dtype=np.float32)
    m = len(x)
    one = as_usual and not (bias and bias.adds)  # and so one state is enough
    rows = max(min(BLOCK, _LOGITS // max(len(q), 1)), 1)

    empty = State.empty(len(x), k, index.info.d if output else None), State.empty(len(x), 0)
    least = empty[0].least()  # shared: k good keys found by one thread spare the others lesser ones

    def over(part: tuple[int, int]) -> tuple[State, State]:
        state, plain = empty
        for first, keys, alive, joined in index.store.blocks(*part, rows=rows):
            span = first, first + len(keys)
            mask = alive if bias is None else bias.mask(*span, alive)
            kept = None if mask is None or joined is not None else np.flatnonzero(mask)
            both = _compare(q, keys, kept)
            if joined is not None:  # for plain logits another passage may be an item's best
                both = best_of_each(both if mask is None else np.where(mask, both, -np.inf), joined)
            z, z_plain = both[:m], both[-m:]
            if not one:
                plain = plain.merge(State.of(z_plain, k=0))
            if bias is not None and bias.adds:
                added = bias.block(*span)
                z = z + (added if kept is None else added[:, kept])
            if into is not None:
                into[:, slice(*span) if kept is None else first + kept] = z
            v = None if not output else keys if kept is None else keys[kept]
            state = state.merge(State.of(z, v, k=k, first=first, columns=kept, least=least))
            np.maximum(least, state.least(), out=least)
        return state, plain

    parts = index.store.parts(_PARTS * threads.count(), least=max(BLOCK // max(len(x), 1), 1))
    found = [empty, *threads.each(over, parts)]
    state, plain = (functools.reduce(State.merge, states) for states in zip(*found, strict=True))
    return state, state if one else plain


def _compare(q: NDArray[np.float32], keys: NDArray[np.float32], kept: NDArray[np.int64] | None) -> NDArray[np.float32]:
    """The products (m, n) with a block's keys, or with those in the rows `kept` (n,); if these are few, no other."""
    if kept is not None and len(kept) < _SPARSE * len(keys):
        return logits(q, keys[kept], scale=1)
    z = logits(q, keys, scale=1)
    return z if kept is None else z[:, kept]
