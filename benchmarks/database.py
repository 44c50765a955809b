"""A catalog in PostgreSQL beside one in a folder: to index it, to change some of it, to ask it; and its size.

The server is one of the tests, on this machine, without fsync. CPU is that of this process: the server has its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from attnsearch.api.index import Index as Published
from attnsearch.attention.projections import identity
from attnsearch.opening.index import Index
from attnsearch.postgres.check import find_problems
from attnsearch.postgres.place import DatabasePlace
from attnsearch.postgres.store import open_store
from attnsearch.search.scoring import fold_queries
from attnsearch.storage.files import folder_size
from attnsearch.storage.home import catalog_folder
from benchmarks import made
from benchmarks.measure import heading, in_turn, ratio, table, timed
from tests.postgres.server import Server

CHANGED = 500
TEXT = "a voyage to the moon"
QUERIES: dict[str, dict[str, Any]] = {
    "a query": {},
    "with a filter": {"where": "year > 1960"},
    "with shared words": {"lexical": 0.3},
    "with values": {"values": ["shelf"]},
    "with the output": {"vector": True},
}


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", "--rounds", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    arguments = parser.parse_args()
    heading("A catalog in PostgreSQL, 384 wide", "psycopg", "pgvector")
    server = Server()
    try:
        for size in arguments.sizes:
            with tempfile.TemporaryDirectory() as folder:
                os.environ["ATTNSEARCH_HOME"] = folder
                _compare(server.url(server.database(), "made"), size, arguments.rounds)
    finally:
        server.close()


def _compare(url: str, size: int, rounds: int) -> None:
    print(f"### {size:,} items\n")
    place = DatabasePlace(url)
    rows = []
    for what, run in (
        ("index, without embedding", lambda place: made.index("made", size, place=place)),
        (f"change {CHANGED} items", lambda place: made.change("made", size, CHANGED, 384, place)),
    ):
        in_folder, in_database = (_spend(lambda place=place, run=run: run(place)) for place in (None, place))
        rows.append((f"{what}, s", in_folder[0], in_database[0]))
        rows.append((f"{what}, s of CPU", in_folder[1], in_database[1]))
    rows.append(("check, s", "", _spend(lambda: print(*find_problems(url)))[0]))
    with open_store(url) as store:
        rows.append(("MiB", folder_size(catalog_folder("made")) / 2**20, store.measure() / 2**20))
    table(("", "folder", "PostgreSQL"), rows)
    _ask(url, rounds)


def _ask(url: str, rounds: int) -> None:
    """Print what it takes to ask both, and make sure that they answer the same."""
    x = np.random.default_rng(1).standard_normal((100, 384), np.float32)
    q = fold_queries(identity(384), x / np.linalg.norm(x, axis=1, keepdims=True))
    runs: dict[str, dict[str, Callable[[], object]]] = {}
    with (
        Index.open("made") as here,
        Index.open(url) as there,
        Published.open("made") as folder,
        Published.open(url) as database,
    ):
        both = {"folder": here, "PostgreSQL": there}
        for count in (1, 16, 100):
            what = f"the keys of {count} {'queries' if count > 1 else 'query'}"
            runs[what] = {place: partial(index.engine.attend, q[:count], k=10) for place, index in both.items()}
        for what, options in QUERIES.items():
            runs[what] = {
                "folder": partial(folder.query, TEXT, **options),
                "PostgreSQL": partial(database.query, TEXT, **options),
            }
            if len({tuple(hit.id for hit in run().hits) for run in runs[what].values()}) > 1:  # type: ignore[attr-defined]
                raise SystemExit(f"the two differ: {what}")
        rows = []
        for what, of_both in runs.items():
            seconds = in_turn({place: timed(run) for place, run in of_both.items()}, rounds)
            medians = [statistics.median(times) * 1000 for times in seconds.values()]
            rows.append((what, *medians, ratio(seconds["PostgreSQL"], seconds["folder"])))
    table(("", "folder, ms", "PostgreSQL, ms", "times a folder"), rows)


def _spend(run: Callable[[], object]) -> tuple[float, float]:
    start, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - cpu


if __name__ == "__main__":
    main()
