"""What an answer consists of: hits, why each has its logit, and the trace that `explain` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.projections import Projections
from attnsearch.syntax.values import Value

if TYPE_CHECKING:
    from attnsearch.engines.bias import Added
    from attnsearch.engines.engine import Parts
    from attnsearch.search.readout import Readout
    from attnsearch.search.spelling import Correction

LIKELY = 0.5  # a null key with a greater weight has more of the attention than all items together


class Hit(NamedTuple):
    """An item that answers a query.

    `weight` is its softmax share among all items that no filter hides, `score` the cosine, with several heads the
    weighted mean of theirs. `passage` is the part of a long text that fits the query best, and gives the item its
    logit; None if that is the whole text. `catalog` is the name of its catalog.
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
    catalog: str = ""

    @property
    def name(self) -> str:
        """The title, or the id of an item that has none."""
        return self.title or self.id


class Word(NamedTuple):
    """A word of a text, its characters from `start` to before `stop`, and its `share`: what it adds to a logit."""

    word: str
    start: int
    stop: int
    share: float


class Sum(NamedTuple):
    """A logit as a sum over what the encoder read of a text: Σ shares of `words` + `marks` + `rounding`.

    `marks` are the encoder's own, such as [CLS]. `rounding` is what arithmetic lost between the words and the logit
    that the softmax saw: next to nothing in float32, about 0.01 if the stored vector was made in bfloat16.
    """

    text: str
    words: list[Word]
    marks: float
    rounding: float


class Why(NamedTuple):
    """A hit's logit, the one that the softmax saw, as a sum: semantic + Σ lexical + Σ prior + Σ memory.

    `semantic` = x W_Q W_Kᵀ kᵀ / √d_k is that logit without all that is added; `memory` is by judged request. It is
    a sum in turn, over the words of the `query` and over those of the `item`. Both are None if the encoder's vector
    is not a mean over word pieces; `query` is also None if the query is made of items. In a catalog with several heads,
    `semantic` is also the sum of what each of the `heads` adds, by the names of their models.
    """

    semantic: float
    lexical: Mapping[str, float]
    prior: Mapping[str, float]
    query: Sum | None
    item: Sum | None
    heads: Mapping[str, float] = {}
    memory: Mapping[str, float] = {}


class HeadTrace(NamedTuple):
    """A head of a catalog that has several: its model, the width d of its columns of x and X, its weight a_h.

    `tokens`, `window` and `prompt` are those of the head, as in `Trace`.
    """

    model: str
    d: int
    weight: float
    tokens: list[str]
    window: int
    prompt: str


class Trace(NamedTuple):
    """What the road computed on its way, for `explain`; d is the width, h counts hits, z are the logits of all keys.

    `tokens` are the word pieces of the query, of which the encoder reads `window` at most, behind its `prompt`; none
    without a text.
    `hit_keys` are the hits' keys by number, and `biases` what was added to the logit of each. x (d,) is the embedded
    query, q (d_k,) = x W_Q, `keys_shape` (n, d) that of X, `maximum` max z, `log_normalizer` log Σ exp z, and output
    (d,) = softmax(z) V. `keys` (h, d_k) and `values` (h, d) are the hits' rows of K = X W_K and V = X W_V, and
    `readings` the values that each hit has in each field that is read out. `heads` are those of a catalog that has
    several, in the order of their columns; `tokens`, `window` and `prompt` are then the first one's.
    """

    tokens: list[str]
    window: int
    projections: Projections
    hit_keys: list[int]
    biases: list[Added]
    x: NDArray[np.float32]
    q: NDArray[np.float32]
    keys_shape: tuple[int, int]
    maximum: float
    log_normalizer: float
    output: NDArray[np.float64]
    keys: NDArray[np.float32]
    values: NDArray[np.float32]
    readings: Sequence[Sequence[Sequence[float | str]]]
    heads: Sequence[HeadTrace] = ()
    prompt: str = ""


class Hint(NamedTuple):
    """The filter that a query with a name may mean: this many items have the word in the field."""

    field: str
    word: str
    items: int


class Unwanted(NamedTuple):
    """What a query says that it does not want: this many of its hits have the word in the field all the same."""

    field: str
    word: str
    hits: int


class Result(NamedTuple):
    """The answer to one query.

    `lexical` is λ, 0 if terms do not count; `trained` is True if the projections were learned. `items` counts all items
    of the catalog, `masked` those that are hidden: by a filter, or since the query was made of them. `emptied_by` says
    what hid the last of them, if none is left. `effective_items` is exp(entropy) of the weights: how many items share
    the attention. `none_of_these` is the null key's weight; None if none was fitted for the encoder. If asked for,
    `values` has a readout for each field, `output` (d,) is softmax(z) V, and `trace` is there. `whys`, one for each
    hit, are added by `explanation.reasons`, `hint` by `hints`, and `untrained` by `explanation.following`: the
    same hits, ranked without what was learned. `like` and `unlike` are the ids of the items that the query was made of;
    `query` names them if it has no text. `catalogs` are the names of all that were asked. `unreadable` says that
    nothing matches well because the encoder does not read the language of the query. `heads` are the models beside
    `model` of a catalog that has several heads. `recalled` are the judged requests that are like this one, the one with
    the largest share first, each with its share of the attention. `asked` is the query as it was read, if words of it
    were misspelled, and `corrections` are these words. `parts` say which other processes compared the keys; None if
    none did.
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
    emptied_by: str | None = None
    hint: Hint | Unwanted | None = None
    catalogs: Sequence[str] = ()
    like: Sequence[str] = ()
    unlike: Sequence[str] = ()
    untrained: Result | None = None
    unreadable: bool = False
    heads: Sequence[str] = ()
    recalled: Mapping[str, float] = {}
    asked: str | None = None
    corrections: Sequence[Correction] = ()
    parts: Parts | None = None

    @property
    def as_read(self) -> str:
        """The query as it was read: as it was typed, but for misspelled words."""
        return self.query if self.asked is None else self.asked

    @property
    def is_none_of_these(self) -> bool:
        """Whether the null key has more of the attention than all items together."""
        return is_likely(self.none_of_these)


def is_likely(none_of_these: float | None) -> bool:
    """Whether a null key with this weight has more of the attention than all items together."""
    return none_of_these is not None and none_of_these > LIKELY
