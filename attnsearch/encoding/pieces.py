"""A text's vector as a sum over its word pieces, so that any logit is a sum over the text's words.

Axis letters: t = word pieces, d = width.

Mean pooling makes it exact: with h the hidden states, x = mean(h) / ‖mean(h)‖ = Σ h_t / (t ‖mean(h)‖), and whatever is
linear in x is a sum over its pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Span = tuple[int, int] | None  # from a character of the text to before another; None for what is not in the text


class Pieces(NamedTuple):
    """The word pieces that the encoder read of a text: where each lies, its part (t, d) of the unit vector, its token.

    The encoder's own marks, such as [CLS], have the span None.
    """

    spans: Sequence[Span]
    vectors: NDArray[np.float64]
    tokens: Sequence[str]


def find_spans(offsets: Iterable[Span], prompt: int = 0) -> list[Span]:
    """Where each word piece lies in a text, from where it lies behind a prompt of so many characters.

    None for a piece of the prompt, as for the encoder's own marks.

    >>> find_spans([None, (0, 5), (5, 6), (6, 11)], prompt=7)
    [None, None, None, (0, 4)]
    """
    return [
        None if span is None or (prompt and span[1] <= prompt) else (max(span[0] - prompt, 0), span[1] - prompt)
        for span in offsets
    ]


def pieces_of_mean(hidden: Floats, spans: Sequence[Span], tokens: Sequence[str]) -> Pieces:
    """The pieces with these spans and tokens (t,), each with what its hidden state adds to the mean's unit vector.

    hidden (t, d) are the states of the last layer.

    >>> pieces_of_mean(np.array([[3.0, 0.0], [0.0, 4.0]]), [None, (0, 4)], ["[CLS]", "moon"]).vectors.tolist()
    [[0.6, 0.0], [0.0, 0.8]]
    """
    states = hidden.astype(np.float64)
    return Pieces(spans, states / (len(states) * np.linalg.norm(states.mean(axis=0))), tokens)
