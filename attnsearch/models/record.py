"""What a catalog records of the models of its encoders, and the identity of all of them together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from attnsearch.models.use import Use, parse_use

MOST_HEADS = 8  # of a catalog
LEAST_WEIGHT = 0.001  # of a head: its columns keep their digits, and it says almost nothing


class Head(NamedTuple):
    """One of several encoders of a catalog: its model as in `Info`, the width `d` of its columns, its weight a_h.

    `use` is how it uses the model; None as the model's files ask for, see `prompts.use_of_files`.
    """

    model: str
    sha256: str
    identity: str
    stamp: str
    d: int
    weight: float
    use: Use | None = None


def parse_heads(value: Any, d: int, first_use: Use | None = None) -> tuple[Head, ...]:
    """The heads beside the first in a list of lists; `d` is the width of all, `first_use` the use of the first.

    Raises TypeError or ValueError.
    """
    heads = tuple(Head(*members) for members in value)
    heads = tuple(head._replace(use=parse_use(head.use)) for head in heads)
    for head in heads:
        if not (all(type(text) is str for text in head[:4]) and type(head.d) is int and type(head.weight) is float):
            raise TypeError("a head holds values of other types")
    uses = [(first_use, d - sum(head.d for head in heads)), *((head.use, head.d) for head in heads)]
    if not (
        len(heads) < MOST_HEADS
        and all(use is None or use.dims in (0, width) for use, width in uses)
        and all(head.model and head.sha256 and head.identity and head.d > 0 for head in heads)
        and all(head.weight >= LEAST_WEIGHT for head in heads)
        and len({head.model for head in heads}) == len(heads)
        and sum(head.d for head in heads) < d
        and sum(head.weight for head in heads) < 1 - LEAST_WEIGHT / 2  # the first's may be rounded
    ):
        raise ValueError("there are no such heads")
    return heads


def list_heads(
    model: str, sha256: str, identity: str, stamp: str, d: int, others: tuple[Head, ...], use: Use | None
) -> tuple[Head, ...]:
    """All heads of a catalog in the order of their columns: the first, which has this model and use, and the others.

    d is the width of all together.
    """
    own_d, own_weight = d - sum(head.d for head in others), 1 - sum(head.weight for head in others)
    return Head(model, sha256, identity, stamp, own_d, own_weight, use), *others


def identify(identity: str, use: Use | None) -> str:
    """The identity of a model and its use; that of the model if it is used as its files ask."""
    if use is None:
        return identity
    from hashlib import sha256  # and with it OpenSSL, which a query does not need

    return sha256(json.dumps([identity, *use]).encode()).hexdigest()


def identify_heads(heads: Iterable[Head]) -> list[tuple[str, float]]:
    """The identity of each head and its use, and its weight: what decides its columns."""
    return [(identify(head.identity, head.use), head.weight) for head in heads]


def join_identities(identity: str, others: Sequence[tuple[str, float]]) -> str:
    """The identity of all heads together, and of the others' weights; that of the first if there are no others."""
    if not others:
        return identity
    from hashlib import sha256  # and with it OpenSSL, which a query does not need

    return sha256("\0".join([identity, *(f"{other} {weight!r}" for other, weight in others)]).encode()).hexdigest()
