"""Memory: attention over judged requests, beside that over the items.

Axis letters: m = queries, j = judged requests, i = items, e = value width.

Judged requests are keys x_j, and what was right for them the values. A null key with the logit θ/τ stands for "like
none of them":

    s = softmax([x·x_1/τ, x·x_2/τ, …, θ/τ])
    p = (1 - μ Σ_j s_j) · softmax(z) + μ Σ_j s_j · right_j

So a request that is like no judged one is left alone. Without the null key, θ → -∞, this is the interpolation of
Khandelwal et al. 2020, https://arxiv.org/abs/1911.00172, equation (3); a share of memory that depends on the request
follows He et al. 2021, https://arxiv.org/abs/2109.04212. p is a softmax too, of higher logits: with m = μ Σ_j s_j ·
right_j and Z = Σ exp z,

    z'_i = log(exp z_i + Z · m_i / (1 - μ Σ_j s_j))

Only the items that were right for some judged request change. A judged request for which nothing is right raises no
item: its share of the attention goes to the null key of the catalog, see `share_of_none`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.softmax import State

OFF = -9.0  # a threshold or margin that has no effect

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]


class Recall(NamedTuple):
    """How far judged requests are followed: `most` is μ, from 0 to below 1, `temperature` τ, `threshold` θ, a cosine.

    The `margin` δ, a cosine too, is how much nearer than the items judged requests must be: the items compete with them
    as one more key, which has the logit log Σ exp(x·item/0.05) + δ/τ. `OFF`, far below any cosine, leaves out the null
    key, or the competition of the items.
    """

    most: float
    temperature: float
    threshold: float
    margin: float = OFF

    def as_dict(self) -> dict[str, float | None]:
        """Its numbers by name; None for a θ or δ that leaves its key out.

        >>> Recall(0.9, 0.02, 0.85).as_dict()
        {'most': 0.9, 'temperature': 0.02, 'threshold': 0.85, 'margin': None}
        """
        return {name: None if number < -1 else number for name, number in self._asdict().items()}


# By the SHA-256 of an encoder's weights, since each encoder has its own distribution of cosines. Measured on five sets,
# see docs/learning.md: ten judged requests take nothing from others, and near paraphrases of these are answered alike.
CAREFUL = {
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db": Recall(0.9, 0.02, 0.85),  # all-MiniLM-L6-v2
}
_ALMOST_EQUAL = Recall(0.9, 0.01, 0.95)  # for an encoder that was not measured


def careful_recall(sha256: str) -> Recall:
    """How judged requests are followed without a training: by the same request, and by near paraphrases."""
    return CAREFUL.get(sha256, _ALMOST_EQUAL)


def attend_requests(similarities: Floats, recall: Recall, items: Doubles | None = None) -> Doubles:
    """The share (m, j) of a query's attention that each judged request gets, μ s, from their cosines (m, j).

    `items` (m,) is log Σ exp(x·item/0.05) over the visible items, untrained. Without it the items do not compete.

    >>> attend_requests(np.array([[0.9, 0.9, 0.5]]), Recall(0.75, 0.001, 0.9)).round(6).tolist()
    [[0.25, 0.25, 0.0]]
    """
    return share_attention(request_logits(similarities, recall, items), recall.most)


def request_logits(similarities: Floats, recall: Recall, items: Doubles | None = None) -> Doubles:
    """The logits (m, j) of judged requests, from their cosines (m, j), minus that of the null key beside them.

    So judged requests with different recalls can share one softmax, in which the null key has the logit 0. `items` (m,)
    is as in `attend_requests`.
    """
    _, temperature, threshold, margin = recall
    null = np.full((len(similarities), 1), threshold / temperature)
    if items is not None:
        null = np.logaddexp(null, items[:, None] + margin / temperature)
    logits: Doubles = similarities.astype(np.float64) / temperature - null
    return logits


def share_attention(logits: Doubles, most: Doubles | float) -> Doubles:
    """μ s (m, j) from what `request_logits` returns (m, j); `most` is μ, of all or of each (j,)."""
    top = np.maximum(logits.max(axis=1, initial=0.0, keepdims=True), 0.0)
    z_exp = np.exp(logits - top)
    shares: Doubles = most * z_exp / (z_exp.sum(axis=1, keepdims=True) + np.exp(-top))
    return shares


def raise_logits(z: Floats, log_normalizer: Doubles, mass: Doubles, shares: Doubles) -> Doubles:
    """The logits z' (m, i) of items with logits z (m, i), of which memory holds `mass` (m, i) = Σ_j shares · right_j.

    `log_normalizer` (m,) is log Σ exp z over all items, `shares` (m, j) what `attend_requests` returns. A hidden item,
    with the logit -inf, stays hidden; without mass, a logit stays as it is, to the last bit.

    >>> z = np.log(np.array([[3.0, 1.0]]))  # weights 3/4 and 1/4; memory has a quarter, all on the second
    >>> raised = raise_logits(z, np.log([4.0]), np.array([[0.0, 0.25]]), np.array([[0.25]]))
    >>> (np.exp(raised) / np.exp(raised).sum()).round(6).tolist()  # 3/4 · (3/4, 1/4) + 1/4 · (0, 1)
    [[0.5625, 0.4375]]
    """
    z = z.astype(np.float64)
    base = log_normalizer - np.log1p(-shares.sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        raised = np.logaddexp(z, base[:, None] + np.log(mass))
    return np.where(np.isneginf(z) | (mass <= 0), z, raised)


def raise_state(state: State, z: Doubles, raised: Doubles, v: Floats | None = None) -> State:
    """The state after some of its keys, with logits z (m, i), have `raised` ones (m, i), and values v (i, e).

    Maximum, sums and output are those of all keys; the top is left as it was. A key may be -inf in both: hidden.
    """
    maximum = np.maximum(state.maximum, raised.max(axis=1, initial=-np.inf))
    base = np.where(np.isneginf(maximum), 0.0, maximum)
    shift = np.where(np.isneginf(state.maximum), 0.0, state.maximum - base)
    a = np.exp(shift)
    before, after = z - base[:, None], raised - base[:, None]
    before_exp, after_exp = np.exp(before), np.exp(after)
    with np.errstate(invalid="ignore"):  # 0 · -inf
        moments = np.nan_to_num(after_exp * after) - np.nan_to_num(before_exp * before)
    output = state.output
    if output is not None and v is not None:
        output = a[:, None] * output + (after_exp - before_exp) @ v.astype(np.float64)
    return state._replace(
        maximum=maximum,
        total=a * state.total + (after_exp - before_exp).sum(axis=1),
        moment=a * (state.moment + shift * state.total) + moments.sum(axis=1),
        output=output,
    )


def share_of_none(chance: Doubles, shares: Doubles, answered: NDArray[np.bool_]) -> Doubles:
    """The chance (m,) that nothing answers, where `chance` (m,) is that without memory.

    `shares` (m, j) is what `attend_requests` returns. Judged requests that nothing answers, those not `answered` (j,),
    vote for it, all others against it.

    >>> share_of_none(np.array([0.5]), np.array([[0.5, 0.25]]), np.array([True, False])).tolist()
    [0.375]
    """
    result: Doubles = (1 - shares.sum(axis=1)) * chance + shares[:, ~answered].sum(axis=1)
    return result
