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
from attnsearch.engines.engine import States
from attnsearch.engines.groups import Items, Matches, Pair
from attnsearch.engines.scan import Scan
from attnsearch.postings.terms import Term

_SUMS = ("maximum", "total", "moment", "visible")  # (m,) each
_ROUNDING = 1e-3  # of a sum of float32, which is far less
_MOST_ENTROPY = 0.37  # of a term p log p: 1/e

Record = dict[str, Any]
Marks = NDArray[np.bool_]


def pack_marks(marks: Marks | None) -> bytes | None:
    """Marks (n,), eight to a byte; None stays None."""
    return None if marks is None else np.packbits(marks).tobytes()


def unpack_marks(raw: bytes | None, count: int) -> Marks | None:
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
    if type(answered) is not dict:
        return "it has no fields"
    named: dict[str, type] = {"protocol": int, "commit": str, "worker": str, "number": int}
    if answered.get("fault"):
        named |= {"fault": str, "file": str, "message": str}
        pieces: object = []
    else:
        pieces = answered.get("pieces")
    if type(pieces) is not list or not all(type(piece) is dict for piece in pieces):
        return "it has no list of pieces"
    kinds = {"file": str, "start": int, "stop": int, "rows": int}
    for record, fields in ((answered, named), *((piece, kinds) for piece in pieces)):
        for name, kind in fields.items():
            if type(record.get(name)) is not kind:
                return f"its {name} is not of the type {kind.__name__}"
    return ""


def unpack_state(raw: object, empty: State) -> State:
    """The state of the same queries as the `empty` one. Raises ValueError for anything else.

    Where the maximum is not a number, nothing else needs to be: no search takes it.
    """
    if type(raw) is not dict or {*raw} != {*State._fields} or raw["k"] != empty.k:
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
    return state


def check_state(state: State, shown: Marks, count: int, first: int) -> None:
    """Raise ValueError if no state after the `shown` (n,) of the keys from `first` on, of `count` items, is like this.

    Where the maximum is not below infinity, nothing else needs to be right: no search takes it.
    """
    is_right = ~(state.maximum < np.inf) | (_have_sums_of(state, count) & _have_top_of(state))
    if not is_right.all():
        raise ValueError(f"its sums or its best are not those of {count:,} items")
    keys = state.top_keys[state.top_logits > -np.inf]
    if not ((keys >= first) & (keys < first + len(shown))).all() or not shown[keys - first].all():
        raise ValueError("its top has keys that it was not asked about")


def _have_sums_of(state: State, count: int) -> Marks:
    """Which queries (m,) have sums as `count` logits have: each term of the total is in (0, 1], the best one is 1."""
    maximum, total, moment = state.maximum, state.total, state.moment
    if count == 0:
        are_sums = (maximum == -np.inf) & (total == 0) & (moment == 0)
    else:
        are_sums = (
            (total >= 1) & (total <= count * (1 + _ROUNDING)) & (moment <= 0) & (moment >= -count * _MOST_ENTROPY)
        )
        are_sums = are_sums & (np.abs(maximum) <= np.finfo(np.float32).max)
    is_right: Marks = are_sums & (state.visible == count)
    return is_right if state.output is None else is_right & (np.abs(state.output) <= count).all(axis=1)


def _have_top_of(state: State) -> Marks:
    """Which queries (m,) have a top that is in order and has no key twice."""
    logits, keys = state.top_logits, state.top_keys
    is_logit = np.isneginf(logits) | (np.abs(logits) <= np.finfo(np.float32).max)
    is_ordered = (logits[:, 1:] <= logits[:, :-1]).all(axis=1)
    numbers = np.sort(np.where(np.isneginf(logits), -1 - np.arange(logits.shape[1]), keys), axis=1)
    are_different = (np.diff(numbers, axis=1) > 0).all(axis=1)
    return np.asarray(is_ordered & is_logit.all(axis=1) & are_different, bool)


def unpack_array(raw: Mapping[str, object], name: str, shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
    """The array of this name. Raises ValueError if it has another shape or type, a subclass included."""
    array = raw[name]
    if type(array) is not np.ndarray or array.shape != shape or array.dtype != kind:
        raise ValueError(f"its {name} is not an array of {kind.__name__} of the shape {shape}")
    return array


def unpack_numbers(raw: Mapping[str, object], name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The array of this name, of numbers that float32 could have. Raises ValueError for another one."""
    array = unpack_array(raw, name, shape, np.float64)
    if not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise ValueError(f"its {name} has what is no number, or too large")
    return array


def unpack_covariance(raw: Mapping[str, Any], size: int, d: int) -> Covariance:
    """The covariance of so many keys. Raises ValueError for anything else."""
    if raw["size"] != size:
        raise ValueError(f"its covariance is that of {raw['size']} keys, not of {size:,}")
    return Covariance(size, unpack_numbers(raw, "mean", (d,)), unpack_numbers(raw, "scatter", (d, d)))


def read_matches(task: Record, answered: Record) -> Matches:
    """The matches of the pair of a task, at most one for each item. Raises ValueError for anything else."""
    raw, min_score = answered["matches"], task["min_score"]
    pair = Pair(Items(*task["items"]), Items(*task["leaders"]), task["may_lead"])
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


def read_states(
    task: Record, answered: Record, scan: Scan, bias: Bias | None, every_logit: NDArray[np.float32] | None
) -> list[States]:
    """The states of each piece of a task, whose logits (m, n) are put into `every_logit`, if given.

    Raises ValueError for anything that these keys can't have under this bias: a state after some of them, say.
    """
    logits = answered["logits"]
    if every_logit is not None:
        logits = unpack_array(answered, "logits", every_logit.shape, np.float32)
    states = []
    for piece, read in zip(task["pieces"], answered["pieces"], strict=True):
        size = piece["stop"] - piece["start"]
        place = slice(piece["first"], piece["first"] + size)
        first = task["first"] + place.start
        dead, joined = (unpack_marks(piece[marks], size) for marks in ("dead", "joined"))
        shown = np.ones(size, bool) if dead is None else ~dead
        if bias is not None:
            shown = np.asarray(bias.mask(first, first + size, shown))
        count = int((shown if joined is None else shown & ~joined).sum())  # an item's passages count once
        state, plain = unpack_state(read["state"], scan.empty.attention), scan.empty.plain
        check_state(state, shown, count, first)
        if not scan.is_plain:
            plain = unpack_state(read["plain"], plain)
            check_state(plain, shown, count, first)
        states.append(States(state, plain))
        if every_logit is not None:
            if not _are_logits(logits[:, place], state, shown):
                raise ValueError("its logits are not those of its states")
            every_logit[:, place] = logits[:, place]
    return states


def _are_logits(z: NDArray[np.float32], state: State, shown: Marks) -> bool:
    """Whether these are all logits z (m, n) of the state of a piece, of whose keys (n,) those `shown` take part."""
    is_right = (z.max(axis=1, initial=-np.inf) == state.maximum) & (np.isfinite(z).sum(axis=1) == state.visible)
    is_right &= np.isneginf(z[:, ~shown]).all(axis=1)
    return bool((is_right | ~(state.maximum < np.inf)).all())


def read_covariances(task: Record, answered: Record) -> list[Covariance]:
    """The covariance of each piece. Raises ValueError for anything else."""
    covariances = []
    for piece, measured in zip(task["pieces"], answered["pieces"], strict=True):
        rows = piece["stop"] - piece["start"]
        dead = unpack_marks(piece["dead"], rows)
        size = rows - (0 if dead is None else int(dead.sum()))
        covariances.append(unpack_covariance(measured["covariance"], size, task["d"]))
    return covariances
