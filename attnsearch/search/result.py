"""What an answer consists of: hits, the trace of how they came about, and why each has its logit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.projections import Projections
from attnsearch.sources.values import Value

if TYPE_CHECKING:
    from attnsearch.engines.bias import Added
    from attnsearch.search.readout import Readout

LIKELY = 0.5  # a null key with more of the attention than all items together is believed


class Hit(NamedTuple):
    """An item that attention turns to. `weight` is its share among all unmasked items, `score` the cosine.

    `passage` is the part of a long text that the request met, by which the item is judged; None where it is all of it.
    """

    rank: int
    id: str
    title: str
    weight: float
    score: float
    logit: float
    description: str
    fields: Mapping[str, Value]
    passage: str | None = None


class Word(NamedTuple):
    """A word of a text, its characters from `start` to before `stop`, and what it adds to a logit."""

    word: str
    start: int
    stop: int
    share: float


class Sum(NamedTuple):
    """A logit as a sum over what the encoder read of a text: Σ shares of `words` + `marks` + `rounding`.

    `rounding` is what arithmetic lost between the words and the logit that the softmax saw: next to nothing in float32,
    a hundredth where the stored vector was made in bfloat16.
    """

    text: str
    words: list[Word]
    marks: float
    rounding: float


class Why(NamedTuple):
    """A hit's logit, the one that the softmax saw, as a sum: semantic + Σ lexical + Σ prior.

    `semantic` = x W_Q W_Kᵀ kᵀ / √d_k is that logit without the bias. It is a sum again, by the query's words and by the
    item's; these are None where the encoder's vector is not a mean over word pieces.
    """

    semantic: float
    lexical: Mapping[str, float]
    prior: Mapping[str, float]
    query: Sum | None
    item: Sum | None


class Trace(NamedTuple):
    """What the road computed on its way, kept for `explain`; d is the width.

    `hit_keys` are the numbers of the hits' keys, and `biases` the hits' own, in their order. x (d,) the embedded query,
    q (d_k,) = x W_Q, `keys` the shape (n, d) of X, `maximum` max z and `log_normalizer` log Σ exp z over all keys,
    output (d,) = softmax(z) V.
    """

    tokens: list[str]
    window: int
    projections: Projections
    hit_keys: list[int]
    biases: list[Added]
    x: NDArray[np.float32]
    q: NDArray[np.float32]
    keys: tuple[int, int]
    maximum: float
    log_normalizer: float
    output: NDArray[np.float64]


class Result(NamedTuple):
    """The answer to one query.

    `lexical` is λ, 0 where terms do not count; `trained` that the projections were learned. `items` counts the catalog,
    `masked` those of them that were hidden. `effective_items` is exp(entropy) of the weights: how many items share the
    attention. `none_of_these` is the null key's weight, None for an encoder that it was not fitted to. `values` are the
    fields that were to be read out, `output` (d,) is softmax(z) V, if asked for. `whys`, one for each hit, are what
    `reasons` adds.
    """

    query: str
    catalog: str
    model: str
    temperature: float
    items: int
    masked: int
    none_of_these: float | None
    effective_items: float
    elapsed_ms: float
    hits: list[Hit]
    lexical: float = 0.0
    values: Sequence[Readout] = ()
    output: NDArray[np.float64] | None = None
    trace: Trace | None = None
    whys: Sequence[Why] | None = None
    trained: bool = False

    @property
    def is_none_of_these(self) -> bool:
        """Whether the null key has more of the attention than all items together."""
        return self.none_of_these is not None and self.none_of_these > LIKELY
