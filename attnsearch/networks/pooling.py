"""The hidden states of a text's tokens → one vector.

Axis letters, in every shape below:
    n = texts    t = tokens    d = width

Reimers & Gurevych 2019, section 3: https://arxiv.org/abs/1908.10084
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""What sentence-transformers calls the ways to pool, in the order of its older configurations."""

MEANS = ("mean", "weightedmean")
"""Those that make a sum of all tokens, with shares that add up to 1."""


def pool(hidden: Floats, mask: NDArray[np.bool_], modes: Sequence[str]) -> Floats:
    """One vector (n, d · modes) of each text's hidden states (n, t, d), those of several modes one behind the other.

    `mask` (n, t) is True for the tokens that count.

    >>> states = np.array([[[1.0], [4.0], [7.0], [9.0]]], np.float32)
    >>> pool(states, np.array([[True, True, True, False]]), MODES).round(3).tolist()
    [[1.0, 7.0, 4.0, 6.927999973297119, 5.0, 7.0]]
    """
    vectors = [_pool(hidden, mask, mode) for mode in modes]
    return vectors[0] if len(vectors) == 1 else np.concatenate(vectors, axis=1)


def shares(mask: NDArray[np.bool_], mode: str) -> Floats:
    """How much each token's state counts (n, t) in one of the `MEANS`; 0 where `mask` (n, t) is False."""
    counts = _count(mask, mode)
    share: Floats = counts / counts.sum(axis=1, keepdims=True).clip(1)
    return share


def _pool(hidden: Floats, mask: NDArray[np.bool_], mode: str) -> Floats:
    """The vector (n, d) of one mode."""
    if mode == "max":
        highest: Floats = np.where(mask[..., None], hidden, np.float32(-np.inf)).max(axis=1)
        return highest
    if mode in ("cls", "lasttoken"):
        place = mask.argmax(axis=1) if mode == "cls" else mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
        state: Floats = hidden[np.arange(len(hidden)), place]
        return state
    counts = _count(mask, mode)[..., None]
    total = counts.sum(axis=1).clip(1)  # of a text without tokens that count, the vector is 0
    mean: Floats = (hidden * counts).sum(axis=1) / (np.sqrt(total) if mode == "mean_sqrt_len_tokens" else total)
    return mean


def _count(mask: NDArray[np.bool_], mode: str) -> Floats:
    """How often each token counts (n, t): once, or by its place, as Muennighoff 2022 does.

    https://arxiv.org/abs/2202.08904
    """
    counts = mask.astype(np.float32)
    if mode == "weightedmean":
        counts *= np.arange(1, mask.shape[1] + 1, dtype=np.float32)
    return counts
