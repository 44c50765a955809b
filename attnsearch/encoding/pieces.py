"""A text's vector as a sum over its word pieces, so that any logit is a sum over the text's words.

Axis letters: t = word pieces, d = width.

Mean pooling makes it exact: with h the hidden states, x = mean(h) / ‖mean(h)‖ = Σ h_t / (t ‖mean(h)‖), and whatever is
linear in x is a sum over its pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Span = tuple[int, int] | None


class Pieces(NamedTuple):
    """The word pieces that the encoder read of a text: where each lies, and its part of the unit vector, (t, d).

    The encoder's own marks lie nowhere in the text; their span is None.
    """

    spans: Sequence[Span]
    vectors: NDArray[np.float64]


def pieces_of_mean(hidden: Floats, offsets: Sequence[tuple[int, int]], marks: Sequence[int]) -> Pieces:
    """What each of the hidden states (t, d) adds to the unit vector that their mean points to.

    `offsets` (t) say where each piece lies, `marks` (t), with a 1, which are no part of the text.

    >>> pieces_of_mean(np.array([[3.0, 0.0], [0.0, 4.0]]), [(0, 0), (0, 4)], [1, 0]).vectors.tolist()
    [[0.6, 0.0], [0.0, 0.8]]
    """
    spans = [None if is_mark else span for span, is_mark in zip(offsets, marks, strict=True)]
    states = hidden.astype(np.float64)
    return Pieces(spans, states / (len(states) * np.linalg.norm(states.mean(axis=0))))
