"""The seven steps, from the words of the request to what you carry home, with all of their numbers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.products import multiply
from attnsearch.attention.projections import Projections
from attnsearch.attention.softmax import attend
from attnsearch.lesson import library
from attnsearch.lesson.slide import Group, Slide, Table, column, group
from attnsearch.lesson.story import tell

Floats = NDArray[np.floating[Any]]


class Numbers(NamedTuple):
    """All numbers of one pass through the steps.

    x (1, d) is the request, q (1, d_k) = x W_Q, k (n, d_k) = X W_K, v (n, e) = X W_V, products (n,) = q kᵀ.
    With a null key, the softmax sees n + 1 keys: logits (n,) = products / √d_k + bias, powers (n,) = exp(logits),
    weights (n,) = softmax(logits), and output (e,) = weights · v.
    """

    x: Floats
    q: Floats
    k: Floats
    v: Floats
    products: Floats
    logits: Floats
    powers: Floats
    weights: Floats
    output: Floats


def compute(
    words: Floats | None = None,
    *,
    w_q: Floats = library.W_Q,
    bias: Floats | None = None,
    mask: NDArray[np.bool_] | None = None,
    null: float | None = None,
) -> Numbers:
    """All numbers for the rows of `words` (words, d), those of the lesson's request unless given.

    `bias` (n,) and `mask` (n,) are those of `attend`. `null` is the logit of one more key, whose value is 0.
    """
    words = np.array(list(library.WORDS.values()), float) if words is None else words
    projections = Projections(w_q, library.W_K, library.W_V, math.sqrt(w_q.shape[1]))
    x = words.sum(axis=0, keepdims=True)
    q = projections.project(x)
    k, v = library.X @ projections.w_k, library.X @ projections.w_v
    keys, values = k, v
    if null is not None:  # a key of zeros, whose product is 0, and a bias that is its logit
        keys, values = (np.vstack([rows, np.zeros(rows.shape[1])]) for rows in (k, v))
        bias = np.append(np.zeros(len(k)), null)
    attention = attend(q, keys, values, scale=projections.scale, bias=bias, mask=mask)
    logits, weights, output = (part[0] for part in attention)
    return Numbers(x, q, k, v, multiply(q, k)[0], logits, np.exp(logits), weights, output)


def collect_arrays() -> dict[str, NDArray[Any]]:
    """Every array of the lesson's formula, by the names that `explanation.saved.collect_arrays` gives them."""
    numbers = compute()
    return {
        "query": np.array([library.REQUEST]),
        "x": numbers.x,
        "W_Q": library.W_Q,
        "q": numbers.q,
        "W_K": library.W_K,
        "K": numbers.k,
        "W_V": library.W_V,
        "V": numbers.v,
        "bias": np.zeros((1, len(numbers.k))),
        "logits": numbers.logits[None],
        "weights": numbers.weights[None],
        "output": numbers.output[None],
        "ids": np.array([title.lower().replace(" ", "-") for title in library.TITLES]),
        "titles": np.array(library.TITLES),
    }


def books(*groups: Group, more: tuple[str, ...] = (), total: bool = False) -> Table:
    """A table with a row for each book, and for each name in `more`."""
    return Table((*library.TITLES, *more), groups, total)


def softmax_columns(numbers: Numbers, symbol: str = "") -> Group:
    """The columns logit, exp and weight, with their sums in one more row."""
    return Group(
        symbol,
        (
            column("logit", [*numbers.logits, None]),
            column("exp", [*numbers.powers, numbers.powers.sum()], 3),
            column("weight", [*numbers.weights, numbers.weights.sum()], share=True),
        ),
    )


def steps() -> list[Slide]:
    """The seven slides."""
    numbers = compute()
    return [
        _request(numbers),
        _query(numbers),
        _keys(numbers),
        _products(numbers),
        _logits(numbers),
        _weights(numbers),
        _output(numbers),
    ]


def _request(numbers: Numbers) -> Slide:
    words = group("", library.CARD, [*library.WORDS.values(), numbers.x[0]])
    return tell("request", Table((*library.WORDS, "x"), (words,), total=True), request=library.REQUEST)


def _query(numbers: Numbers) -> Slide:
    rows = numbers.x.T * library.W_Q
    table = Table(
        (*library.CARD, "q"),
        (
            Group("", (column("x", [*numbers.x[0], None]),)),
            group("W_Q", library.QUESTIONS, [*library.W_Q, None]),
            group("x × W_Q", library.QUESTIONS, [*rows, numbers.q[0]]),
        ),
        total=True,
    )
    return tell("query", table)


def _keys(numbers: Numbers) -> Slide:
    matrices = group("W_K", library.QUESTIONS, library.W_K), group("W_V", library.PAGES, library.W_V)
    cards = books(
        group("X", library.CARD, library.X),
        group("K", library.QUESTIONS, numbers.k),
        group("V", library.PAGES, numbers.v),
    )
    parts = zip(library.X[0], library.W_K[:, 1], strict=True)
    warmth = f"{' + '.join(f'{number:g}×{weight:g}' for number, weight in parts)} = {numbers.k[0, 1]:g}"
    return tell("keys", Table(library.CARD, matrices), cards, first=library.TITLES[0], warmth=warmth)


def _products(numbers: Numbers) -> Slide:
    query = Table(("q",), (group("q", library.QUESTIONS, numbers.q),))
    cards = books(
        group("K", library.QUESTIONS, numbers.k),
        group("q × k", library.QUESTIONS, numbers.q * numbers.k),
        Group("", (column("q·k", numbers.products),)),
    )
    return tell("products", query, cards)


def _logits(numbers: Numbers) -> Slide:
    return tell("logits", books(Group("", (column("q·k", numbers.products), column("logit", numbers.logits)))))


def _weights(numbers: Numbers) -> Slide:
    table = books(softmax_columns(numbers), more=("sum",), total=True)
    return tell("weights", table, first=library.TITLES[0], weight=numbers.weights[0])


def _output(numbers: Numbers) -> Slide:
    weights = numbers.weights
    table = books(
        Group("", (column("weight", [*weights, None], share=True),)),
        group("V", library.PAGES, [*numbers.v, None]),
        group("weight × v", library.PAGES, [*(weights[:, None] * numbers.v), numbers.output], 0),
        more=("output",),
        total=True,
    )
    first, second = library.TITLES[:2]
    most, *others = (f"{pages:.0f}" for pages in numbers.output)
    carried = [f"{most} pages of {library.PAGES[0]}"]
    carried += [f"{pages} of {name}" for pages, name in zip(others, library.PAGES[1:], strict=True)]
    return tell(
        "output",
        table,
        weight=weights[0],
        next_weight=weights[1],
        pages=numbers.v[0, 0],
        share=weights[0] * numbers.v[0, 0],
        first=first,
        second=second,
        carried=", ".join(carried[:-1]) + f" and {carried[-1]}",
    )
