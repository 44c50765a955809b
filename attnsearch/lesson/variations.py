"""What else decides who gets attention: 1/√d_k, the temperature, a mask, a bias, a null key, another W_Q."""

from __future__ import annotations

import math

import numpy as np

from attnsearch.attention.softmax import Attention, attend
from attnsearch.lesson import library
from attnsearch.lesson.slide import Group, Slide, Table, column, group
from attnsearch.lesson.steps import Floats, Numbers, books, compute, softmax_columns
from attnsearch.lesson.story import tell

TEMPERATURES = (2.0, 1.0, 0.2, 0.05, 0.02)  # the first is √d_k
TIMES = 4  # how often she asks each question, when there are more of them


def variations() -> list[Slide]:
    """The slides after the seven steps."""
    numbers = compute()
    return [_scale(numbers), _temperature(numbers), _mask(), _bias(numbers), _null_key(), _learning(numbers)]


def _scale(numbers: Numbers) -> Slide:
    q, k = np.tile(numbers.q, TIMES), np.tile(numbers.k, TIMES)
    many = q.shape[1]
    root = math.sqrt(many)
    bare, divided = attend(q, k, numbers.v, scale=1.0), attend(q, k, numbers.v, scale=1 / root)
    cosines, halved = _attend_unit(numbers, 1.0), _attend_unit(numbers, TEMPERATURES[0])
    (q_length,), k_lengths = _lengths(numbers.q), _lengths(numbers.k)
    table = books(
        Group(
            f"{many} questions",
            (
                column("q·k", bare.logits[0]),
                column("weight", bare.weights[0], share=True),
                column(f"÷ {root:g}", divided.logits[0]),
                column("weight", divided.weights[0], share=True),
            ),
        ),
        Group(
            "vectors 1 long",
            (
                column("length", k_lengths, 3),
                column("cosine", cosines.logits[0], 3),
                column(f"÷ {TEMPERATURES[0]:g}", halved.logits[0], 3),
                column("weight", halved.weights[0], share=True),
            ),
        ),
    )
    return tell(
        "scale",
        table,
        times=TIMES,
        many=many,
        root=root,
        first=library.TITLES[0],
        product=numbers.products[0],
        q=q_length,
        k=k_lengths[0],
        cosine=cosines.logits[0, 0],
    )


def _lengths(vectors: Floats) -> Floats:
    """The length of each row."""
    lengths: Floats = np.linalg.norm(vectors, axis=1)
    return lengths


def _attend_unit(numbers: Numbers, temperature: float) -> Attention:
    """Attention with q and keys that are scaled to length 1, and their cosines divided by the temperature."""
    q, k = (vectors / _lengths(vectors)[:, None] for vectors in (numbers.q, numbers.k))
    return attend(q, k, numbers.v, scale=1 / temperature)


def _temperature(numbers: Numbers) -> Slide:
    weights = [
        column(f"{temperature:g}", _attend_unit(numbers, temperature).weights[0], share=True)
        for temperature in TEMPERATURES
    ]
    cosines = column("cosine", _attend_unit(numbers, 1.0).logits[0], 3)
    return tell("temperature", books(Group("", (cosines,)), Group("weight at τ", tuple(weights))))


def _mask() -> Slide:
    mask = np.array([title != library.LENT for title in library.TITLES])
    return tell("mask", books(softmax_columns(compute(mask=mask)), more=("sum",), total=True), lent=library.LENT)


def _bias(numbers: Numbers) -> Slide:
    bias = np.array([library.NAMED_BIAS * (title == library.NAMED) for title in library.TITLES])
    table = books(
        Group("", (column("q·k / 2", [*numbers.logits, None]), column("bias", [*bias, None]))),
        softmax_columns(compute(bias=bias)),
        more=("sum",),
        total=True,
    )
    return tell("bias", table, bias=library.NAMED_BIAS, named=library.NAMED)


def _null_key() -> Slide:
    yours = compute(null=library.NOTHING_LOGIT)
    other = compute(np.zeros((1, len(library.CARD))), null=library.NOTHING_LOGIT)
    table = books(
        softmax_columns(yours, "your request"),
        softmax_columns(other, "the sink"),
        more=(library.NOTHING, "sum"),
        total=True,
    )
    return tell(
        "null key",
        table,
        elsewhere=library.ELSEWHERE,
        nothing=library.NOTHING,
        logit=library.NOTHING_LOGIT,
        weight=other.weights[-1],
    )


def _learning(numbers: Numbers) -> Slide:
    learned = compute(w_q=library.LEARNED_W_Q)
    matrices = Table(
        (*library.CARD, "q"),
        (
            Group("", (column("x", [*numbers.x[0], None]),)),
            group("W_Q before", library.QUESTIONS, [*library.W_Q, numbers.q[0]]),
            group("W_Q learned", library.QUESTIONS, [*library.LEARNED_W_Q, learned.q[0]]),
        ),
    )
    before, after = softmax_columns(numbers).columns[-1], softmax_columns(learned).columns
    cards = books(
        group("K", library.QUESTIONS, [*numbers.k, None]),
        Group("before", (before,)),
        Group("learned", (column("q·k", [*learned.products, None]), *after)),
        more=("sum",),
        total=True,
    )
    return tell("learning", matrices, cards, first=library.TITLES[0], second=library.TITLES[1])
