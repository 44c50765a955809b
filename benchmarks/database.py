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

import numpy as np

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
    with Index.open("made") as here, Index.open(url) as there:
        for count in (1, 16):
            x = np.random.default_rng(1).standard_normal((count, 384), np.float32)
            q = fold_queries(identity(384), x / np.linalg.norm(x, axis=1, keepdims=True))
            runs = {name: timed(lambda index=index, q=q: index.engine.attend(q, k=10))
                    for name, index in (("folder", here), ("PostgreSQL", there))}  # fmt: skip
            seconds = in_turn(runs, rounds)
            cells = [(name, statistics.median(times) * 1000, ratio(times, seconds["folder"]))
                     for name, times in seconds.items()]  # fmt: skip
            table((f"{count} queries at once", "ms", "times a folder"), cells)


def _spend(run: Callable[[], object]) -> tuple[float, float]:
    start, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - cpu


if __name__ == "__main__":
    main()
