"""A catalog in PostgreSQL against the same one in a folder: ms a query of a running program, and a whole process.

The server is one of the tests, with its own small buffers, on this machine; --at asks another one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

from attnsearch.api.index import Index
from attnsearch.attention.projections import identity
from attnsearch.opening import index as opening
from attnsearch.search.scoring import fold_queries
from attnsearch.storage import home
from benchmarks import made
from benchmarks.measure import BIN, heading, in_turn, process, ratio, table, timed
from tests.postgres.filling import fill_from
from tests.postgres.server import Server

TEXT = "a voyage to the moon"
QUERIES: dict[str, dict[str, Any]] = {
    "query": {},
    "query, where": {"where": "year > 1960"},
    "query, lexical": {"lexical": 0.3},
    "query, value": {"values": ["shelf"]},
    "query, vector": {"vector": True},
}


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=11)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 50_000])
    parser.add_argument("--at", help="the address of a database that may be filled: postgresql://HOST/DATABASE")
    arguments = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    heading("PostgreSQL, 384 wide", "psycopg")
    server = None if arguments.at else Server()
    try:
        for size in arguments.sizes:
            url = f"{arguments.at}/made{size}" if server is None else server.url(server.database(), f"made{size}")
            with tempfile.TemporaryDirectory() as folder:
                os.environ["ATTNSEARCH_HOME"] = folder
                made.index("made", size)
                fill_from(home.catalog_folder("made"), url)
                print(f"### {size:,} keys\n")
                compare(url, arguments.rounds)
    finally:
        if server:
            server.close()


def compare(url: str, rounds: int) -> None:
    """Print what queries take in a folder, and at this address."""
    x = np.random.default_rng(1).standard_normal((100, 384), np.float32)
    q = fold_queries(identity(384), x / np.linalg.norm(x, axis=1, keepdims=True))
    rows = []
    with Index.open("made") as here, Index.open(url) as there:
        both = {"folder": here, "PostgreSQL": there}
        for name, options in QUERIES.items():
            ask = {place: asking(index, options) for place, index in both.items()}
            first, second = ([hit.id for hit in ask[place]().hits] for place in both)
            if first != second:
                raise SystemExit("the two differ")
            rows.append(row(name, {place: timed(function) for place, function in ask.items()}, rounds))
    with opening.Index.open("made") as here, opening.Index.open(url) as there:
        engines = {"folder": here.engine, "PostgreSQL": there.engine}
        runs = {place: timed(lambda engine=engine: engine.attend(q, k=10)) for place, engine in engines.items()}
        rows.append(row("100 queries at once", runs, max(rounds // 4, 1)))
    argv = [BIN / "attnsearch", "query", TEXT, "-q", "-c"]
    places = {"folder": "made", "PostgreSQL": url}
    costs = {place: lambda ref=ref: process([*argv, ref]).seconds for place, ref in places.items()}
    rows.append(row("a process of its own", costs, max(rounds // 2, 1)))
    table(("", "folder, ms", "PostgreSQL, ms", "times folder"), rows)


def asking(index: Index, options: dict[str, Any]) -> Callable[[], Any]:
    """A function that asks an index."""
    return lambda: index.query(TEXT, **options)


def row(name: str, runs: dict[str, Callable[[], float]], rounds: int) -> tuple[Any, ...]:
    """The medians of both, and their ratio."""
    seconds = in_turn(runs, rounds)
    medians = [statistics.median(times) * 1_000 for times in seconds.values()]
    return (name, *medians, ratio(seconds["PostgreSQL"], seconds["folder"]))


if __name__ == "__main__":
    main()
