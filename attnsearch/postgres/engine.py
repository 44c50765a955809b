"""Attention over keys that a PostgreSQL server has: one statement asks for the exact state of all queries.

Axis letters: m = queries, N = all keys, d = width.

The server sums over the keys in float64. pgvector sums a product in float32, as we do, but in another order, so that
its last digits are others. Therefore the few keys that may be among the best are fetched, and compared as `scan` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.products import error_bound, multiply
from attnsearch.attention.softmax import State, best_of_each, find_candidates
from attnsearch.cluster.packing import unpack_state
from attnsearch.engines.engine import States
from attnsearch.engines.local import LocalEngine
from attnsearch.engines.pieces import DEFAULT, Cut
from attnsearch.engines.scan import Scan
from attnsearch.postgres.store import Numbers, PostgresStore, read_numbers

if TYPE_CHECKING:
    from attnsearch.engines.bias import Bias

Floats = NDArray[np.float32]

_FEW = 1 / 16  # of the keys: if fewer are visible, the server looks them up by their numbers
_SCALE = 1e30  # of the weights by which vectors are multiplied: then no product is too small for float32

# For each query: `passage` has its logits, `item` that of the best passage of each item, `chosen` which one that is.
# `item.key` is the first key of an item, where a bias has its values. PostgreSQL takes exp(-746) for an error; beside
# exp(0), exp(-700) is nothing. A vector of float32 shows nothing of weights below exp(-55).
_STATEMENT = """
SELECT state.* FROM (
  SELECT number, (%(q)s::{vector}[])[number] AS q, (%(plain)s::{vector}[])[number] AS plain,
    (%(errors)s::float8[])[number] AS error,
    (%(bounds)s::bigint[])[number] + 1 AS low, (%(bounds)s::bigint[])[number + 1] AS high
  FROM pg_catalog.generate_series(1, %(count)s::bigint) AS number OFFSET 0
) AS asked CROSS JOIN LATERAL (
  WITH passage AS MATERIALIZED (
    SELECT key, {item} AS item, -(x {dot} asked.q) AS z, {plain} AS plain FROM keys WHERE {where}
  ), whole AS (
    SELECT count(*) AS passages, bit_xor(key) AS mark FROM passage
  ), item AS {materialized} (
    SELECT best.item, key, best.z + {added} AS z, best.plain FROM {best} AS best {terms}
  ), top AS MATERIALIZED (
    SELECT max(z) AS z, max(plain) AS plain, {kth} AS kth FROM item
  ), shifted AS (
    SELECT item.*, greatest(item.z - top.z, -700) AS shift, greatest(item.plain - top.plain, -700) AS plain_shift,
      top.z AS top, top.plain AS plain_top, top.kth FROM item CROSS JOIN top
  )
  SELECT asked.number, count(*), (SELECT passages FROM whole), (SELECT mark FROM whole),
    max(top), sum(exp(shift)), sum(exp(shift) * shift),
    max(plain_top), sum(exp(plain_shift)), sum(exp(plain_shift) * plain_shift),
    {candidates}, {candidate_logits}, {keys}, {logits}, {output}, count(*) FILTER (WHERE shift > -55)
  FROM shifted {chosen}
) AS state ORDER BY number
"""
_ITEMS = "(SELECT item, min(key) AS key, max(z) AS z, max(plain) AS plain FROM passage GROUP BY item)"
_TERMS = """LEFT JOIN unnest((%(keys)s::bigint[])[asked.low:asked.high], (%(logits)s::real[])[asked.low:asked.high])
    AS term(key, logit) USING (key)"""
_KTH = "(SELECT z FROM item ORDER BY z DESC LIMIT 1 OFFSET %(k)s::bigint - 1)"
_ARRAY = "pg_catalog.array_send(pg_catalog.array_agg({}))"  # by their full names, as all that takes any type
_CANDIDATES = (
    "pg_catalog.array_send(pg_catalog.array_agg({}) FILTER (WHERE z >= coalesce(kth, '-infinity') - asked.error))"
)
_CHOSEN = "JOIN (SELECT DISTINCT ON (item) item, key FROM passage ORDER BY item, z DESC, key) AS chosen USING (item)"
_OUTPUT = """{home}.avg(x OPERATOR({home}.*) pg_catalog.array_fill((exp(shift) * %(scale)s)::real,
    ARRAY[%(d)s::int])::{home}.vector) FILTER (WHERE shift > -55)"""


class _Row(NamedTuple):
    """What the statement returns for a query; sums over no key are None."""

    number: int
    visible: int
    passages: int
    mark: int | None  # the exclusive or of the numbers of the keys that took part
    maximum: float | None
    total: float | None
    moment: float | None
    plain_maximum: float | None
    plain_total: float | None
    plain_moment: float | None
    candidates: bytes | None  # the first keys of items that may be among the best, and their logits
    candidate_logits: bytes | None
    keys: bytes | None  # every key that counts, and its logit
    logits: bytes | None
    output: Any  # pgvector's Vector: the mean of the keys times their weights, of so many keys
    averaged: int


class _Candidates(NamedTuple):
    """The first keys (c,) of the items that may be among the best of a query, and their logits z (c,) as summed."""

    firsts: NDArray[np.int64]
    z: NDArray[np.float64]


class PostgresEngine(LocalEngine):
    """The engine over a catalog in PostgreSQL: see `engine.Engine`, the protocol.

    What compares keys with keys, or needs each of them, fetches them, and is done here.
    """

    def __init__(self, store: PostgresStore, cut: Cut = DEFAULT) -> None:
        super().__init__(store, cut)
        self._store: PostgresStore = store

    def attend(
        self, q: Floats, plain: Floats | None = None, *, k: int = 0, output: bool = False, bias: Bias | None = None
    ) -> States:
        """The states, with the `k` best keys of each query and, with `output`, softmax(z) X (m, d)."""
        scan = Scan(q, plain, k=k, output=output, bias=bias)
        states, rows = self._ask(scan, q, plain, k, bias, output=output, every=False)
        if not k:
            return states
        with self._store.reading():
            candidates = [
                _Candidates(read_numbers(row.candidates, "i8"), read_numbers(row.candidate_logits, "f8"))
                for row in rows
            ]
        best = self._settle(states.attention, q, k, candidates, bias)
        return States(best, best if scan.is_plain else states.plain)

    def logits(
        self, q: Floats, plain: Floats | None = None, *, output: bool = False, bias: Bias | None = None
    ) -> tuple[States, Floats]:
        """The states, without best keys, and every logit (m, N); -inf where a key does not count."""
        scan = Scan(q, plain, k=0, output=output, bias=bias)
        states, rows = self._ask(scan, q, plain, 0, bias, output=output, every=True)
        every_logit = np.full((len(q), self._store.size), -np.inf, np.float32)
        with self._store.reading():
            for row, z in zip(rows, every_logit, strict=True):
                z[read_numbers(row.keys, "i8")] = read_numbers(row.logits, "f4")
        return states, every_logit

    def _ask(
        self, scan: Scan, q: Floats, plain: Floats | None, k: int, bias: Bias | None, *, output: bool, every: bool
    ) -> tuple[States, Sequence[_Row]]:
        """The states of all keys, without the best ones, and what the server returned. Raises CatalogError."""
        store, has_passages = self._store, self._store.first_keys is not None
        parameters = {"q": [*q], "plain": [*(q if plain is None else plain)], "k": k, "count": len(q), "d": q.shape[1],
                      "scale": _SCALE}  # fmt: skip
        where, visible, keys = _describe_mask(store, bias, parameters)
        added, terms = _describe_added(bias, q, parameters)
        chosen = "chosen" if has_passages and (every or output) else "shifted"
        home = store.vectors
        dot = f"OPERATOR({home}.<#>)"
        statement = _STATEMENT.format(
            item="item" if has_passages else "key",
            vector=f"{home}.vector",
            dot=dot,
            plain="NULL::float8" if scan.is_plain else f"-(x {dot} asked.plain)",
            where=where,
            added=added,
            materialized="MATERIALIZED" if has_passages or terms else "NOT MATERIALIZED",
            best=_ITEMS if has_passages else "passage",
            terms=terms,
            kth=_KTH if k else "NULL::float8",
            candidates=_CANDIDATES.format("shifted.key") if k else "NULL",
            candidate_logits=_CANDIDATES.format("z") if k else "NULL",
            keys=_ARRAY.format(f"{chosen}.key") if every else "NULL",
            logits=_ARRAY.format("z::real") if every else "NULL",
            output=_OUTPUT.format(home=home) if output else "NULL",
            chosen=_CHOSEN * (chosen == "chosen") + f" JOIN keys ON keys.key = {chosen}.key" * output,
        )
        rows = [_Row(*row) for row in store.ask(statement, parameters, binary=True)]
        with store.reading():
            if [row.visible for row in rows] != [visible] * len(q):
                counts = {row.visible for row in rows} - {visible}
                raise ValueError(f"it has {max(counts, default=0):,} of {visible:,} items")
            mark = int(np.bitwise_xor.reduce(keys))
            if any((row.passages, row.mark or 0) != (len(keys), mark) for row in rows):
                raise ValueError("its keys are not those of its segments")
            return _read_states(rows, scan), rows

    def _settle(self, state: State, q: Floats, k: int, candidates: Sequence[_Candidates], bias: Bias | None) -> State:
        """The state with the k best keys on top, and with the candidates' weights in float64.

        If a few keys have most of the weight, the last digits of their logits would be those of the sums.
        """
        firsts = np.unique(np.concatenate([of_query.firsts for of_query in candidates]))
        keys, item = firsts, np.arange(len(firsts))
        if (first_keys := self._store.first_keys) is not None:
            sizes = np.searchsorted(first_keys, firsts, side="right") - firsts
            item = np.repeat(item, sizes)
            keys = np.arange(sizes.sum()) + np.repeat(firsts - np.cumsum(sizes) + sizes, sizes)
        x = self._store.embeddings(keys)
        z = multiply(q, x)
        if first_keys is not None:
            z = best_of_each(z, np.append(False, item[1:] == item[:-1])[: len(item)])
        added = bias.of_items(firsts)[:, item] if bias is not None and bias.adds else np.float32(0)
        top = state.with_top(z + added, find_candidates(z + added, k), k, 0, keys)
        rough = np.full((len(q), len(firsts)), -np.inf)
        for row, of_query in zip(rough, candidates, strict=True):
            row[np.searchsorted(firsts, of_query.firsts)] = of_query.z
        x = x.astype(np.float64)
        is_candidate = (z > -np.inf) & (rough[:, item] > -np.inf)
        before, after = (
            np.where(is_candidate, logits, state.maximum[:, None]) - state.maximum[:, None]
            for logits in (rough[:, item], multiply(q.astype(np.float64), x) + added)
        )
        weights = np.where(is_candidate, np.exp(after) - np.exp(before), 0)
        moments = np.exp(after) * after - np.exp(before) * before
        return top._replace(
            total=top.total + weights.sum(axis=1),
            moment=top.moment + moments.sum(axis=1),
            output=None if top.output is None else top.output + weights @ x,
        )


def _describe_mask(
    store: PostgresStore, bias: Bias | None, parameters: dict[str, Any]
) -> tuple[str, int, NDArray[np.int64]]:
    """The condition for keys that take part, how many items do, and the numbers of these keys (n,)."""
    firsts, living = store.living_firsts, store.living()
    if bias is None or bias.visible is None:
        return "true", len(firsts), living
    visible = firsts[bias.visible[firsts]]
    mask = np.zeros(store.size, bool)
    mask[visible] = True
    if store.first_keys is not None:
        mask = mask[store.first_keys]
    if mask.sum() < _FEW * len(mask):
        parameters["mask"] = Numbers(np.flatnonzero(mask))
        return "key = ANY(%(mask)s::bigint[])", len(visible), living[mask[living]]
    parameters["mask"] = np.packbits(mask, bitorder="little").tobytes()
    return "get_bit(%(mask)s::bytea, key) = 1", len(visible), living[mask[living]]


def _describe_added(bias: Bias | None, q: Floats, parameters: dict[str, Any]) -> tuple[str, str]:
    """What is added to the logit of an item, and the join that this needs.

    Where a query has a term, its sum is that of terms and priors, which are added here: in the order of `Bias.block`.
    """
    priors, empty = np.empty(0, np.float32), (np.empty(0, np.int64), np.empty(0, np.float32))
    of_queries = [empty] * len(q)
    if bias is not None:
        priors = np.array(sum(bias.priors.values())) if bias.priors else priors
        of_queries = [_add_terms(bias, number) if terms else empty for number, terms in enumerate(bias.terms)]
    keys, logits = (np.concatenate(arrays) for arrays in zip(*of_queries, strict=True))
    largest = [np.abs(logits).max(initial=np.abs(priors).max(initial=0)) for _, logits in of_queries]
    rounding = np.array(largest, np.float64) * float(np.finfo(np.float32).eps)
    parameters["errors"] = (2 * (error_bound(q) + rounding)).tolist()
    parameters["bounds"] = Numbers(np.cumsum([0, *(len(keys) for keys, _ in of_queries)]))
    parameters |= {"keys": Numbers(keys), "logits": Numbers(logits), "priors": Numbers(priors)}
    added = ["term.logit"] * bool(len(keys)) + ["(%(priors)s::real[])[key + 1]"] * bool(len(priors))
    return f"coalesce({', '.join([*added, '0'])})", _TERMS if len(keys) else ""


def _add_terms(bias: Bias, number: int) -> tuple[NDArray[np.int64], Floats]:
    """The first keys (n,) of the items with a term of a query, and what is added to the logit of each (n,)."""
    terms = bias.terms[number]
    keys = np.unique(np.concatenate([term.keys for term, _ in terms.values()])).astype(np.int64)
    return keys, bias._replace(terms=[terms]).of_items(keys)[0]


def _read_states(rows: Sequence[_Row], scan: Scan) -> States:
    """The states in the rows. Raises ValueError if they are not such states."""
    sums = [("maximum", "total", "moment"), ("plain_maximum", "plain_total", "plain_moment")]
    states = []
    for names, empty in zip(sums, scan.empty[:2], strict=True):
        columns = [np.array([_or_empty(getattr(row, name), fill) for row in rows], np.float64)
                   for name, fill in zip(names, (-np.inf, 0, 0), strict=True)]  # fmt: skip
        raw = empty._replace(k=0)._asdict() | dict(zip(("maximum", "total", "moment"), columns, strict=True))
        raw["visible"] = np.array([row.visible for row in rows], np.int64)
        if empty.output is not None:
            raw["output"] = np.array([_read_output(row, empty.output.shape[1]) for row in rows])
        states.append(unpack_state(raw, empty._replace(k=0)))
    return States(states[0], states[0] if scan.is_plain else states[1])


def _or_empty(number: float | None, fill: float) -> float:
    return fill if number is None else number


def _read_output(row: _Row, d: int) -> NDArray[np.float64]:
    """Σ exp(z - M) x (d,) of a query."""
    if row.output is None:
        return np.zeros(d)
    mean: NDArray[np.float64] = row.output.to_numpy().astype(np.float64)
    return mean * (row.averaged / _SCALE)
