"""Bias, states and sums ↔ bytes, arrays and plain values: all that goes from one process to another.

No class of ours does, so that no version of attnsearch has to have the same classes; what comes back is checked.

Axis letters: m = queries, n = keys of a task, d = width, k = top keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.softmax import State
from attnsearch.engines.bias import Bias, WeightedTerm
from attnsearch.engines.covariance import Covariance
from attnsearch.engines.groups import Items, Matches, Pair
from attnsearch.postings.terms import Term

_SUMS = ("maximum", "total", "moment", "visible")  # (m,) each

Record = dict[str, Any]


def pack_marks(marks: NDArray[np.bool_] | None) -> bytes | None:
    """Marks (n,), eight to a byte; None stays None."""
    return None if marks is None else np.packbits(marks).tobytes()


def unpack_marks(raw: bytes | None, count: int) -> NDArray[np.bool_] | None:
    """The `count` marks that were packed."""
    return None if raw is None else np.unpackbits(np.frombuffer(raw, np.uint8), count=count).astype(bool)


def pack_bias(bias: Bias | None, first: int, end: int) -> Record | None:
    """The bias of the keys from `first` to before `end`, which belong to no other item; `first` becomes 0.

    Words and names of fields stay here: only numbers travel.
    """
    if bias is None:
        return None
    slices: dict[int, tuple[Any, Any]] = {}  # a term that several queries have goes once
    for terms in bias.terms:
        for term, _ in terms.values():
            if id(term) not in slices:
                within = slice(*np.searchsorted(term.keys, [first, end]))
                slices[id(term)] = (term.keys[within].astype(np.int64) - first, term.scores[within])
    return {
        "visible": None if bias.visible is None else pack_marks(bias.visible[first:end]),
        "terms": [[(*slices[id(term)], float(weight)) for term, weight in terms.values()] for terms in bias.terms],
        "priors": [prior[first:end] for prior in bias.priors.values()],
    }


def unpack_bias(raw: Record | None, first_keys: NDArray[np.int64] | None, size: int) -> Bias | None:
    """The bias of `size` keys; `first_keys` (n,) are those of their items, None if each item has one key."""
    if raw is None:
        return None
    terms = [
        {
            str(number): WeightedTerm(Term(keys, scores), weight)
            for number, (keys, scores, weight) in enumerate(of_query)
        }
        for of_query in raw["terms"]
    ]
    priors = {str(number): prior for number, prior in enumerate(raw["priors"])}
    return Bias(first_keys, unpack_marks(raw["visible"], size), terms, priors)


def pack_state(state: State, first: int = 0) -> Record:
    """The arrays of a state, in which `first` is the number of the key 0."""
    shifted = np.where(np.isneginf(state.top_logits), state.top_keys, state.top_keys + first)
    return {**state._asdict(), "top_keys": shifted}


def find_problem(answered: object) -> str:
    """What is wrong with the form of an answer, whatever it is to; empty if nothing is."""
    if not isinstance(answered, Mapping):
        return "it has no fields"
    named: dict[str, type] = {"protocol": int, "commit": str, "worker": str}
    if answered.get("fault"):
        named |= {"fault": str, "file": str, "message": str}
        pieces: object = []
    else:
        pieces = answered.get("pieces")
    if not isinstance(pieces, list) or not all(isinstance(piece, Mapping) for piece in pieces):
        return "it has no list of pieces"
    kinds = {"file": str, "start": int, "stop": int, "rows": int}
    for record, fields in ((answered, named), *((piece, kinds) for piece in pieces)):
        for name, kind in fields.items():
            if type(record.get(name)) is not kind:
                return f"its {name} is not of the type {kind.__name__}"
    return ""


def unpack_state(raw: object, empty: State, keys: range = range(1 << 32)) -> State:
    """The state of the same queries as the `empty` one, after some of the keys. Raises ValueError for anything else.

    Where the maximum is not a number, nothing else needs to be.
    """
    if not isinstance(raw, Mapping) or {*raw} != {*State._fields} or raw["k"] != empty.k:
        raise ValueError("it has other fields than a state")
    m = len(empty.total)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_SUMS, (m,))
    width = np.shape(raw["top_logits"])[1:]
    if len(width) != 1 or width[0] > empty.k:
        raise ValueError("its top has another shape")
    shapes |= {"top_logits": (m, *width), "top_keys": (m, *width)}
    if (raw["output"] is None) != (empty.output is None):
        raise ValueError("it has an output that nobody asked for, or has none")
    if empty.output is not None:
        shapes["output"] = empty.output.shape
    for name, shape in shapes.items():
        unpack_array(raw, name, shape, np.int64 if name in ("visible", "top_keys") else np.float64)
    state = State(**raw)
    is_number = ~np.isnan(state.maximum)
    for name in ("total", "moment", "top_logits"):
        if np.isnan(raw[name][is_number]).any():
            raise ValueError(f"its {name} is not a number")
    top = state.top_keys[state.top_logits > -np.inf]
    if not ((top >= keys.start) & (top < keys.stop)).all():
        raise ValueError("its top has keys that it was not asked about")
    return state


def unpack_array(raw: Mapping[str, object], name: str, shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
    """The array of this name. Raises ValueError if it has another shape or type."""
    array = raw[name]
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != kind:
        raise ValueError(f"its {name} is not an array of {kind.__name__} of the shape {shape}")
    return array


def unpack_covariance(raw: Mapping[str, Any], size: int, d: int) -> Covariance:
    """The covariance of so many keys. Raises ValueError for anything else."""
    if raw["size"] != size:
        raise ValueError(f"its covariance is that of {raw['size']} keys, not of {size:,}")
    return Covariance(size, *(unpack_array(raw, name, shape, np.float64)
                              for name, shape in (("mean", (d,)), ("scatter", (d, d)))))  # fmt: skip


def unpack_matches(raw: Mapping[str, Any], pair: Pair, min_score: float) -> Matches:
    """The matches of a pair, at most one for each item. Raises ValueError for anything else."""
    shape = np.shape(raw["items"])
    kinds: list[type[Any]] = [np.int64, np.int64, np.float64]
    items, leaders, scores = (
        unpack_array(raw, name, shape, kind) for name, kind in zip(Matches._fields, kinds, strict=True)
    )
    is_right = (
        len(shape) == 1
        and np.isin(items, pair.items.numbers).all()
        and (np.diff(items) > 0).all()
        and np.isin(leaders, pair.leaders.numbers).all()
        and not np.isin(leaders, items).any()
        and (leaders < items).all()
        and ((scores >= min_score) & (scores <= 1)).all()
    )
    if not is_right:
        raise ValueError("its matches are not those of the items that were compared")
    return Matches(items, leaders, scores)


def read_matches(task: Record, answered: Record) -> Matches:
    """The matches of the pair of a task. Raises ValueError for anything else."""
    pair = Pair(Items(*task["items"]), Items(*task["leaders"]), task["may_lead"])
    return unpack_matches(answered["matches"], pair, task["min_score"])
